"""What the names of a checked program stand for."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dragoman.errors import ProgramError
from dragoman.written.functions import CONSTANTS, MODULES, PLAIN, Allowed
from dragoman.written.source import Source

Kind: TypeAlias = Literal["number", "mapping", "key", "terms"]

MOST_OPERATIONS = 10_000
"""Most operations of one call, counted beforehand with every loop at its full length."""

MOST_TURNS = 1_000
"""Most turns of one loop."""


@dataclass(frozen=True)
class Named:
    """What one name stands for.

    Attributes:
        kind: A number; a mapping of named numbers; a key of such a mapping; named terms.
        name: Its name in the translated program, which no word of the source gets into.
        keys: Names in the mapping, of the key's mapping, or of the terms; in order.
    """

    kind: Kind
    name: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Helper:
    """A function of the program that other functions may call, and what one call costs."""

    name: str
    parameters: tuple[Named, ...]
    operations: int


@dataclass
class Module:
    """What all functions of a program share.

    Attributes:
        source: The program.
        parameters: What the parameters state, action and next_state stand for.
        modules: Names of imported modules, as ``{"np": "numpy"}``.
        functions: Names of functions imported one by one.
        numbers: Names of constants at the top level.
        helpers: Functions defined so far. A function can call only those above it, so none can
            call itself.
        defined: Names of all functions so far.
        constants: Values that the translated program reads by name.
        fresh: How many names were made.
    """

    source: Source
    parameters: dict[str, Named]
    modules: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Allowed] = field(default_factory=dict)
    numbers: dict[str, Named] = field(default_factory=dict)
    helpers: dict[str, Helper] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    constants: dict[str, object] = field(default_factory=dict)
    fresh: int = 0

    def new_name(self) -> str:
        """Return a name that is new to the translated program."""
        self.fresh += 1
        return f"n{self.fresh}"

    def constant(self, value: object) -> ast.Name:
        """Return a name by which the translated program reads a value."""
        name = self.new_name()
        self.constants[name] = value
        return ast.Name(name, ast.Load())

    def import_names(self, node: ast.Import | ast.ImportFrom) -> None:
        """Take note of an import; nothing is imported.

        Raises:
            ProgramError: Something else than math and numpy is imported.
        """
        cure = "import only math, or write np for numpy"
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name not in MODULES:
                    raise self.source.refuse(node, f"{alias.name} cannot be imported", cure)
                self.modules[alias.asname or alias.name] = alias.name
            return
        known = MODULES.get(node.module or "", {}) if node.level == 0 else {}
        for alias in node.names:
            if alias.name in known:
                self.functions[alias.asname or alias.name] = known[alias.name]
            elif known and alias.name in CONSTANTS:
                value = self.constant(CONSTANTS[alias.name])
                self.numbers[alias.asname or alias.name] = Named("number", value.id)
            else:
                what = f"{alias.name} cannot be imported from {node.module}"
                raise self.source.refuse(node, what, cure)

    def function(self, node: ast.expr) -> tuple[str, Allowed] | None:
        """Return name and function that a call's function part means, if it is an allowed one."""
        if isinstance(node, ast.Name):
            found = self.functions.get(node.id) or PLAIN.get(node.id)
            return None if found is None else (node.id, found)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self.module_of(node.value.id)
            found = MODULES[module].get(node.attr) if module else None
            return None if found is None else (f"{module}.{node.attr}", found)
        return None

    def module_of(self, name: str) -> str | None:
        """Return which module a name means; math and np need no import."""
        return self.modules.get(name) or {"math": "math", "np": "numpy"}.get(name)


@dataclass
class Scope:
    """The names of one function.

    Attributes:
        module: What it shares with the other functions.
        names: Its parameters and variables.
        operations: What a call costs so far.
        turns: How often the place now being translated runs in one call.
    """

    module: Module
    names: dict[str, Named] = field(default_factory=dict)
    operations: int = 0
    turns: int = 1

    def look_up(self, node: ast.Name) -> Named:
        """Return what a name stands for.

        Raises:
            ProgramError: The name is not known.
        """
        found = self.names.get(node.id) or self.module.numbers.get(node.id)
        if found is None:
            raise self.module.source.refuse(
                node,
                f"{node.id!r} is no number or quantity known here",
                f"use {', '.join([*self.names, *self.module.numbers]) or 'numbers'}",
            )
        return found

    def refuse(self, node: ast.AST, problem: str) -> ProgramError:
        """Return the error that a node is not allowed."""
        return self.module.source.refuse(node, problem)

    def spend(self, node: ast.AST, operations: int = 1) -> None:
        """Count operations, once for each time that the place runs.

        Raises:
            ProgramError: A call would take more than `MOST_OPERATIONS`.
        """
        self.operations += operations * self.turns
        if self.operations > MOST_OPERATIONS:
            raise self.module.source.refuse(
                node,
                f"a call could take more than {MOST_OPERATIONS:,} operations",
                "loop over fewer values",
            )
