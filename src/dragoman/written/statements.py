"""Statements of a checked program, rewritten beside its expressions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from dragoman.errors import ProgramError
from dragoman.written.expressions import number, operation, term_name, test
from dragoman.written.loops import bind, loop
from dragoman.written.names import Module, Named, Scope


class Body:
    """Rewrites the statements of one function.

    Args:
        module: What the functions of the program share.
        node: The function.
        named_terms: Whether it may return several named numbers instead of one.

    Attributes:
        scope: Its names.
        terms: The names of the numbers it returns; empty where it returns a plain number.
    """

    def __init__(self, module: Module, node: ast.FunctionDef, *, named_terms: bool) -> None:
        self.scope = Scope(module)
        self.node = node
        self.named_terms = named_terms
        self.terms: tuple[str, ...] | None = None
        for argument in node.args.args:
            known = module.parameters.get(argument.arg)
            named = known or Named("number", module.new_name())
            if known is not None:
                named = Named(known.kind, module.new_name(), known.keys)
            self.scope.names[argument.arg] = named
        self.parameters = tuple(self.scope.names.values())
        self._name_variables()

    def statements(self) -> list[ast.stmt]:
        """Return the rewritten statements.

        Raises:
            ProgramError: The function holds something that is not allowed.
        """
        written = self._all(self.node.body)
        if not _always_returns(self.node.body):
            what = f"{self.node.name} can end without a return"
            raise self.refuse(self.node.body[-1], what, "end with a return on every path")
        return written

    def refuse(self, node: ast.AST, problem: str, cure: str) -> ProgramError:
        """Return the error that a node is not allowed."""
        return self.scope.module.source.refuse(node, problem, cure)

    def _name_variables(self) -> None:
        """Give every variable its meaning before the first use, as Python itself does."""
        terms: dict[str, list[str]] = {}
        nodes = list(_inside(self.node.body))
        for name, value in (pair for node in nodes for pair in _assigned(node)):
            if isinstance(value, ast.Dict):
                words = [_word(key) for key in value.keys]
                terms[name] = terms.get(name, []) + [word for word in words if word is not None]
            elif name not in self.scope.names:
                self.scope.names[name] = Named("number", self.scope.module.new_name())
        for name, word in (pair for node in nodes for pair in _parts_set(node)):
            if name in terms:
                terms[name].append(word)
        for name, keys in terms.items():
            if name in self.scope.names:
                what = f"{name!r} is a dict in one place and something else in another"
                raise self.refuse(self.node, what, "give them two names")
            fresh = self.scope.module.new_name()
            self.scope.names[name] = Named("terms", fresh, tuple(dict.fromkeys(keys)))

    def _all(self, nodes: Sequence[ast.stmt]) -> list[ast.stmt]:
        written = []
        for node in nodes:
            for found in self._one(node):
                written.append(ast.copy_location(found, node))
        return written or [ast.Pass()]

    def _one(self, node: ast.stmt) -> list[ast.stmt]:
        self.scope.spend(node)
        match node:
            case ast.Pass() | ast.Break() | ast.Continue():
                return [type(node)()]
            case ast.Expr(value=ast.Constant(value=str())):
                return []
            case ast.Import() | ast.ImportFrom():
                self.scope.module.import_names(node)
                return []
            case ast.Assign() | ast.AnnAssign(value=ast.expr()):
                return self._assign(node)
            case ast.AugAssign():
                return [self._change(node)]
            case ast.If():
                condition = test(node.test, self.scope)
                orelse = self._all(node.orelse) if node.orelse else []
                return [ast.If(condition, self._all(node.body), orelse)]
            case ast.For(orelse=[]):
                return [self._loop(node)]
            case ast.Return(value=ast.expr()):
                return [self._return(node)]
        what = _WORDS.get(type(node), f"the statement {type(node).__name__}")
        raise self.scope.refuse(node, f"{what} is not allowed")

    def _assign(self, node: ast.Assign | ast.AnnAssign) -> list[ast.stmt]:
        assert node.value is not None
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if len(targets) == 1 and isinstance(targets[0], ast.Tuple):
            return self._unpack(targets[0], node.value)
        if isinstance(node.value, ast.Dict):
            if len(targets) != 1 or not isinstance(targets[0], ast.Name):
                raise self.scope.refuse(node, "a dict needs one name of its own")
            terms = self.scope.names[targets[0].id]
            values = self._dict(node.value).items()
            return [self._set(f"{terms.name}_{terms.keys.index(key)}", one) for key, one in values]
        value = number(node.value, self.scope)
        names = [self._target(target) for target in targets]
        return [self._set(names[0], value)] + [
            self._set(name, ast.Name(names[0], ast.Load())) for name in names[1:]
        ]

    def _unpack(self, target: ast.Tuple, value: ast.expr) -> list[ast.stmt]:
        if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
            raise self.scope.refuse(target, "as many values as names must be written out here")
        names = [ast.Name(self._target(one), ast.Store()) for one in target.elts]
        values = [number(one, self.scope) for one in value.elts]
        return [ast.Assign([ast.Tuple(list(names), ast.Store())], ast.Tuple(values, ast.Load()))]

    def _change(self, node: ast.AugAssign) -> ast.stmt:
        name = self._target(node.target)
        before, value = ast.Name(name, ast.Load()), number(node.value, self.scope)
        return self._set(name, operation(node, before, node.op, value, self.scope))

    def _target(self, node: ast.expr) -> str:
        """Return the variable of the translated program that is assigned to."""
        if isinstance(node, ast.Name):
            named = self.scope.look_up(node)
            if named.kind == "number" and node.id in self.scope.names:
                return named.name
            raise self.scope.refuse(node, f"{node.id!r} cannot be set to a number")
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            named = self.scope.look_up(node.value)
            if named.kind == "terms":
                return term_name(node.slice, named, self.scope)
            what = f"{node.value.id!r} cannot be changed"
            raise self.refuse(node, what, "give the new value a name of its own")
        raise self.scope.refuse(node, f"{ast.unparse(node)[:60]} cannot be assigned to")

    def _set(self, name: str, value: ast.expr) -> ast.stmt:
        return ast.Assign([ast.Name(name, ast.Store())], value)

    def _loop(self, node: ast.For) -> ast.stmt:
        over = loop(node.iter, self.scope, number)
        for target in [node.target, *getattr(node.target, "elts", [])]:
            # What the first pass took for a number may be a key.
            if isinstance(target, ast.Name) and target.id in _loop_variables(self.node):
                self.scope.names.pop(target.id, None)
        target = bind(node.target, over, self.scope)
        self.scope.turns *= max(over.turns, 1)
        body = self._all(node.body)
        self.scope.turns //= max(over.turns, 1)
        return ast.For(target, over.values, body, [])

    def _return(self, node: ast.Return) -> ast.stmt:
        value = node.value
        assert value is not None
        found: dict[str, ast.expr] | None = None
        if isinstance(value, ast.Dict):
            found = self._dict(value)
        elif isinstance(value, ast.Name) and self.scope.look_up(value).kind == "terms":
            terms = self.scope.look_up(value)
            names = [ast.Name(f"{terms.name}_{i}", ast.Load()) for i in range(len(terms.keys))]
            found = dict(zip(terms.keys, names, strict=True))
        keys = () if found is None else tuple(found)
        if found is not None and not found:
            raise self.refuse(node, "the dict is empty", "name at least one number")
        if self.terms is None:
            self.terms = keys
        if set(keys) != set(self.terms):
            what = f"here {sorted(keys)} is returned, elsewhere {sorted(self.terms)}"
            raise self.refuse(node, what, "return the same names on every path")
        if not self.named_terms:
            return ast.Return(number(value, self.scope))
        if found is None:
            return ast.Return(ast.Tuple([number(value, self.scope)], ast.Load()))
        return ast.Return(ast.Tuple([found[key] for key in self.terms], ast.Load()))

    def _dict(self, node: ast.Dict) -> dict[str, ast.expr]:
        keys = [_word(key) for key in node.keys]
        if None in keys or len(set(keys)) < len(keys):
            raise self.scope.refuse(node, "the names in a dict must be different plain strings")
        values = [number(value, self.scope) for value in node.values]
        return dict(zip([str(key) for key in keys], values, strict=True))


def returns_dict(node: ast.FunctionDef) -> bool:
    """Return whether a function gives named numbers, so that no other can call it as a helper."""
    inside = list(_inside(node.body))
    dicts = {
        name for one in inside for name, value in _assigned(one) if isinstance(value, ast.Dict)
    }
    returned = [one.value for one in inside if isinstance(one, ast.Return)]
    return any(
        isinstance(value, ast.Dict) or (isinstance(value, ast.Name) and value.id in dicts)
        for value in returned
    )


def _inside(nodes: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those inside them, but not those of other functions."""
    for node in nodes:
        yield node
        if isinstance(node, ast.If | ast.For):
            yield from _inside([*node.body, *node.orelse])


