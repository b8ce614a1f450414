import tempfile

import dragoman


class Printed(dragoman.Watcher):
    """Tells what has been written, after each update."""

    def update(self, training):
        print(training.steps, training.row.get("rollout/return_mean"))


experiment = {
    "env": "CartPole-v1",
    "observe": "off",
    "steps": 64,
    "num_envs": 2,
    "algorithm": {"settings": {"n_steps": 32, "batch_size": 32}},
}
dragoman.train(experiment, out=f"{tempfile.mkdtemp()}/run", watchers=[Printed()])
