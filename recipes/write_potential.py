"""Let a language model write a potential for the frozen lake, to be compared afterwards.

    python recipes/write_potential.py
    dragoman compare recipes/comparisons/rewards-written.yaml

The winner is in runs/written-frozenlake/best.py. Another model is given by its name or path; one
behind a server is a dragoman.RemoteModel, see docs/remote.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import gymnasium as gym

import dragoman
from dragoman.agents.programs import program_trainer
from dragoman.generation import Sampling
from dragoman.programs import Found, Search, Writer, sample_transitions, schema_of
from dragoman.types import GeneratingModel

RECIPE = Path(__file__).parent / "frozenlake.yaml"
OUT = Path("runs/written-frozenlake")
SEARCH = Search(
    "Walk over a frozen lake from the first square, 0, to the goal in the far corner, square 63. "
    "Squares are numbered row by row, eight a row. Some are holes, which end the walk.",
    functions=("potential",),
    candidates=2,
    rounds=1,
    sampling=Sampling(max_tokens=256, temperature=0.6),
    selection_seeds=(100,),
    # None of the seeds of the comparison, which is the test.
    test_seeds=(101,),
)


def write(model: GeneratingModel, out: Path = OUT, steps: int | None = None) -> Found:
    """Search, and write the winner to ``best.py`` in the folder.

    Args:
        model: Who writes.
        out: The search's folder.
        steps: Steps of each training, instead of the recipe's.
    """
    experiment = dragoman.Experiment.from_yaml(RECIPE)
    experiment = replace(experiment, steps=steps or experiment.steps)
    env = gym.make(experiment.env, **experiment.env_settings)
    schema = schema_of(env)
    transitions = sample_transitions(env, schema)
    train = program_trainer(experiment, episodes=5)
    found = Writer(model, schema, transitions, train, SEARCH).run(out)
    (out / "best.py").write_text(found.program, encoding="utf-8")
    return found


def main() -> None:
    """Load the model and search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--steps", type=int, help="steps of each training")
    arguments = parser.parse_args()
    found = write(dragoman.load_model(arguments.model), steps=arguments.steps)
    print(found.program, found.selection_scores, found.test_scores, found.counts)


if __name__ == "__main__":
    main()
