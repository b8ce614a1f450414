"""The code around a program in the sandbox: what it may use, and who calls it on many rows."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence

from dragoman.errors import ProgramError
from dragoman.programs.rules import imports
from dragoman.programs.source import Source

MOST_TERMS = 64
LONGEST_TERM = 60

LINES_BEFORE = 2
"""Lines that stand before the program in what the sandbox reads."""

PRELUDE = """
import math

class numpy:
    e = math.e
    inf = math.inf
    pi = math.pi
    abs = abs
    absolute = abs
    acos = math.acos
    acosh = math.acosh
    arccos = math.acos
    arccosh = math.acosh
    arcsin = math.asin
    arcsinh = math.asinh
    arctan = math.atan
    arctan2 = math.atan2
    arctanh = math.atanh
    asin = math.asin
    asinh = math.asinh
    atan = math.atan
    atan2 = math.atan2
    atanh = math.atanh
    bool_ = bool
    ceil = math.ceil
    copysign = math.copysign
    cos = math.cos
    cosh = math.cosh
    deg2rad = math.radians
    degrees = math.degrees
    exp = math.exp
    exp2 = math.exp2
    expm1 = math.expm1
    fabs = math.fabs
    float32 = float
    float64 = float
    floor = math.floor
    hypot = math.hypot
    isclose = math.isclose
    isfinite = math.isfinite
    isnan = math.isnan
    log = math.log
    log10 = math.log10
    log1p = math.log1p
    log2 = math.log2
    max = max
    maximum = max
    min = min
    minimum = min
    power = math.pow
    rad2deg = math.degrees
    radians = math.radians
    round = round
    sin = math.sin
    sinh = math.sinh
    sqrt = math.sqrt
    sum = sum
    tan = math.tan
    tanh = math.tanh
    trunc = math.trunc

    def clip(value, low, high):
        return min(max(value, low), high)

    def heaviside(value, at_zero):
        return at_zero if value == 0 else 1.0 if value > 0 else 0.0

    def mean(values):
        return sum(values) / len(values)

    def sign(value):
        return (value > 0) - (value < 0)

    def square(value):
        return value * value

    def where(condition, yes, no):
        return yes if condition else no

np = numpy
"""
"""The functions of NumPy that mean the same for one number. Nothing here can be changed by a
program: `dragoman.programs.rules` lets it neither set attributes nor reach other names."""

CHECKS = f"""
_dragoman_place = [0]

def _dragoman_names(given, names):
    if not 0 < len(given) <= {MOST_TERMS}:
        raise ValueError(f"it gives {{len(given)}} terms")
    for name in given:
        if type(name) is not str or len(name) > {LONGEST_TERM}:
            raise ValueError("it gives terms without a name, or with a very long one")
    if names is None:
        return list(given)
    if set(given) != set(names):
        raise ValueError(f"it gives {{sorted(given)}} in one state, {{sorted(names)}} in another")
    return names

def _dragoman_floats(given):
    found = []
    for name, value in given.items():
        if type(value) not in (float, int, bool):
            raise ValueError(f"{{name!r}} is {{type(value).__name__}}, not a number")
        try:
            found.append(float(value))
        except OverflowError:
            found.append(math.inf)
    return found
"""

DRIVER = """
def _dragoman_{name}(numbers, names):
    found = []
    for at in range(0, len(numbers), {width}):
        _dragoman_place[0] = at // {width}
        given = _dragoman_program()[{index}]({arguments})
        if type(given) is not dict:
            given = {{{name!r}: given}}
        if list(given) != names:
            names = _dragoman_names(given, names)
            given = {{name: given[name] for name in names}}
        for value in given.values():
            if type(value) is not float:
                found.extend(_dragoman_floats(given))
                break
        else:
            found.extend(given.values())
    return names, found
"""
"""Calls one function on many rows in one trip, which lie one after the other in one list: a list
for each row would cost a fifth more. The program is defined again for each row, so
that nothing lasts from one to the next; that costs less than a microsecond."""


def wrapped(source: Source, functions: Sequence[str]) -> str:
    """Return a program within a function that returns some of its functions.

    Its lines stay lines, moved down by `LINES_BEFORE`. Imports become names: an import of the
    sandbox takes as long as the rest of a call.

    Raises:
        ProgramError: It is no Python in there.
    """
    names, result = imports(source)
    lines = source.text.encode().split(b"\n")
    # From the last to the first, so that places before stay what they are.
    for node in sorted(result, key=lambda node: (-node.lineno, -node.col_offset)):
        _replace(lines, node, b"pass")
    bound = "; ".join(
        f"{name} = {meaning}"
        for name, meaning in names.items()
        if name != meaning and not meaning.startswith("typing")
    )
    body = "\n".join(f" {line.decode()}" for line in lines)
    text = (
        f"def _dragoman_program():\n {bound or 'pass'}\n{body}\n return ({', '.join(functions)},)\n"
    )
    try:
        is_one = len(ast.parse(text).body) == 1
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        is_one = False
    if not is_one:
        raise ProgramError(
            "the program cannot be indented, so a text or an expression in it is laid out oddly",
            cure="keep texts and expressions in single lines",
        )
    return text


def typing_of(source: Source) -> str:
    """Return the imports from typing, which stand for nothing that runs."""
    names, _ = imports(source)
    result = []
    for name, meaning in names.items():
        if meaning.startswith("typing"):
            module, _, inner = meaning.partition(".")
            result.append(
                f"from {module} import {inner} as {name}" if inner else f"import {module}"
            )
    return "\n".join(result)


def drivers(parameters: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """Return the code that calls functions on many rows.

    Args:
        parameters: The parameters of each function, and the names of the numbers in each; none
            for a plain number.
    """
    written = [CHECKS]
    for index, (name, own) in enumerate(parameters.items()):
        places = itertools.count()
        arguments = ", ".join(_argument(keys, places) for keys in own.values())
        width = next(places)
        written.append(DRIVER.format(name=name, index=index, width=width, arguments=arguments))
    return "".join(written)


def _argument(keys: Sequence[str], places: Iterator[int]) -> str:
    if not keys:
        return f"numbers[at + {next(places)}]"
    return f"{{{', '.join(f'{key!r}: numbers[at + {next(places)}]' for key in keys)}}}"


def _replace(lines: list[bytes], node: ast.stmt, text: bytes) -> None:
    """Put a text in the place of a statement, and leave every line where it is."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    behind = lines[last][node.end_col_offset :]
    if first == last:
        lines[first] = lines[first][: node.col_offset] + text + behind
        return
    lines[first] = lines[first][: node.col_offset] + text
    lines[first + 1 : last + 1] = [b""] * (last - first)
    if behind.strip().startswith(b";"):
        lines[first] += behind
