"""Let a language model write a potential or features, to be compared afterwards.

    python recipes/write_program.py
    dragoman compare recipes/comparisons/rewards-written.yaml

    python recipes/write_program.py --task mountain-car --chat --model Qwen/...-Instruct
    dragoman compare recipes/comparisons/rewards-mountain-car.yaml

With --function features the agent sees more beside its numbers instead. The winner is in
runs/written-TASK/best.py, of features in runs/features-TASK/best.py. Another model is given by its
name or path; one behind a server is a dragoman.RemoteModel, see docs/remote.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym

import dragoman
from dragoman.agents.programs import program_trainer
from dragoman.generation import Sampling
from dragoman.programs import Found, Search, Writer, sample_transitions, schema_of
from dragoman.types import GeneratingModel

TASKS = {
    "frozenlake": "Walk over a frozen lake from the first square, 0, to the goal in the far "
    "corner, square 63. Squares are numbered row by row, eight a row. Some are holes, which end "
    "the walk.",
    "open-lake": "Walk over a frozen lake of 12 rows and 12 columns to the goal in row 11, column "
    "11. The row is state['value'] // 12, the column is state['value'] % 12.",
    "mountain-car": "A car stands in a valley between two hills. Get it to the flag on the right "
    "hill, at position 0.45. Its engine is too weak to drive straight up.",
}
"""What to do, by the name of a recipe."""
FOLDERS = {"potential": "written", "features": "features"}
"""How the folder of a search begins, by what is written."""
SEARCH = Search(
    TASKS["frozenlake"],
    functions=("potential",),
    candidates=2,
    rounds=1,
    sampling=Sampling(max_tokens=256, temperature=0.6),
    selection_seeds=(100, 102, 103),
    # None of the seeds of the comparison, which is the test.
    test_seeds=(101,),
)


def write(
    model: GeneratingModel,
    out: Path,
    task: str = "frozenlake",
    steps: int | None = None,
    **search: Any,
) -> Found:
    """Search, and write the winner to ``best.py`` in the folder.

    Args:
        model: Who writes.
        out: The search's folder.
        task: Name of a recipe, one of `TASKS`.
        steps: Steps of each training, instead of the recipe's.
        search: Fields of `Search` that differ.
    """
    experiment = dragoman.Experiment.from_yaml(Path(__file__).parent / f"{task}.yaml")
    experiment = replace(experiment, steps=steps or experiment.steps)
    env = gym.make(experiment.env, **experiment.env_settings)
    schema = schema_of(env)
    transitions = sample_transitions(env, schema)
    train = program_trainer(experiment, episodes=5)
    asked = replace(SEARCH, task=TASKS[task], **search)
    found = Writer(model, schema, transitions, train, asked).run(out)
    (out / "best.py").write_text(found.program, encoding="utf-8")
    return found


def main() -> None:
    """Load the model and search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--task", choices=TASKS, default="frozenlake")
    parser.add_argument("--function", choices=FOLDERS, default="potential")
    parser.add_argument("--steps", type=int, help="steps of each training")
    parser.add_argument(
        "--candidates", type=int, default=SEARCH.candidates, help="programs a round"
    )
    parser.add_argument("--rounds", type=int, default=SEARCH.rounds)
    parser.add_argument("--chat", action="store_true", help="ask in the model's chat template")
    arguments = parser.parse_args()
    found = write(
        dragoman.load_model(arguments.model),
        Path(f"runs/{FOLDERS[arguments.function]}-{arguments.task}"),
        arguments.task,
        arguments.steps,
        functions=(arguments.function,),
        candidates=arguments.candidates,
        rounds=arguments.rounds,
        chat=arguments.chat,
    )
    print(found.program, found.selection_scores, found.test_scores, found.counts)


if __name__ == "__main__":
    main()
