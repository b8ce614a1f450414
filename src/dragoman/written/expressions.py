"""Expressions of a checked program, rewritten so that every value is a float.

Truth values are 1.0 and 0.0, integers are floats and ``**`` is `math.pow`. So nothing grows: no
huge integers, no strings, no lists, no complex numbers.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from dragoman.written.functions import CONSTANTS
from dragoman.written.loops import READ, bind, loop, mapping_of
from dragoman.written.names import Named, Scope

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


def number(node: ast.expr, scope: Scope) -> ast.expr:
    """Return an expression rewritten to give a float.

    Raises:
        ProgramError: It holds something that is not allowed.
    """
    scope.spend(node)
    write = _NUMBERS.get(type(node))
    if write is None:
        raise scope.refuse(node, f"{_what(node)} is not allowed")
    return ast.copy_location(write(node, scope), node)


def test(node: ast.expr, scope: Scope) -> ast.expr:
    """Return an expression rewritten for use as a condition."""
    scope.spend(node)
    match node:
        case ast.BoolOp():
            found: ast.expr = ast.BoolOp(node.op, [test(value, scope) for value in node.values])
        case ast.UnaryOp(op=ast.Not()):
            found = ast.UnaryOp(node.op, test(node.operand, scope))
        case ast.Compare():
            found = _comparison(node, scope)
        case _:
            found = number(node, scope)
    return ast.copy_location(found, node)


def key_place(node: ast.expr, named: Named, scope: Scope) -> ast.expr:
    """Return the place in a mapping that a key means."""
    if isinstance(node, ast.Constant) and node.value in named.keys:
        return ast.Constant(named.keys.index(node.value))
    if isinstance(node, ast.Name) and scope.look_up(node).kind == "key":
        key = scope.look_up(node)
        if key.keys == named.keys:
            return ast.Name(key.name, READ)
    raise scope.module.source.refuse(
        node,
        f"{ast.unparse(node)[:60]} is none of its names",
        f"use {', '.join(map(repr, named.keys)) or 'a name that was set before'}",
    )


def _constant(node: ast.Constant, scope: Scope) -> ast.expr:
    if not isinstance(node.value, bool | int | float):
        raise scope.refuse(node, f"{_what(node)} is not allowed as a value")
    try:
        value = float(node.value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise scope.refuse(node, "a number is too large")
    return ast.Constant(value)


def _name(node: ast.Name, scope: Scope) -> ast.expr:
    named = scope.look_up(node)
    if named.kind != "number":
        raise scope.refuse(node, f"{node.id!r} is no number; take one out by its name")
    return ast.Name(named.name, READ)


def _attribute(node: ast.Attribute, scope: Scope) -> ast.expr:
    is_module = isinstance(node.value, ast.Name) and scope.module.module_of(node.value.id)
    if not is_module or node.attr not in CONSTANTS:
        raise scope.refuse(node, f"the attribute {node.attr!r} is not allowed")
    return ast.Constant(CONSTANTS[node.attr])


def _unary(node: ast.UnaryOp, scope: Scope) -> ast.expr:
    if isinstance(node.op, ast.Not):
        return _truth(test(node, scope))
    if not isinstance(node.op, ast.USub | ast.UAdd):
        raise scope.refuse(node, f"the operator {type(node.op).__name__} is not allowed")
    return ast.UnaryOp(node.op, number(node.operand, scope))


def _binary(node: ast.BinOp, scope: Scope) -> ast.expr:
    return operation(node, number(node.left, scope), node.op, number(node.right, scope), scope)


def operation(
    node: ast.AST, left: ast.expr, operator: ast.operator, right: ast.expr, scope: Scope
) -> ast.expr:
    """Return an arithmetic operation on two rewritten operands."""
    if isinstance(operator, ast.Pow):
        return ast.Call(scope.module.constant(math.pow), [left, right], [])
    if not isinstance(operator, ARITHMETIC):
        raise scope.refuse(node, f"the operator {type(operator).__name__} is not allowed")
    return ast.BinOp(left, operator, right)


def _either(node: ast.BoolOp, scope: Scope) -> ast.expr:
    return ast.BoolOp(node.op, [number(value, scope) for value in node.values])


def _choice(node: ast.IfExp, scope: Scope) -> ast.expr:
    return ast.IfExp(test(node.test, scope), number(node.body, scope), number(node.orelse, scope))


def _compare(node: ast.Compare, scope: Scope) -> ast.expr:
    return _truth(_comparison(node, scope))


def _comparison(node: ast.Compare, scope: Scope) -> ast.expr:
    compared: list[ast.expr] = []
    for operator, other in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.In | ast.NotIn) and isinstance(
            other, ast.Tuple | ast.List | ast.Set
        ):
            compared.append(ast.Tuple([number(one, scope) for one in other.elts], READ))
        elif isinstance(operator, COMPARISONS):
            compared.append(number(other, scope))
        else:
            raise scope.refuse(node, f"the comparison {type(operator).__name__} is not allowed")
    return ast.Compare(number(node.left, scope), node.ops, compared)


def _truth(condition: ast.expr) -> ast.expr:
    return ast.IfExp(condition, ast.Constant(1.0), ast.Constant(0.0))


def _subscript(node: ast.Subscript, scope: Scope) -> ast.expr:
    if not isinstance(node.value, ast.Name):
        raise scope.refuse(node, "only state, next_state, action and named terms have parts")
    named = scope.look_up(node.value)
    if named.kind == "mapping":
        return ast.Subscript(ast.Name(named.name, READ), key_place(node.slice, named, scope), READ)
    if named.kind == "terms":
        return ast.Name(term_name(node.slice, named, scope), READ)
    raise scope.refuse(node, f"{node.value.id!r} has no parts")


def term_name(node: ast.expr, terms: Named, scope: Scope) -> str:
    """Return the variable that holds one of several named terms."""
    place = key_place(node, terms, scope)
    assert isinstance(place, ast.Constant)
    return f"{terms.name}_{place.value!r}"


def _call(node: ast.Call, scope: Scope) -> ast.expr:
    if node.keywords or any(isinstance(one, ast.Starred) for one in node.args):
        raise scope.refuse(node, "arguments with a name or a star are not allowed")
    found = scope.module.function(node.func)
    if isinstance(node.func, ast.Name):
        if node.func.id in scope.module.helpers:
            return _helper(node, node.func.id, scope)
        if node.func.id == "len" and len(node.args) == 1:
            mapping = mapping_of(node.args[0], scope)
            if mapping is not None:
                return ast.Constant(float(len(mapping[0].keys)))
    several = _several(node, scope)
    if several is not None:
        return several
    taken = _get(node, scope)
    if taken is not None:
        return taken
    if found is None:
        raise scope.refuse(node, f"{ast.unparse(node.func)[:60]} cannot be called")
    name, allowed = found
    if not allowed.least <= len(node.args) <= allowed.most:
        raise scope.refuse(node, f"{name} does not take {len(node.args)} arguments")
    arguments = [number(one, scope) for one in node.args]
    return ast.Call(scope.module.constant(allowed.call), arguments, [])


def _helper(node: ast.Call, name: str, scope: Scope) -> ast.expr:
    helper = scope.module.helpers[name]
    if len(node.args) != len(helper.parameters):
        raise scope.refuse(node, f"{name} takes {len(helper.parameters)} arguments")
    arguments: list[ast.expr] = []
    for argument, parameter in zip(node.args, helper.parameters, strict=True):
        if parameter.kind == "number":
            arguments.append(number(argument, scope))
            continue
        named = scope.look_up(argument) if isinstance(argument, ast.Name) else None
        if named is None or (named.kind, named.keys) != (parameter.kind, parameter.keys):
            raise scope.refuse(node, f"{name} takes a whole mapping such as state here")
        arguments.append(ast.Name(named.name, READ))
    scope.spend(node, helper.operations)
    return ast.Call(ast.Name(helper.name, READ), arguments, [])


def _several(node: ast.Call, scope: Scope) -> ast.expr | None:
    """Return ``sum``, ``min`` or ``max`` of one argument that holds several numbers."""
    if not isinstance(node.func, ast.Name) or node.func.id not in ("sum", "min", "max"):
        return None
    if len(node.args) != 1:
        return None
    (argument,) = node.args
    call = scope.module.constant({"sum": _sum, "min": min, "max": max}[node.func.id])
    if isinstance(argument, ast.GeneratorExp | ast.ListComp):
        return ast.Call(call, [_comprehension(argument, scope)], [])
    terms = _terms_of(argument, scope)
    if terms is not None:
        values: ast.expr = ast.Tuple(
            [ast.Name(f"{terms.name}_{i}", READ) for i in range(len(terms.keys))], READ
        )
        return ast.Call(call, [values], [])
    over = loop(argument, scope, number)
    if [target.kind for target in over.targets] != ["number"]:
        raise scope.refuse(node, f"{node.func.id} takes numbers, not names")
    scope.spend(node, over.turns)
    return ast.Call(call, [over.values], [])


def _sum(values: list[float]) -> float:
    # Python's sum starts at an integer zero.
    return sum(values, 0.0)


def _comprehension(node: ast.GeneratorExp | ast.ListComp, scope: Scope) -> ast.expr:
    if len(node.generators) != 1 or node.generators[0].is_async:
        raise scope.refuse(node, "only one plain for is allowed here")
    (one,) = node.generators
    over = loop(one.iter, scope, number)
    before = dict(scope.names)
    target = bind(one.target, over, scope)
    scope.turns *= max(over.turns, 1)
    conditions = [test(condition, scope) for condition in one.ifs]
    element = number(node.elt, scope)
    scope.turns //= max(over.turns, 1)
    scope.names.clear()
    scope.names.update(before)
    return ast.ListComp(element, [ast.comprehension(target, over.values, conditions, 0)])


def _get(node: ast.Call, scope: Scope) -> ast.expr | None:
    """Return ``state.get("name")`` as a subscript."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr != "get":
        return None
    named = scope.names.get(function.value.id) if isinstance(function.value, ast.Name) else None
    if named is None or named.kind != "mapping" or not 1 <= len(node.args) <= 2:
        return None
    place = key_place(node.args[0], named, scope)
    return ast.Subscript(ast.Name(named.name, READ), place, READ)


def _terms_of(node: ast.expr, scope: Scope) -> Named | None:
    """Return the terms that ``terms.values()`` means."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="values"), args=[]):
            named = scope.names.get(name)
            return named if named is not None and named.kind == "terms" else None
    return None


def _what(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return f"{type(node.value).__name__} {node.value!r}"[:60]
    return _WORDS.get(type(node), type(node).__name__)


_NUMBERS: dict[type[ast.expr], Callable[[Any, Scope], ast.expr]] = {
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.BoolOp: _either,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.Constant: _constant,
    ast.IfExp: _choice,
    ast.Name: _name,
    ast.Subscript: _subscript,
    ast.UnaryOp: _unary,
}

_WORDS: dict[type[ast.expr], str] = {
    ast.Await: "await",
    ast.Dict: "a dict in this place",
    ast.DictComp: "a dict comprehension",
    ast.GeneratorExp: "a generator in this place",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "lambda",
    ast.List: "a list in this place",
    ast.ListComp: "a list comprehension in this place",
    ast.NamedExpr: "the operator :=",
    ast.Set: "a set in this place",
    ast.SetComp: "a set comprehension",
    ast.Slice: "a slice",
    ast.Starred: "a starred expression",
    ast.Tuple: "a tuple in this place",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
}
