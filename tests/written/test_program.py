from __future__ import annotations

import sys

import numpy as np
import pytest

from dragoman.errors import ConfigError, MissingExtraError, ProgramError
from dragoman.written import Checks, Limits, Program, Sandbox, check_program
from tests.written.trying import cart_pole

BODY = """
def reward(state, action, next_state):
    upright = math.exp(-10.0 * next_state["pole_angle"] ** 2)
    calm = -0.1 if abs(next_state["pole_angular_velocity"]) > 1.0 else 0.0
    return {"upright": upright, "calm": calm, "right": 0.1 * (action == 1)}
"""
GOOD = f"import math\n{BODY}"
BEYOND = f"import math\nweights = [1, 2]\n{BODY}"
"""The same in a program that the checked part of Python does not hold."""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as box:
        yield box


def test_both_ways_to_run_give_the_same(sandbox: Sandbox) -> None:
    schema, transitions = cart_pole()
    rows = transitions.rows("reward")
    compiled = Program.load(GOOD, schema, sandbox=sandbox)
    boxed = Program.load(BEYOND, schema, sandbox=sandbox)
    assert (compiled.rests, boxed.rests) == ("compiled", "sandbox")
    values = compiled.values("reward", rows)
    np.testing.assert_allclose(boxed.values("reward", rows), values, rtol=1e-14)
    assert values.shape == (200, 3)
    assert compiled.terms("reward") == boxed.terms("reward") == ("upright", "calm", "right")
    boxed.close()


def test_without_a_sandbox_the_rest_is_refused() -> None:
    with pytest.raises(ProgramError, match=r"line 2 'weights = \[1, 2\]': a list"):
        Program.load(BEYOND, cart_pole()[0])


def test_several_functions() -> None:
    schema, transitions = cart_pole()
    source = (
        "def features(state):\n    return {'tilt': 10 * state['pole_angle']}\n"
        "def potential(state):\n    return -abs(state['pole_angle'])\n"
    )
    program, values = check_program(
        lambda: Program.load(source, schema, ["features", "potential"]), transitions
    )
    assert program.terms("features") == ("tilt",)
    assert program.terms("potential") == ("potential",)
    np.testing.assert_allclose(values["features"][:, 0], 10 * transitions.states[:, 2])
    np.testing.assert_allclose(values["potential"][:, 0], -np.abs(transitions.states[:, 2]))


def test_unknown_functions() -> None:
    with pytest.raises(ConfigError, match="did you mean 'reward'"):
        Program.load(GOOD, cart_pole()[0], ["rewards"])


def test_an_error_names_the_line_and_the_state() -> None:
    schema, transitions = cart_pole()
    source = (
        "def reward(state, action, next_state):\n"
        "    if state['cart_position'] > 0.1:\n        return 1 / (action - action)\n    return 0\n"
    )
    program = Program.load(source, schema)
    with pytest.raises(ProgramError) as caught:
        program.values("reward", transitions.rows("reward"))
    problem = caught.value.problem
    assert problem.startswith("line 3 'return 1 / (action - action)': a division by zero; with ")
    shown = float(problem.split("cart_position ")[1].split(",")[0])
    assert shown > 0.1


def test_a_range_of_ones_own() -> None:
    schema, transitions = cart_pole()
    source = "def reward(state, action, next_state):\n    return 5 * action\n"

    def load() -> Program:
        return Program.load(source, schema)

    check_program(load, transitions, Checks(largest=5))
    with pytest.raises(ProgramError, match=r"'reward' of reward reaches 5, beyond ±4"):
        check_program(load, transitions, Checks(largest=4))


def test_a_program_may_stand_still_where_that_is_wanted() -> None:
    schema, transitions = cart_pole()
    source = "def reward(state, action, next_state):\n    return 1\n"
    with pytest.raises(ProgramError, match="the same in all of 200 transitions"):
        check_program(lambda: Program.load(source, schema), transitions)
    check_program(lambda: Program.load(source, schema), transitions, Checks(may_stand_still=True))


@pytest.mark.parametrize("name", ["seconds", "memory", "depth"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0"):
        Limits(**{name: 0})


def test_a_missing_sandbox_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dragoman\[written\]'"):
        Sandbox()
