"""Keep the results of a recipe's comparison beside it, for `dragoman reproduce`.

    python tools/state.py comparisons/frozenlake runs/frozenlake

The comparison must have been made by ``dragoman compare recipe:NAME``, and be finished.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dragoman.comparison.folder import ComparisonFolder
from dragoman.comparison.stated import statement
from dragoman.experiment.source import recipes_folder
from dragoman.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", help="its name, such as comparisons/frozenlake")
    parser.add_argument("folder", type=Path, help="of the comparison")
    options = parser.parse_args()
    file = recipes_folder() / "stated" / f"{options.recipe}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, statement(ComparisonFolder(options.folder), options.recipe))
    print(file)


if __name__ == "__main__":
    main()
