"""From a program in a small part of Python to functions on floats, or to an error.

What runs is never the program's own text, but a new one that is written from its syntax tree node
by node. The new program holds names made here, floats, arithmetic, comparisons, ``if``, loops of
known length and calls of the functions in `dragoman.written.functions`: nothing that could reach a
file, a module or an attribute, and nothing that could take more than `MOST_OPERATIONS`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dragoman.errors import ProgramError
from dragoman.written.expressions import number
from dragoman.written.names import Helper, Module, Named, Scope
from dragoman.written.source import Source
from dragoman.written.statements import Body, returns_dict

FILENAME = "<program>"

FAILURES: Mapping[type[Exception], str] = {
    ZeroDivisionError: "a division by zero",
    OverflowError: "a number grows beyond what a float holds",
    NameError: "a variable is used before it is set",
    ValueError: "a function is asked for something outside its domain",
    ArithmeticError: "a number cannot be computed",
}
"""What can go wrong in a translated program; Python's own words differ between its versions."""


@dataclass(frozen=True)
class Translated:
    """One function of a program, ready to be called.

    Attributes:
        call: One argument a parameter in, one float a term out. Raises ArithmeticError, ValueError
            or NameError where the program does.
        terms: Names of what it returns; empty for one number without a name.
        operations: Most operations of one call.
    """

    call: Callable[..., tuple[float, ...]]
    terms: tuple[str, ...]
    operations: int


def check_signatures(source: Source, wanted: Mapping[str, Sequence[str]]) -> None:
    """Refuse a program that does not define each wanted function, with its parameters.

    Raises:
        ProgramError: A function is missing, or has other parameters.
    """
    for name, parameters in wanted.items():
        cure = f"define {name}({', '.join(parameters)})"
        found = [
            node
            for node in source.tree.body
            if isinstance(node, ast.FunctionDef) and node.name == name
        ]
        if not found:
            raise ProgramError(f"the program has no function {name!r}", cure=cure)
        plain = [argument.arg for argument in found[-1].args.args]
        if plain != list(parameters):
            what = f"{name} has the parameters {', '.join(plain) or 'none'}"
            raise source.refuse(found[-1], what, cure)


def translate(
    source: Source,
    wanted: Sequence[str],
    parameters: Mapping[str, Sequence[str]],
) -> dict[str, Translated]:
    """Return the wanted functions of a program.

    Args:
        source: The program.
        wanted: Names of functions that it defines; `check_signatures` has looked.
        parameters: What parameters of these names hold: names of numbers, in order, or nothing
            for a plain number.

    Raises:
        ProgramError: The program leaves the part of Python that is allowed.
    """
    named = {
        name: Named("mapping" if keys else "number", name, tuple(keys))
        for name, keys in parameters.items()
    }
    module = Module(source, named)
    written: list[ast.stmt] = []
    found: dict[str, tuple[str, Body]] = {}
    for node in source.tree.body:
        match node:
            case ast.Import() | ast.ImportFrom():
                module.import_names(node)
            case ast.Expr(value=ast.Constant(value=str())):
                continue
            case ast.Assign(targets=[ast.Name(id=name)]):
                written.append(_constant(module, name, node))
            case ast.FunctionDef():
                function, body = _function(module, node, wanted)
                written.append(function)
                if node.name in wanted:
                    found[node.name] = (function.name, body)
            case _:
                raise source.refuse(node, "only functions and constants may stand here")
    namespace = _run(written, module)
    return {
        name: Translated(namespace[fresh], body.terms or (), body.scope.operations)  # type: ignore[arg-type]
        for name, (fresh, body) in found.items()
    }


def _run(written: list[ast.stmt], module: Module) -> dict[str, object]:
    """Run the definitions of the translated program and return its names."""
    tree = ast.fix_missing_locations(ast.Module(written, []))
    namespace = {"__builtins__": {}, "enumerate": enumerate, **module.constants}
    code = compile(tree, FILENAME, "exec")
    try:
        exec(code, namespace)
    except (ArithmeticError, ValueError, NameError) as error:
        raise failure(module.source, error) from None
    return namespace


def failure(source: Source, error: Exception) -> ProgramError:
    """Return the error of a translated program in terms of its source."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    what = next(words for kind, words in FAILURES.items() if isinstance(error, kind))
    return source.refuse_line(line, what, "keep every operation within its domain in every state")


def _constant(module: Module, name: str, node: ast.Assign) -> ast.stmt:
    scope = Scope(module)
    value = number(node.value, scope)
    fresh = module.new_name()
    module.numbers[name] = Named("number", fresh)
    return ast.copy_location(ast.Assign([ast.Name(fresh, ast.Store())], value), node)


def _function(
    module: Module, node: ast.FunctionDef, wanted: Sequence[str]
) -> tuple[ast.FunctionDef, Body]:
    arguments = node.args
    if node.decorator_list:
        raise module.source.refuse(node.decorator_list[0], "a decorator is not allowed")
    plain = {argument.arg for argument in arguments.args}
    others = [arguments.vararg, arguments.kwarg, *arguments.kwonlyargs, *arguments.posonlyargs]
    if any(others) or arguments.defaults or len(plain) < len(arguments.args):
        what = f"{node.name} has parameters with a star, a slash or a default"
        raise module.source.refuse(node, what, "use plain parameters")
    if node.name in module.defined:
        raise module.source.refuse(node, f"{node.name} is defined twice", "keep one of the two")
    module.defined.add(node.name)
    is_wanted = node.name in wanted
    named_terms = is_wanted or returns_dict(node)
    body = Body(module, node, named_terms=named_terms)
    statements = body.statements()
    fresh = module.new_name()
    if not named_terms:
        module.helpers[node.name] = Helper(fresh, body.parameters, body.scope.operations)
    parameters = [ast.arg(named.name) for named in body.parameters]
    function = ast.FunctionDef(
        fresh, ast.arguments([], parameters, None, [], [], None, []), statements, []
    )
    return ast.copy_location(function, node), body
