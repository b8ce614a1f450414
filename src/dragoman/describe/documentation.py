"""Names and units from an environment's own documentation.

Gymnasium's environments describe their observations and actions in the class docstring: Markdown
tables with a ``Num`` column, lists such as ``- 0: Push cart to the left``, and, for the large
robots, lists of parts such as ``- *cvel (78 elements):*`` beside a table of body parts. A table
with a ``Key`` column tells of the parts of a dictionary.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dragoman.describe.features import Feature

HEADING = re.compile(r"^\s*#+\s*(.+?)\s*$")
CHOICE = re.compile(r"^\s*[-*]\s*(\d+)\s*:\s*(.+?)\s*$")
PART = re.compile(r"^\s*- \*(\w+) \((\d+) elements")
UNIT = re.compile(r"\(([^()]*)\)\s*$")
DEGREES = 180 / math.pi

PART_NAMES = {
    "cfrc_ext": "external force {component} on {owner}",
    "cinert": "inertia {component} of {owner}",
    "cvel": "centre of mass velocity {component} of {owner}",
    "qfrc_actuator": "actuator force at {owner}",
}


@dataclass(frozen=True)
class Documentation:
    """What a docstring says of the numbers of an environment.

    Attributes:
        observations: Alternative lists of observation features; the one that fits the size of
            the space is meant.
        actions: Alternative lists of action features or of action choices, likewise.
        parts: Features of the parts of a dictionary observation, by key.
    """

    observations: tuple[tuple[Feature, ...], ...] = ()
    actions: tuple[tuple[Feature, ...], ...] = ()
    parts: Mapping[str, tuple[Feature, ...]] = field(default_factory=dict)

    def observation_features(self, size: int) -> tuple[Feature, ...] | None:
        """Return the features of an observation of ``size`` numbers, if they are documented."""
        return next((result for result in self.observations if len(result) == size), None)

    def part_features(self, key: str) -> tuple[Feature, ...]:
        """Return the features of one part of a dictionary: by its key, or by a name equal to it."""
        name = key.replace("_", " ").lower()
        alone = [one for table in self.observations for one in table if one.name == name]
        return self.parts.get(key) or tuple(alone[:1])

    def action_features(self, size: int) -> tuple[Feature, ...] | None:
        """Return the features of, or the choices among, ``size`` actions, if documented."""
        return next((result for result in self.actions if len(result) == size), None)


def read_documentation(environment: type) -> Documentation:
    """Return what the docstring of an environment's class says.

    >>> from gymnasium.envs.classic_control import CartPoleEnv
    >>> found = read_documentation(CartPoleEnv)
    >>> [feature.name for feature in found.observation_features(4)]
    ['cart position', 'cart velocity', 'pole angle', 'pole angular velocity']
    >>> [feature.name for feature in found.action_features(2)]
    ['push cart to the left', 'push cart to the right']
    """
    # Only its own docstring: an inherited one describes another environment.
    lines = inspect.cleandoc(environment.__dict__.get("__doc__") or "").splitlines()
    observations, actions = [], []
    keyed: dict[str, tuple[Feature, ...]] = {}
    for header, rows in _tables(lines):
        if header[0] == "Key" and "Observation" in header:
            column = header.index("Observation")
            for row in (row for row in rows if len(row) > column):
                key = row[0].strip("`*\"'")
                keyed[key] = (*keyed.get(key, ()), _feature(header, row, column))
            continue
        features = tuple(_feature(header, row) for row in rows if row[0].isdigit())
        if header[0] != "Num" or not features:
            continue
        if header[1].startswith("Observation"):
            observations.append(features)
        elif header[1].startswith("Action"):
            actions.append(features)
    parts = _parts(lines)
    if observations and parts:
        observations.append(observations[0] + parts)
    actions += _choices(_section(lines, "Action Space"))
    return Documentation(tuple(observations), tuple(actions), keyed)


def _section(lines: list[str], title: str) -> list[str]:
    """Return the lines below a heading, up to the next heading."""
    result: list[str] = []
    inside = False
    for line in lines:
        heading = HEADING.match(line)
        if heading:
            inside = heading[1] == title
        elif inside:
            result.append(line)
    return result


def _tables(lines: list[str]) -> list[tuple[list[str], list[list[str]]]]:
    """Return header and rows of every Markdown table."""
    tables: list[list[list[str]]] = []
    inside = False
    for line in lines:
        is_row = line.strip().startswith("|")
        if is_row and not inside:
            tables.append([])
        if is_row:
            tables[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        inside = is_row
    return [(table[0], table[2:]) for table in tables if len(table) > 2]


def _feature(header: list[str], row: list[str], column: int = 1) -> Feature:
    unit = ""
    for title, cell in zip(header, row, strict=False):
        if "Unit" in title:
            match = UNIT.search(cell)
            unit = match[1] if match else cell
        elif title in ("Min", "Max") and " rad" in cell:
            unit = "rad"
    name = _plain(row[column])
    if "-orientation" in name:
        # The tables call these angles, but the text below them says what they are: quaternions.
        return Feature(name)
    if unit == "rad/s" or (unit == "rad" and "velocity" in name):
        return Feature(name, "degrees per second", DEGREES)
    if unit == "rad":
        return Feature(name, "degrees", DEGREES)
    # "v" is how one table abbreviates "velocity": no unit at all.
    return Feature(name, "" if unit in ("unitless", "v") else unit)


def _choices(lines: list[str]) -> list[tuple[Feature, ...]]:
    """Return the lists ``- 0: ...``; a new one starts at each zero."""
    lists: list[list[Feature]] = []
    for line in lines:
        match = CHOICE.match(line)
        if match and match[1] == "0":
            lists.append([])
        if match and lists:
            lists[-1].append(Feature(_plain(match[2])))
    return [tuple(result) for result in lists]


def _parts(lines: list[str]) -> tuple[Feature, ...]:
    """Return the features of parts that are documented by their size instead of by a table."""
    owners = {}
    for header, rows in _tables(lines):
        if header[0] in ("body part", "joint"):
            owners[header[0]] = [_plain(row[0]) for row in rows if row[-1].isdigit()]
    features = []
    for line in lines:
        match = PART.match(line)
        if match is None or match[1] not in PART_NAMES:
            continue
        names = owners.get("joint" if match[1] == "qfrc_actuator" else "body part", [])
        if not names or int(match[2]) % len(names):
            return ()
        for owner in names:
            for component in range(1, int(match[2]) // len(names) + 1):
                name = PART_NAMES[match[1]].format(component=component, owner=owner)
                features.append(Feature(name))
    return tuple(features)


def _plain(markdown: str) -> str:
    """Return a cell or list item as plain words in lower case."""
    return re.sub(r"[`*]|<[^>]+>", "", markdown).strip().rstrip(".").lower()
