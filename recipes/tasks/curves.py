"""Draw both arms of a recipe in one picture: python -m recipes.tasks.curves RUNS NAME [NAME ...].

RUNS/NAME/smollm2 is the run folder of recipes/tasks/NAME.yaml, RUNS/NAME/twin that of its twin
without the model. The picture is recipes/tasks/NAME.png; what the random and the reference policy
earn is drawn as lines, and printed.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.references import returns, uniform
from dragoman.experiment import Experiment
from dragoman.run import Run
from dragoman.tasks.catalog import TASKS, Task, scores_of

HERE = Path(__file__).parent
SHARE = 0.05
"""Of a training's episodes: what the running mean is taken over."""
MODEL, TWIN, GREY = "#C24E00", "#0072B2", "#5c5c5c"


def main(folder: str, *names: str) -> None:
    """Draw the picture of each recipe."""
    for name in names:
        arms = [Run(Path(folder, name, arm)) for arm in ("smollm2", "twin")]
        task, random, reference = yardsticks(arms[0].experiment)
        print(f"{name}: random {random:.4g}, {task.reference} {reference:.4g}")
        figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
        labels = []
        # The thin line is drawn on top, so that both are seen where they run together.
        styles = {"color": MODEL, "linewidth": 1.6, "zorder": 3}, {"color": TWIN, "linewidth": 2.8}
        for run, style in zip(arms, styles, strict=True):
            axes.plot(*running_mean(run), **style)
            labels.append((running_mean(run)[1][-1], arm_label(run.experiment), style["color"]))
        for level, label, dashes in ((random, "random", "--"), (reference, task.reference, ":")):
            axes.axhline(level, color=GREY, linewidth=1.2, linestyle=dashes)
            number = f"{level:,.0f}" if abs(level) >= 100 else f"{level:.3g}"
            labels.append((level, f"{label}, {number}", GREY))
        place(axes, labels)
        axes.set(
            title=f"{task.application}: {task.id}",
            xlabel="environment steps",
            ylabel="return, running mean",
            xlim=(0, max(run.steps for run in arms)),
        )
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(HERE / f"{name}.png", dpi=100)
        plt.close(figure)


def yardsticks(experiment: Experiment) -> tuple[Task, float, float]:
    """Return the task, and what the random and the reference policy earn on average.

    From the catalogue where it knows the task with these settings, else from episodes played now.
    """
    settings: dict[str, Any] = dict(experiment.env_settings)
    known = next(task for task in TASKS if task.id == experiment.env)
    limit = experiment.max_episode_steps or known.max_episode_steps
    task = replace(known, settings=settings, max_episode_steps=limit)
    if task in TASKS:
        random, reference = scores_of(task)
        return task, random.mean, reference.mean
    policies = (uniform, task.load_policy())
    random, reference = (float(np.mean(returns(task, policy))) for policy in policies)
    return task, random, reference


def running_mean(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and, at each where an episode ended, the mean return of a window of them."""
    episodes = run.episodes()
    window = min(len(episodes), max(5, round(SHARE * len(episodes))))
    kernel = np.ones(window) / window
    found = np.array([row["return"] for row in episodes], dtype=float)
    steps = np.array([row["step"] for row in episodes])
    steps, means = steps[window - 1 :], np.convolve(found, kernel, mode="valid")
    # Copies that end together give one point, which is the last of them.
    is_last = np.append(steps[1:] > steps[:-1], True)
    return steps[is_last], means[is_last]


def arm_label(experiment: Experiment) -> str:
    """Return what the agent of an arm reads with."""
    if experiment.observe is None:
        return "raw numbers"
    if not experiment.uses_model:
        return "learned embedding"
    return f"{experiment.model.name}, layer {experiment.observe.layer}"


def place(axes: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Write labels beside the ends of their lines, and apart from each other."""
    low, high = axes.get_ylim()
    gap = 0.065 * (high - low)
    labels = sorted(labels)
    spots = [level for level, _, _ in labels]
    for i in range(1, len(spots)):
        spots[i] = max(spots[i], spots[i - 1] + gap)
    # Those that were pushed above the top go down again, and push what is below them.
    spots[-1] = min(spots[-1], high)
    for i in range(len(spots) - 2, -1, -1):
        spots[i] = min(spots[i], spots[i + 1] - gap)
    for spot, (_, text, colour) in zip(spots, labels, strict=True):
        axes.annotate(
            text,
            (1, spot),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
            annotation_clip=False,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
