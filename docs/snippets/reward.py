import dragoman
from dragoman.experiment import Algorithm

experiment = dragoman.Experiment(
    env="CartPole-v1",
    steps=256,
    observe=None,
    algorithm=Algorithm(settings={"n_steps": 32}),
    reward=dragoman.Reward.of("goal-similarity", goal="pole angle 0 degrees", weight=0.5),
)
run = dragoman.train(experiment, out="runs/similarity")
print(run.rewards()["goal-similarity"]["spread"])
