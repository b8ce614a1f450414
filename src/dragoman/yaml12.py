"""YAML as version 1.2's core schema reads it: the one way in and out of every settings file.

Only ``true`` and ``false`` are booleans, ``1e-2`` is a number, and ``2024-01-01`` is a text. Keys
are texts and stand once in a mapping. Underscores in whole numbers, UTF-16 with its mark and merge
keys are read too, since people write them.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from dragoman.errors import ConfigError

DEEPEST = 50
"""Most levels of lists and mappings inside each other."""
LARGEST = 2**20
"""Most bytes of a file."""
MOST_VALUES = 100_000
"""Most values of a file, those behind an alias counted wherever it stands."""

_TAG = "tag:yaml.org,2002:"
_SCHEMA = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+(?:_[0-9]+)*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    "merge": (r"<<", "<"),
}
"""Plain scalars by kind, first come first: what they look like, and their first letters."""

_CURES = {
    "found character '\\t'": "write spaces instead of tabs",
    "mapping values are not allowed": "quote a text that holds ': '",
    "expected <block end>": "quote a text that begins with '{', '[' or a quotation mark",
    "expected ',' or": "quote a text that holds '?', ',', ': ', '{' or '['",
}
"""What helps against the commonest faults, by the beginning of what the parser says."""


class YesNo(str):
    """A plain ``yes``, ``no``, ``on`` or ``off``: a text here, a boolean in YAML 1.1."""

    __slots__ = ()


def load(text: str, source: str) -> Any:
    """Return what YAML text holds.

    Args:
        text: The text.
        source: What it is from, for messages.

    Raises:
        ConfigError: It is no YAML, a key is given twice or is no text, or it holds more values or
            levels than any settings need; the message names the line.
    """
    try:
        return _Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise _explained(error, text, source) from None


def dump(data: Any) -> str:
    """Return YAML text that `load` reads back as equal data.

    Texts that YAML 1.1 would take for something else are quoted too, for other readers.
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_mapping(file: Path, what: str, *, first: str) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Args:
        file: The file.
        what: What it should describe, for the message when it is missing.
        first: A line such a file may start with.

    Raises:
        ConfigError: The file is missing, is no YAML or holds something else.
    """
    if not file.is_file():
        raise ConfigError(f"there is no {what} file {file}", cure="check the path")
    data = load(_read(file), str(file))
    if not isinstance(data, dict):
        result = "nothing" if data is None else type(data).__name__
        raise ConfigError(
            f"{file} holds {result}, not a mapping of keys to values",
            cure=f"start with a line such as '{first}'",
        )
    return data


def refuse_yes_no(settings: Any, key: str) -> None:
    """Refuse plain yes, no, on and off where nothing says whether a boolean is meant.

    Args:
        settings: What to look through.
        key: Where it stands, for the message.

    Raises:
        ConfigError: There is one.
    """
    if isinstance(settings, YesNo):
        meant = "true" if settings.lower() in ("yes", "on") else "false"
        raise ConfigError(
            f"{key} is {settings!s}, which could be a text or a boolean",
            cure=f'write {meant}, or "{settings}" in quotation marks if the text is meant',
        )
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            refuse_yes_no(value, f"{key}.{name}")
    elif isinstance(settings, list | tuple):
        for i, value in enumerate(settings):
            refuse_yes_no(value, f"{key}.{i}")


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", cure="check its permissions"
        ) from error
    if len(content) > LARGEST:
        raise ConfigError(
            f"{file} is larger than {LARGEST:,} bytes, which no settings need",
            cure="check that it is the right file",
        )
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}, line {line}: the byte 0x{content[error.start]:02x} is no {error.encoding}",
            cure="save the file as UTF-8",
        ) from None


class _Refused(MarkedYAMLError):
    """YAML that is valid, and no settings."""

    def __init__(self, problem: str, mark: Mark, cure: str = "mend that line") -> None:
        super().__init__(problem=problem, problem_mark=mark)
        self.cure = cure


class _Loader(yaml.SafeLoader):
    """Reads the core schema, and refuses what would hang or mislead."""

    # Without those of YAML 1.1.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 -- as it is declared there
    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self._depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise _Refused(f"more than {DEEPEST} levels", mark)
        self._depth += 1
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Node | None:
        node: Node | None = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        return {str(key): value for key, value in super().construct_mapping(node, deep).items()}

    def boolean(self, node: ScalarNode) -> bool:
        value = self.construct_scalar(node).lower()
        if value not in ("true", "false"):
            raise _Refused(f"{value[:30]!r} is neither true nor false", node.start_mark)
        return bool(value == "true")

    def text(self, node: ScalarNode) -> str:
        value: str = self.construct_scalar(node)
        is_bare = node.style is None and value.lower() in ("yes", "no", "on", "off")
        return YesNo(value) if is_bare else value

    def whole(self, node: ScalarNode) -> int:
        value = self.construct_scalar(node)
        try:
            return int(value, {"0o": 8, "0x": 16}.get(value[:2], 10))
        except ValueError:
            problem = f"{value[:30]!r} is no whole number that can be read"
            raise _Refused(problem, node.start_mark) from None

    def number(self, node: ScalarNode) -> float:
        value = self.construct_scalar(node).lower()
        is_special = value.lstrip("-+") in (".inf", ".nan")
        try:
            result = float(value.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            result = math.inf
        if math.isinf(result) and not is_special:
            problem = f"{value[:30]!r} is no number that can be read"
            raise _Refused(problem, node.start_mark)
        return result

    def unknown(self, node: Node) -> Any:
        tag = str(node.tag).replace(_TAG, "!!")
        raise _Refused(f"the tag {tag} has no place here", node.start_mark)


class _Dumper(yaml.SafeDumper):
    """Quotes texts that either version of YAML would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, data: str) -> ScalarNode:
        # Line breaks of Unicode's own come back as blanks unless they are escaped.
        style = '"' if set(data) & set("\x85\u2028\u2029\ufeff") else None
        return self.represent_scalar(_TAG + "str", data, style=style)


