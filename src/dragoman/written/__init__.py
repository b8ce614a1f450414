"""Rewards, potentials and features that a language model writes as programs."""

from dragoman.written.checks import Checks, check_program
from dragoman.written.program import Program
from dragoman.written.results import ProgramResult
from dragoman.written.sandbox import Limits, Sandbox
from dragoman.written.schema import Quantity, Schema, schema_of
from dragoman.written.search import Found, Search, Writer
from dragoman.written.transitions import Transitions, sample_transitions

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
