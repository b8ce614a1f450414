import dragoman

teaching = dragoman.Teaching(steps=60, epochs=1)
taught = dragoman.teach("smollm2-135m", "FrozenLake-v1:reference", "taught/lake", teaching)
print(taught.accuracy, taught.teacher)

settings = {"steps": 32, "act.tune.reference_kl": 0.05}
experiment = dragoman.Experiment.from_yaml("taught/lake/experiment.yaml", settings)
run = dragoman.train(experiment, out="runs/lake")
print(dragoman.evaluate(run, episodes=1).mean)
