from dragoman import Experiment, Watcher, train


class EnoughReturn(Watcher):
    def episode(self, training, episode):
        training.record("longest", max(episode["length"], training.row.get("longest", 0)))

    def update(self, training):
        return training.row["rollout/return_mean"] > 15


run = train(Experiment(env="CartPole-v1", observe=None, steps=4_096), watchers=[EnoughReturn()])
print(run.steps, run.last_metrics()["rollout/return_mean"])
