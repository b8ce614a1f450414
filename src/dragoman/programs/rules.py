"""What a program may say, so that what it gives depends on its arguments alone.

Safety rests on the sandbox, not on these rules. They keep out what differs from call to call, and
say by line what a model should write instead, before anything runs.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping, Sequence

from dragoman.errors import ProgramError
from dragoman.programs.source import Source

BUILTINS = frozenset(
    (
        *("abs", "all", "any", "bool", "dict", "divmod", "enumerate", "filter", "float"),
        *("frozenset", "int", "isinstance", "iter", "len", "list", "map", "max", "min", "next"),
        *("pow", "print", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str"),
        *("sum", "tuple", "type", "zip", "ArithmeticError", "AssertionError", "AttributeError"),
        *("Exception", "ImportError", "IndexError", "KeyError", "LookupError", "TypeError"),
        *("NotImplementedError", "OverflowError", "RuntimeError", "StopIteration", "ValueError"),
        "ZeroDivisionError",
    )
)
"""Python's own names that a program may use."""

NEVER = frozenset(
    ("compile", "delattr", "eval", "exec", "getattr", "globals", "locals", "open", "setattr")
)
"""Names that a program may not even give to something of its own."""

RESERVED = ("__", "_dragoman")
"""Names that begin so are the sandbox's."""

MODULES = ("math", "numpy", "typing", "__future__")
ALWAYS = frozenset({"math", "np", "numpy"})
"""Names of modules that need no import."""


def check_signatures(source: Source, wanted: Mapping[str, Sequence[str]]) -> None:
    """Refuse a program that does not define each wanted function, with its parameters.

    Raises:
        ProgramError: A function is missing, or has other parameters.
    """
    for name, parameters in wanted.items():
        cure = f"define {name}({', '.join(parameters)})"
        result = [
            node
            for node in source.tree.body
            if isinstance(node, ast.FunctionDef) and node.name == name
        ]
        if not result:
            raise ProgramError(f"the program has no function {name!r}", cure=cure)
        plain = [argument.arg for argument in result[-1].args.args]
        if plain != list(parameters):
            what = f"{name} has the parameters {', '.join(plain) or 'none'}"
            raise source.refuse(result[-1], what, cure)


def check(source: Source) -> None:
    """Refuse a program that could keep something between calls, or uses what is not there.

    Raises:
        ProgramError: It does; with the line.
    """
    # In the order of the text, so that the first fault is named.
    nodes = sorted(_evaluated(source.tree), key=lambda node: getattr(node, "lineno", 0))
    known = BUILTINS | ALWAYS | {name for node in nodes for name in _bound(node)}
    for node in _outside_functions(source.tree.body):
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Await):
            raise source.refuse(node, "this belongs into a function")
    for node in nodes:
        problem = _problem(node, known)
        if problem is not None:
            raise source.refuse(node, *problem)


def imports(source: Source) -> tuple[dict[str, str], list[ast.Import | ast.ImportFrom]]:
    """Return what each imported name stands for in the sandbox, and the imports themselves.

    Raises:
        ProgramError: A name stands for two things.
    """
    names: dict[str, str] = {}
    result = [
        node for node in ast.walk(source.tree) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    for node in result:
        for alias in node.names:
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if "__future__" in (module, alias.name):
                continue
            name = alias.asname or alias.name
            meaning = alias.name if module is None else f"{module}.{alias.name}"
            if names.setdefault(name, meaning) != meaning:
                raise source.refuse(node, f"{name!r} is imported as two things", "use two names")
    return names, result


def _problem(node: ast.AST, known: frozenset[str]) -> tuple[str] | tuple[str, str] | None:
    """Return what is wrong with a node and what to write instead, or ``None``."""
    taken = [name for name in _bound(node) if name.startswith(RESERVED) or name in NEVER]
    if taken:
        return f"nothing can be called {taken[0]!r}", "rename it"
    match node:
        case ast.Global():
            what = "a global variable keeps something between calls"
            return what, "compute from the arguments alone"
        case ast.Import() | ast.ImportFrom():
            return _import_problem(node)
        case ast.Attribute(attr=name) if name.startswith("_"):
            return (f"the attribute {name!r} is not allowed",)
        case ast.Attribute(ctx=ast.Store() | ast.Del()):
            return "an attribute cannot be set", "use plain variables"
        case ast.Name(id=name) if name not in known or name in NEVER:
            return (f"{name!r} is not known here",)
    return None


def _import_problem(node: ast.Import | ast.ImportFrom) -> tuple[str, str] | None:
    cure = "import only math, or write np for numpy"
    if isinstance(node, ast.Import):
        others = [alias.name for alias in node.names if alias.name not in MODULES]
        return (f"{others[0]} cannot be imported", cure) if others else None
    module = "." * node.level + (node.module or "")
    if module not in MODULES:
        return f"{module} cannot be imported", cure
    for alias in node.names:
        if alias.name == "*" or (module == "math" and not hasattr(math, alias.name)):
            return f"{alias.name} cannot be imported from {module}", cure
    return None


def _evaluated(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but annotations, which the sandbox does not evaluate."""
    left = [tree]
    while left:
        node = left.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                parts = value if isinstance(value, list) else [value]
                left += [part for part in parts if isinstance(part, ast.AST)]


def _bound(node: ast.AST) -> list[str]:
    """Return the names that a node gives to something."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.alias(name=name, asname=shown):
            return [shown or name.split(".")[0]] if name != "__future__" else []
        case ast.ExceptHandler(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
    return []


def _outside_functions(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    left = list(body)
    while left:
        node = left.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            left += ast.iter_child_nodes(node)
