"""The text of a program as a syntax tree, and errors that quote its lines."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from unicodedata import category

from dragoman.errors import ProgramError
from dragoman.models.free_text import fenced_blocks, without_thinking

MOST_CHARACTERS = 10_000
MOST_DEPTH = 60
"""Deepest nesting of the syntax tree: a sum of fifty terms still fits."""

CONTROL = ("Cc", "Cs")
"""Kinds of characters that no program holds: control characters and halves of pairs."""

QUOTED = 80
"""Characters of a line that an error shows."""

WRITE_PLAINLY = (
    "use numbers, the named quantities, if, for over range() or over the quantities, "
    "and functions of math"
)


@dataclass(frozen=True)
class Source:
    """A program that has been read, but neither checked nor run.

    Attributes:
        text: The program.
        tree: Its syntax tree.
    """

    text: str
    tree: ast.Module

    @classmethod
    def read(cls, text: str) -> Source:
        """Read a program within limits that keep the reading itself harmless.

        Raises:
            ProgramError: The text is too long, too deeply nested or no Python.
        """
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > MOST_CHARACTERS:
            raise ProgramError(
                f"the program has {len(text):,} characters, but may have {MOST_CHARACTERS:,}",
                cure="write a shorter program",
            )
        odd = next(
            (item for item in text if item not in "\n\t" and category(item) in CONTROL), None
        )
        if odd is not None:
            raise ProgramError(
                f"the program holds the character U+{ord(odd):04X}, which is no text",
                cure="write plain text",
            )
        too_deep = ProgramError(
            f"the program is nested more than {MOST_DEPTH} levels deep",
            cure="give intermediate results a name",
        )
        try:
            tree = _parsed(text)
        except (MemoryError, RecursionError):
            raise too_deep from None
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            place = "" if line is None else f" in line {line}{quoted(text, line)}"
            what = getattr(error, "msg", None) or "it cannot be read"
            raise ProgramError(
                f"the program is no valid Python{place}: {what}", cure="mend the syntax"
            ) from None
        if _depth(tree) > MOST_DEPTH:
            raise too_deep
        return cls(text, tree)

    def refuse(self, node: ast.AST, problem: str, cure: str = WRITE_PLAINLY) -> ProgramError:
        """Return the error that a node of the tree is not allowed."""
        return self.refuse_line(getattr(node, "lineno", 1), problem, cure)

    def refuse_line(self, line: int, problem: str, cure: str) -> ProgramError:
        """Return an error about a line."""
        return ProgramError(f"line {line}{quoted(self.text, line)}: {problem}", cure=cure)


def quoted(text: str, line: int) -> str:
    """Return `` 'x = 1'``, the text of a line by its number from 1, or nothing."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        return ""
    shown = lines[line - 1].strip()
    return f" {shown if len(shown) <= QUOTED else shown[: QUOTED - 3] + '...'!r}"


def code_of(answer: str) -> str:
    """Return the program in a language model's answer: its fenced blocks, or all of it.

    What the model has thought before it answered is left out, and so are drafts: a block that is
    no Python where another is, and one whose functions are all defined again later.

    Raises:
        ProgramError: The answer holds no function.
    """
    answer = without_thinking(answer)
    blocks = [block for block in fenced_blocks(answer) if "def " in block]
    if "def " not in answer:
        raise ProgramError(
            f"the answer holds no function: {answer.strip()[:QUOTED]!r}",
            cure="answer with one block of Python between ```python and ```",
        )
    kept: list[str] = []
    defined: set[str] = set()
    for block in reversed(blocks):
        names = _functions(block)
        if names - defined:
            kept.insert(0, block)
            defined |= names
    return "\n".join(kept or blocks[-1:] or [answer])


def _functions(code: str) -> set[str]:
    """Return the names of the functions of a program; none where it is no Python."""
    try:
        tree = _parsed(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return set()
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return ast.parse(text)


def _depth(tree: ast.AST) -> int:
    """Return how deeply a tree is nested, without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth
