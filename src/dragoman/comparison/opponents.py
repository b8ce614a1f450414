"""Whom an arm is held against."""

from __future__ import annotations

from dragoman.comparison.comparison import ComparisonFolder
from dragoman.roles.control import roles_of


def rivals_of(folder: ComparisonFolder, arm: str) -> list[str]:
    """Return the baseline, then the controls of the roles that a judged arm uses itself."""
    roles = roles_of(folder.comparison.experiment(arm))
    controls = [
        name for name, one in folder.arms().items() if one.kind == "control" and one.role in roles
    ]
    return [folder.comparison.baseline, *controls]
