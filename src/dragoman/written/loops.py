"""Loops of a checked program: only over what has a known length."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dragoman.written.names import MOST_TURNS, Named, Scope

READ = ast.Load()


@dataclass(frozen=True)
class Loop:
    """What a loop runs over.

    Attributes:
        values: The values, in the translated program.
        targets: What the loop variables are: their kinds and keys. The name is left open.
        turns: How many values there are.
    """

    values: ast.expr
    targets: tuple[Named, ...]
    turns: int


def loop(node: ast.expr, scope: Scope, number: Callable[[ast.expr, Scope], ast.expr]) -> Loop:
    """Return what the iterable of a loop gives, if it is one of known length.

    Args:
        node: The iterable.
        scope: The names that it may use.
        number: Rewrites an expression to give a float.

    Raises:
        ProgramError: It is not.
    """
    mapping = mapping_of(node, scope)
    if mapping is not None:
        named, method = mapping
        key, value = Named("key", "", named.keys), Named("number", "")
        places = _places(range(len(named.keys)))
        values = ast.Name(named.name, READ)
        both = ast.Call(ast.Name("enumerate", READ), [values], [])
        found = {
            "keys": (places, (key,)),
            "values": (values, (value,)),
            "items": (both, (key, value)),
        }
        return Loop(*found[method], turns=len(named.keys))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        steps = _range(node, scope)
        return Loop(
            ast.Tuple([ast.Constant(float(one)) for one in steps], READ),
            (Named("number", ""),),
            len(steps),
        )
    if isinstance(node, ast.Tuple | ast.List) and node.elts:
        words = [element.value for element in node.elts if isinstance(element, ast.Constant)]
        if len(words) == len(node.elts) and all(isinstance(word, str) for word in words):
            return _keys(node, [str(word) for word in words], scope)
        elements = [number(element, scope) for element in node.elts]
        return Loop(ast.Tuple(elements, READ), (Named("number", ""),), len(elements))
    raise scope.refuse(
        node,
        "a loop can run over range() of plain numbers, over state or its keys(), values() or "
        "items(), or over a list written out",
    )


def bind(target: ast.expr, over: Loop, scope: Scope) -> ast.expr:
    """Return the rewritten target of a loop, whose names the scope knows from now on."""
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    if len(targets) != len(over.targets) or not all(isinstance(one, ast.Name) for one in targets):
        raise scope.refuse(target, f"this loop has {len(over.targets)} variables")
    written: list[ast.expr] = []
    for one, named in zip(targets, over.targets, strict=True):
        assert isinstance(one, ast.Name)
        known = scope.names.get(one.id)
        if known is not None and (known.kind, known.keys) != (named.kind, named.keys):
            raise scope.refuse(target, f"{one.id!r} already stands for something else")
        name = known.name if known else scope.module.new_name()
        scope.names[one.id] = Named(named.kind, name, named.keys)
        written.append(ast.Name(name, ast.Store()))
    return written[0] if len(written) == 1 else ast.Tuple(written, ast.Store())


def mapping_of(node: ast.expr, scope: Scope) -> tuple[Named, str] | None:
    """Return the mapping that ``state`` or ``state.items()`` means, and the method."""
    method = "keys"
    if isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Attribute):
        method, node = node.func.attr, node.func.value
    if not isinstance(node, ast.Name) or method not in ("keys", "values", "items"):
        return None
    named = scope.names.get(node.id)
    return (named, method) if named is not None and named.kind == "mapping" else None


def _range(node: ast.Call, scope: Scope) -> range:
    bounds = []
    for argument in node.args:
        sign, value = 1, argument
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
            sign, value = -1, value.operand
        is_plain = isinstance(value, ast.Constant) and type(value.value) is int
        bounds.append(sign * value.value if is_plain else None)  # type: ignore[attr-defined]
    try:
        steps = range(*bounds)  # type: ignore[arg-type]
        count = len(steps)
    except OverflowError:
        count = MOST_TURNS + 1
    except (TypeError, ValueError):
        raise scope.refuse(node, "range takes one to three whole numbers written out") from None
    if count > MOST_TURNS:
        raise scope.refuse(node, f"a loop may take at most {MOST_TURNS:,} turns")
    return steps


def _keys(node: ast.expr, words: list[str], scope: Scope) -> Loop:
    """Return a loop over names of quantities that are written out."""
    for named in scope.names.values():
        if named.kind == "mapping" and set(words) <= set(named.keys):
            places = _places([named.keys.index(word) for word in words])
            return Loop(places, (Named("key", "", named.keys),), len(words))
    raise scope.refuse(node, "these are not all names of one of the mappings")


def _places(indices: Sequence[int]) -> ast.expr:
    return ast.Tuple([ast.Constant(index) for index in indices], READ)
