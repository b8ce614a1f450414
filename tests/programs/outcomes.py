"""What becomes of a program, in words: the error that a user sees, or that it is harmless."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path

import gymnasium as gym

from dragoman.errors import ProgramError
from dragoman.programs import Limits, Program, Sandbox, Schema, Transitions, check_program
from dragoman.programs.driver import PRELUDE, drivers
from dragoman.programs.program import LARGEST
from dragoman.programs.schema import schema_of
from dragoman.programs.source import Source
from dragoman.programs.transitions import sample_transitions

HOSTILE = Path(__file__).parent / "hostile"
LIMITS = Limits(seconds=0.3, memory=32_000_000, depth=50)


@cache
def cart_pole() -> tuple[Schema, Transitions]:
    env = gym.make("CartPole-v1")
    schema = schema_of(env)
    return schema, sample_transitions(env, schema, steps=100)


def outcome(source: str, sandbox: Sandbox) -> str:
    """Load and check a program as a search does."""
    return _outcome(lambda: Program.load(source, cart_pole()[0], sandbox=sandbox))


def alone(source: str, sandbox: Sandbox) -> str:
    """Check a program as it is, by no rules and with all names that Monty knows."""
    schema = cart_pole()[0]
    names = {"state": schema.state_names, "action": (), "next_state": schema.state_names}
    program = f"\n\n{source}\ndef _dragoman_program():\n    return (reward,)\n"

    def load() -> Program:
        session = sandbox.open(PRELUDE, program, drivers({"reward": names}))
        parsed = Source(source, ast.Module([], []))
        return Program(source, schema, ("reward",), session, LARGEST, parsed)

    return _outcome(load)


def _outcome(load: Callable[[], Program]) -> str:
    try:
        program, values = check_program(load, cart_pole()[1])
    except ProgramError as error:
        return str(error)
    program.close()
    low, high = values["reward"].min(), values["reward"].max()
    return f"harmless: from {low:.4f} to {high:.4f}"
