"""What a language model is asked when it should write a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dragoman.programs.program import FUNCTIONS
from dragoman.programs.schema import Schema
from dragoman.programs.source import MOST_CHARACTERS

PURPOSES: Mapping[str, str] = {
    "features": "returns a dict of named numbers, which the agent sees beside the state",
    "potential": "returns a number, or a dict of named numbers that are added: how promising a "
    "state is",
    "reward": "returns a dict of named terms; their sum is added to the environment's own reward "
    "in every step",
}

RULES = f"""Rules for the program:
- Plain Python with numbers. Read quantities by name, as in state["name"].
- You may use if, for over range() or over state.values(), helper functions, min, max, abs, sum, \
round, and the functions of math.
- No other imports, no while, no try, no classes, no lists that grow, no text, no randomness, \
nothing that is kept between calls.
- It must work for every state within the bounds and beyond: no division by zero, no overflow.
- Keep every term between -100 and 100, better between -1 and 1.
- At most {MOST_CHARACTERS:,} characters.

Answer with one block of code between ```python and ``` and nothing else."""


def first_prompt(task: str, schema: Schema, functions: Sequence[str]) -> str:
    """Return what is asked in the first round."""
    wanted = "\n".join(
        f"- {name}({', '.join(FUNCTIONS[name])}) {PURPOSES[name]}" for name in functions
    )
    described = schema.text(acts=any("action" in FUNCTIONS[name] for name in functions))
    return (
        "You write Python for reinforcement learning. An agent learns by trial and error, "
        "guided by what you write.\n\n"
        f"Task: {task}\n\n{described}\n\nDefine:\n{wanted}\n\n{RULES}"
    )


def next_prompt(
    first: str, *, best: tuple[str, str] | None, errors: Sequence[str], attempts: int
) -> str:
    """Return what is asked in a later round.

    Args:
        first: What was asked in the first round.
        best: The best program so far and the statistics of its training, if any has trained.
        errors: What went wrong with the programs that could not be used, each once.
        attempts: How many programs were written so far.
    """
    parts = [first, f"{attempts} programs were tried so far."]
    if best is not None:
        program, statistics = best
        parts.append(
            f"The best was:\n```python\n{program.strip()}\n```\nIts training, from first to last:\n"
            f"{statistics}\n"
            "Terms are sums over an episode. A term that hardly changes does not teach: scale it, "
            "rewrite it or drop it. A term much larger than the others drowns them."
        )
    if errors:
        listed = "\n".join(f"- {error}" for error in errors)
        parts.append(f"These errors occurred; do not repeat them:\n{listed}")
    parts.append("Write a better program.")
    return "\n\n".join(parts)
