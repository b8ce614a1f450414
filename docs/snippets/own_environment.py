import gymnasium
from cold_store import ColdStore

import dragoman

describer = dragoman.describe_env(
    ColdStore(),
    precision=2,
    limits=False,
    observation="It is {inside_temperature} inside and {outside_temperature} outside.",
    actions=["let it rest", "cool it down"],
)
print(describer.observation(*ColdStore().reset(seed=0)))

envs = gymnasium.vector.SyncVectorEnv([ColdStore] * 4)
seen = dragoman.observe(envs, "smollm2-135m", dragoman.Observe(layer=4), describer)
features, infos = seen.reset(seed=0)
print(features.shape)
