"""Rewards, potentials and features that a language model writes as programs."""

from dragoman.programs.checks import Checks, check_program
from dragoman.programs.program import Program
from dragoman.programs.results import ProgramResult
from dragoman.programs.sandbox import Limits, Sandbox
from dragoman.programs.schema import Quantity, Schema, schema_of
from dragoman.programs.search import Found, Search, Writer
from dragoman.programs.transitions import Transitions, sample_transitions

__all__ = [
    "Checks",
    "Found",
    "Limits",
    "Program",
    "ProgramResult",
    "Quantity",
    "Sandbox",
    "Schema",
    "Search",
    "Transitions",
    "Writer",
    "check_program",
    "sample_transitions",
    "schema_of",
]