for _kind, (_looks, _letters) in _SCHEMA.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            _TAG + _kind,
            re.compile(rf"(?:{_looks})\Z"),
            ["" if letter == "\0" else letter for letter in _letters],
        )
for _kind, _construct in {
    "null": yaml.SafeLoader.construct_yaml_null,
    "bool": _Loader.boolean,
    "int": _Loader.whole,
    "float": _Loader.number,
    "str": _Loader.text,
    "seq": yaml.SafeLoader.construct_yaml_seq,
    "map": yaml.SafeLoader.construct_yaml_map,
}.items():
    _Loader.add_constructor(_TAG + _kind, _construct)
_Loader.add_constructor(None, _Loader.unknown)
for _text in (str, YesNo):
    _Dumper.add_representer(_text, _Dumper.text)


def _count(node: Node, known: dict[int, int]) -> int:
    """Return how many values a node holds, refusing a document that holds too many."""
    if id(node) not in known:
        known[id(node)] = -1
        inner = list(node.value) if isinstance(node, SequenceNode) else []
        if isinstance(node, MappingNode):
            _check_keys(node)
            inner = [item for pair in node.value for item in pair]
        known[id(node)] = 1 + sum(_count(item, known) for item in inner)
    if known[id(node)] < 0:
        raise _Refused("an alias stands inside what it names", node.start_mark)
    if known[id(node)] > MOST_VALUES:
        problem = f"more than {MOST_VALUES:,} values, counting what aliases repeat"
        raise _Refused(problem, node.start_mark)
    return known[id(node)]


def _check_keys(node: MappingNode) -> None:
    """Refuse keys that are given twice or are no texts."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        if key.tag not in (_TAG + "str", _TAG + "merge"):
            shown = key.value if isinstance(key, ScalarNode) else "a list or a mapping"
            problem = f"the key {shown or 'that is empty'} is no text"
            raise _Refused(problem, key.start_mark, "put the key in quotation marks")
        if key.value in seen:
            problem = f"the key {key.value!r} stands in line {seen[key.value]} already"
            raise _Refused(problem, key.start_mark, "keep one of the two")
        seen[key.value] = key.start_mark.line + 1


def _explained(error: yaml.YAMLError, text: str, source: str) -> ConfigError:
    """Return an error of ours that names source, line and cure."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    at = 0 if mark is None else mark.line
    if isinstance(error, ReaderError):
        at = text.count("\n", 0, error.position)
        problem = f"the character U+{ord(text[error.position]):04X} is not allowed"
    line = f", line {at + 1}" if "\n" in text.strip() else ""
    if isinstance(error, _Refused):
        return ConfigError(f"{source}{line}: {problem}", cure=error.cure)
    cure = next((cure for start, cure in _CURES.items() if problem.startswith(start)), "")
    return ConfigError(
        f"{source}{line} is not valid YAML: {problem}", cure=cure or "mend that line"
    )
