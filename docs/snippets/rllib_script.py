import numpy as np

from dragoman.engines.rllib import RLlib, cluster
from dragoman.engines.rllib.script import algorithm_config
from dragoman.experiment import Algorithm, Experiment

experiment = Experiment(
    env="FrozenLake-v1",
    steps=100_000,
    num_envs=4,
    algorithm=Algorithm("ppo", {"n_steps": 32, "batch_size": 64, "n_epochs": 2}),
)

if __name__ == "__main__":
    cluster.start()  # or your own ray.init
    config = algorithm_config(experiment, engine=RLlib())  # or RLlib(env_runners=4)
    config.training(entropy_coeff=0.01)  # RLlib's AlgorithmConfig, with all that it has
    algorithm = config.build_algo()
    for _ in range(3):
        algorithm.train()
        # Roles may change rewards and observations: these are the environment's own returns.
        for runner in algorithm.env_runner_group.foreach_env_runner(lambda one: one.drain()):
            returns = [episode.episode_return for _, episode, _ in runner.episodes]
            print(runner.steps, np.mean(returns) if returns else "no episode has ended")
    weights = algorithm.get_module().get_state()  # by the names of a run folder's tensors
    algorithm.stop()
    cluster.stop()
