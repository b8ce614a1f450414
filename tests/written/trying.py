"""What becomes of a program, in words: the error that a user sees, or that it is harmless."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import gymnasium as gym

from dragoman.errors import ProgramError
from dragoman.written import Limits, Program, Sandbox, Schema, Transitions, check_program
from dragoman.written.schema import schema_of
from dragoman.written.transitions import sample_transitions

HOSTILE = Path(__file__).parent / "hostile"
LIMITS = Limits(seconds=0.3, memory=32_000_000, depth=50)


@cache
def cart_pole() -> tuple[Schema, Transitions]:
    env = gym.make("CartPole-v1")
    schema = schema_of(env)
    return schema, sample_transitions(env, schema, steps=100)


def outcome(source: str, sandbox: Sandbox | None) -> str:
    """Load and check a program as a search does."""
    schema, transitions = cart_pole()

    def load() -> Program:
        return Program.load(source, schema, sandbox=sandbox)

    try:
        program, values = check_program(load, transitions)
    except ProgramError as error:
        return str(error)
    program.close()
    low, high = values["reward"].min(), values["reward"].max()
    return f"harmless, {program.rests}: from {low:.4f} to {high:.4f}"