def _targets(node: ast.stmt) -> list[ast.expr]:
    """Return what a statement assigns to, with tuples taken apart."""
    match node:
        case ast.Assign():
            targets = node.targets
        case ast.AnnAssign() | ast.AugAssign() | ast.For():
            targets = [node.target]
        case _:
            targets = []
    return [
        part
        for target in targets
        for part in (target.elts if isinstance(target, ast.Tuple) else [target])
    ]


def _assigned(node: ast.stmt) -> list[tuple[str, ast.expr | None]]:
    """Return the names that a statement sets, and to what where that is one expression."""
    value = getattr(node, "value", None)
    return [(one.id, value) for one in _targets(node) if isinstance(one, ast.Name)]


def _parts_set(node: ast.stmt) -> list[tuple[str, str]]:
    """Return name and key of each ``name["key"]`` that a statement sets."""
    return [
        (one.value.id, word)
        for one in _targets(node)
        if isinstance(one, ast.Subscript) and isinstance(one.value, ast.Name)
        if (word := _word(one.slice)) is not None
    ]


def _loop_variables(function: ast.FunctionDef) -> set[str]:
    """Return the names that only loops set."""
    by_loops: set[str] = set()
    by_others: set[str] = set()
    for node in _inside(function.body):
        names = {name for name, _ in _assigned(node)}
        (by_loops if isinstance(node, ast.For) else by_others).update(names)
    return by_loops - by_others - {argument.arg for argument in function.args.args}


def _word(node: ast.expr | None) -> str | None:
    is_word = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_word else None  # type: ignore[union-attr]


def _always_returns(nodes: Sequence[ast.stmt]) -> bool:
    last = nodes[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _always_returns(last.body) and _always_returns(last.orelse)
    return isinstance(last, ast.Return)


_WORDS: dict[type[ast.stmt], str] = {
    ast.Assert: "assert",
    ast.AsyncFor: "async",
    ast.AsyncFunctionDef: "async",
    ast.AsyncWith: "async",
    ast.AnnAssign: "a name without a value",
    ast.ClassDef: "a class",
    ast.Delete: "del",
    ast.Expr: "an expression whose value is thrown away",
    ast.For: "for with else",
    ast.FunctionDef: "a function inside a function",
    ast.Global: "global",
    ast.Match: "match",
    ast.Nonlocal: "nonlocal",
    ast.Raise: "raise",
    ast.Return: "return without a value",
    ast.Try: "try",
    ast.While: "while",
    ast.With: "with",
}
