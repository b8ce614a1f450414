"""Draw the learning curve of a run: python recipes/plot.py RUN PICTURE.png."""

import sys

import matplotlib.pyplot as plt
import numpy as np

import dragoman


def main(folder: str, picture: str) -> None:
    """Draw each training episode of the run in ``folder``, and their running mean."""
    run = dragoman.Run(folder)
    episodes = run.episodes()
    steps = np.array([row["step"] for row in episodes])
    returns = np.array([row["return"] for row in episodes])
    means = [(row["step"], row["rollout/return_mean"]) for row in run.metrics()]
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    axes.plot(steps, returns, ".", markersize=3, alpha=0.35, color="#0072B2", label="an episode")
    axes.plot(*zip(*means, strict=True), color="#D55E00", label="mean of the last 100 episodes")
    axes.set(
        title=f"{run.experiment.env}, {run.experiment.model.name}, seed {run.seed}",
        xlabel="environment steps",
        ylabel="return",
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main(*sys.argv[1:])
