import tempfile
from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

import dragoman

model = dragoman.CachedModel(dragoman.load_model("smollm2-135m"))
settings = dragoman.Observe(layer=4, standardise=False)


def see(env):
    return dragoman.observe(env, model, settings)


envs = make_vec_env("CartPole-v1", n_envs=2, seed=0, wrapper_class=see)
envs = VecNormalize(envs, norm_reward=False)
agent = PPO("MlpPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, seed=0)
agent.learn(32)

folder = Path(tempfile.mkdtemp())
agent.save(folder / "policy.zip")
envs.save(folder / "features.pkl")

envs = make_vec_env("CartPole-v1", n_envs=1, seed=1, wrapper_class=see)
envs = VecNormalize.load(folder / "features.pkl", envs)
envs.training = False
agent = PPO.load(folder / "policy.zip")
actions, _ = agent.predict(envs.reset(), deterministic=True)
print(actions)
