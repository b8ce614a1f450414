import tempfile

import dragoman


def tell(progress):
    if progress.is_over:
        print(f"{progress.what}: {progress.seconds:.1f} s")
    elif progress.total:
        print(f"{progress.done / progress.total:.0%}", dict(progress.figures))


experiment = {
    "env": "CartPole-v1",
    "observe": {"model": "words"},
    "steps": 64,
    "num_envs": 2,
    "algorithm": {"settings": {"n_steps": 32, "batch_size": 32}},
}
run = dragoman.train(experiment, out=f"{tempfile.mkdtemp()}/run", progress=tell)
dragoman.evaluate(run, episodes=2, progress=tell)
