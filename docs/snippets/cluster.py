from dragoman import Experiment, train
from dragoman.engines.rllib import RLlib
from dragoman.experiment import Algorithm

experiment = Experiment(
    env="CartPole-v1",
    observe=None,
    steps=2_048,
    num_envs=4,
    algorithm=Algorithm("ppo", {"n_steps": 128, "learning_rate": {"start": 1e-3, "end": 0.0}}),
)

if __name__ == "__main__":
    run = train(experiment, engine=RLlib())  # or RLlib(address="auto", env_runners=4)
    print(run.steps, run.last_metrics()["train/learning_rate"])
