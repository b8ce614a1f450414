import dragoman

experiment = dragoman.Experiment.from_yaml("recipes/smollm2-cartpole.yaml")
run = dragoman.train(experiment, seed=0, out="runs/first")
print(dragoman.evaluate(run, episodes=20).mean)
