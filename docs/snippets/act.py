import dragoman

experiment = dragoman.Experiment(
    env="dragoman/TidyHouse-v0",
    steps=512,
    algorithm=dragoman.Algorithm("ppo", {"n_steps": 64, "gamma": 0.9}),
    act=dragoman.Act("hybrid", base="match", question="A good command is:"),
)
run = dragoman.train(experiment, out="runs/tidy")
print(dragoman.evaluate(run, episodes=20).mean)
