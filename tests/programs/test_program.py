from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from dragoman.errors import ConfigError, MissingExtraError, ProgramError, SpaceError
from dragoman.programs import Checks, Limits, Program, Sandbox, Schema, check_program, program
from dragoman.programs.schema import Quantity
from tests.programs.outcomes import cart_pole

HEAD = "def reward(state, action, next_state):\n"
GOOD = f"""import math
weights = [1, 2]
{HEAD}    upright = math.exp(-10.0 * next_state["pole_angle"] ** 2)
    calm = -0.1 if abs(next_state["pole_angular_velocity"]) > 1.0 else 0.0
    return {{"upright": upright, "calm": calm, "right": 0.1 * (action == 1)}}
"""
SMALL = Schema((Quantity("angle"), Quantity("speed"), Quantity("place")))
STATE = {"angle": 0.3, "speed": -1.2, "place": 2.5}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as box:
        yield box


def both(source: str, sandbox: Sandbox, action: float = 1.0):
    """Return what a program gives in the sandbox, and in Python."""
    loaded = Program.load(source, SMALL, sandbox=sandbox, largest=1e300)
    ours = loaded.values("reward", [([*STATE.values()], action, [*STATE.values()])])
    terms = loaded.terms("reward")
    loaded.close()
    names: dict = {}
    exec(source, names)
    theirs = names["reward"](dict(STATE), action, dict(STATE))
    theirs = theirs if isinstance(theirs, dict) else {"reward": theirs}
    assert terms == tuple(theirs)
    return ours[0].tolist(), [float(value) for value in theirs.values()]


BODIES = {
    "arithmetic": "return -state['angle'] ** 2 + 7 // 2 - 7 % 3 * +state['speed'] / 4",
    "truth": "return (state['angle'] > 0) + (not action) + True * 2 + (action in (1, 2))",
    "keys": "x = 0\nfor name in state:\n    x += abs(state[name])\nreturn x",
    "items": "x = 0\nfor k, v in state.items():\n    x += v * next_state[k]\nreturn x",
    "lists": "x = sorted(state.values())\nx.append(3)\nreturn x[-1] * len(x) + sum(x[:2])",
    "while": "x = 9\nwhile x > state['angle']:\n    x *= 0.5\nreturn x",
    "terms": "t = {}\nt['b'] = 1\nt['a'] = t['b'] * 2 + action\nreturn t",
    "mutation": "state['angle'] += 1\nstate.clear()\nreturn action + len(state)",
    "docstring": "'''Says\nwhat it does.'''\nx: Missing = round(state['place'], 1)\nreturn x",
    "text": "return len(f'{action:.2f}')",
    "helper": "return twice(tilt(next_state, GOAL)) + exp(-1) + m.sqrt(4) + npy.sign(-3)",
    "nested import": "import math as one\nfrom math import (cos,\n    sin)\nreturn one.e + cos(1)",
    "two in a line": "import math; import numpy as np; return math.e + np.pi",
    "closures": "def f(x, y=[2]):\n    y.append(x)\n    return lambda z: z * y[1]\nreturn f(1)(5)",
    "exceptions": "try:\n    return 1 / (action - action)\nexcept ZeroDivisionError:\n    return 7",
}
TOP = (
    "import math as m\nfrom math import exp, pi, pow\nimport numpy as npy\n"
    "from typing import Dict, Tuple\nfrom __future__ import annotations\nGOAL = 2 * pi\n"
    "try:\n    import numpy\nexcept ImportError:\n    pass\n"
    "def tilt(state: Dict[str, float], scale) -> Missing:\n"
    "    return m.sin(state['angle']) * scale\n"
    "def twice(x):\n    return pow(2 * x, 1)\n"
)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("action", [0.0, 1.0])
def test_it_means_what_python_means(name: str, action: float, sandbox: Sandbox) -> None:
    top = TOP.replace("from __future__ import annotations\n", "")
    lines = "\n".join(f"    {line}" for line in BODIES[name].splitlines())
    source = f"from __future__ import annotations\n{top}\n{HEAD}{lines}\n"
    ours, theirs = both(source, sandbox, action)
    assert ours == pytest.approx(theirs, rel=1e-12)


NUMPY = [
    *("np.clip(5.0, -1, 2)", "np.sign(-2.5)", "np.heaviside(0.0, 0.5)", "np.square(3)"),
    *("np.where(True, 1, 2)", "np.mean([1, 2, 6])", "np.maximum(1, 2)", "np.power(2.0, 3)"),
    *("np.arctan2(1, 2)", "np.hypot(3, 4)", "np.log2(8)", "np.deg2rad(180)", "np.float32(0.5)"),
    *("np.tanh(0.5)", "np.arcsin(0.5)", "np.exp2(3)", "np.abs(-2)", "np.sum([1, 2])", "np.pi"),
    *("np.isfinite(2.0)", "np.round(2.5)", "np.trunc(-2.5)", "np.min([3, 1])", "np.log1p(1)"),
]


def test_functions_of_numpy_mean_the_same_for_a_number(sandbox: Sandbox) -> None:
    """Without an import, too: many answers forget it."""
    terms = ", ".join(f"{name!r}: {name}" for name in NUMPY)
    loaded = Program.load(f"{HEAD}    return {{{terms}}}\n", SMALL, sandbox=sandbox)
    values = loaded.values("reward", [([0, 0, 0], 0, [0, 0, 0])])[0]
    loaded.close()
    expected = [float(eval(name, {"np": np})) for name in NUMPY]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_a_batch_is_one_trip(sandbox: Sandbox) -> None:
    schema, transitions = cart_pole()
    rows = transitions.rows("reward")
    loaded = Program.load(GOOD, schema, sandbox=sandbox)
    trips = []
    run = loaded.session.run
    loaded.session.run = lambda code, inputs: (trips.append(code), run(code, inputs))[1]
    values = loaded.values("reward", rows)
    assert len(trips) == 1
    assert values.shape == (200, 3)
    assert loaded.terms("reward") == ("upright", "calm", "right")
    names: dict = {}
    exec(GOOD, names)
    for result, (state, action, following) in zip(values, rows, strict=True):
        before, after = (
            dict(zip(schema.state_names, item, strict=True)) for item in (state, following)
        )
        theirs = names["reward"](before, action, after)
        assert result.tolist() == pytest.approx(list(theirs.values()), rel=1e-14)
    assert loaded.values("reward", []).shape == (0, 3)
    loaded.close()


def test_many_numbers_go_in_several_trips(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema, transitions = cart_pole()
    rows = transitions.rows("reward")
    loaded = Program.load(GOOD, schema, sandbox=sandbox)
    whole = loaded.values("reward", rows)
    monkeypatch.setattr(program, "MOST_NUMBERS", 100)
    np.testing.assert_array_equal(loaded.values("reward", rows), whole)
    loaded.close()


def test_several_functions(sandbox: Sandbox) -> None:
    schema, transitions = cart_pole()
    source = (
        "def features(state):\n    return {'tilt': 10 * state['pole_angle']}\n"
        "def potential(state):\n    return -abs(state['pole_angle'])\n"
    )
    loaded, values = check_program(
        lambda: Program.load(source, schema, ["features", "potential"], sandbox=sandbox),
        transitions,
    )
    loaded.close()
    assert loaded.terms("features") == ("tilt",)
    assert loaded.terms("potential") == ("potential",)
    np.testing.assert_allclose(values["features"][:, 0], 10 * transitions.states[:, 2])
    np.testing.assert_allclose(values["potential"][:, 0], -np.abs(transitions.states[:, 2]))


def test_terms_keep_their_order(sandbox: Sandbox) -> None:
    source = (
        f"{HEAD}    if action:\n        return {{'a': 1, 'b': True}}\n"
        "    return {'b': 3, 'a': 4}\n"
    )
    loaded = Program.load(source, SMALL, sandbox=sandbox)
    state = [0.0, 0.0, 0.0]
    assert loaded.values("reward", [(state, 1, state), (state, 0, state)]).tolist() == [
        [1, 1],
        [4, 3],
    ]
    # Across batches too.
    assert loaded.values("reward", [(state, 0, state)]).tolist() == [[4, 3]]
    loaded.close()


def test_actions_with_names_are_mappings(sandbox: Sandbox) -> None:
    schema = Schema((Quantity("x"),), (Quantity("push"), Quantity("turn")))
    source = f"{HEAD}    return action['push'] + 2 * action['turn'] + state['x']\n"
    loaded = Program.load(source, schema, sandbox=sandbox)
    assert loaded.values("reward", [([1.0], [3.0, 5.0], [0.0])]).tolist() == [[14]]
    loaded.close()


def test_a_wide_state(sandbox: Sandbox) -> None:
    schema = Schema(tuple(Quantity(f"x{i}") for i in range(700)))
    source = "def potential(state):\n    return state['x699'] + len(state)\n"
    loaded = Program.load(source, schema, ["potential"], sandbox=sandbox, largest=1e4)
    rows = [([float(i)] * 700,) for i in range(500)]
    assert loaded.values("potential", rows)[:, 0].tolist() == [700 + i for i in range(500)]
    loaded.close()


def test_a_schema_that_reads_other_numbers_than_it_names(sandbox: Sandbox) -> None:
    loaded = Program.load(f"{HEAD}    return 1\n", SMALL, sandbox=sandbox)
    with pytest.raises(SpaceError, match="names 7 numbers for a call of reward, but there are 6"):
        loaded.values("reward", [([0.0, 0.0], 1, [0.0, 0.0, 0.0])])
    loaded.close()


def test_unknown_functions(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match="did you mean 'reward'"):
        Program.load(GOOD, cart_pole()[0], ["rewards"], sandbox=sandbox)


def test_an_error_names_the_line_and_the_state(sandbox: Sandbox) -> None:
    schema, transitions = cart_pole()
    source = (
        "import math\n\n"
        f"{HEAD}    if state['cart_position'] > 0.1:\n        return 1 / (action - action)\n"
        "    return 0\n"
    )
    loaded = Program.load(source, schema, sandbox=sandbox)
    with pytest.raises(ProgramError) as caught:
        loaded.values("reward", transitions.rows("reward"))
    loaded.close()
    problem = caught.value.problem
    line = "line 5 'return 1 / (action - action)': ZeroDivisionError: division by zero; with "
    assert problem.startswith(line)
    shown = float(problem.split("cart_position ")[1].split(",")[0])
    assert shown > 0.1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("float('inf')", r"'reward' of reward is inf; with state"),
        ("1e308 * 10 - 1e308 * 10", r"'reward' of reward is nan; with state"),
        ("10 ** 400", r"'reward' of reward is inf; with state"),
        ("{'a': -101}", r"'a' of reward is -101, beyond ±100; with state"),
    ],
)
def test_values_are_bounded_in_every_call(value: str, problem: str, sandbox: Sandbox) -> None:
    loaded = Program.load(f"{HEAD}    return {value}\n", SMALL, sandbox=sandbox)
    state = [0.0, 0.0, 0.0]
    with pytest.raises(ProgramError, match=problem):
        loaded.values("reward", [(state, 1, state)])
    loaded.close()


def test_the_bound_is_the_one_that_was_given(sandbox: Sandbox) -> None:
    source, state = f"{HEAD}    return 5 * action\n", [0.0, 0.0, 0.0]
    loaded = Program.load(source, SMALL, sandbox=sandbox, largest=4)
    assert loaded.values("reward", [(state, 0.5, state)]).tolist() == [[2.5]]
    with pytest.raises(ProgramError, match="is 5, beyond ±4"):
        loaded.values("reward", [(state, 1, state)])
    loaded.close()


def test_a_range_of_ones_own(sandbox: Sandbox) -> None:
    schema, transitions = cart_pole()
    source = f"{HEAD}    return 5 * action\n"

    def load() -> Program:
        return Program.load(source, schema, sandbox=sandbox)

    check_program(load, transitions, Checks(largest=5))[0].close()
    with pytest.raises(ProgramError, match=r"'reward' of reward reaches 5, beyond ±4"):
        check_program(load, transitions, Checks(largest=4))


def test_a_program_may_stand_still_where_that_is_wanted(sandbox: Sandbox) -> None:
    schema, transitions = cart_pole()
    source = f"{HEAD}    return 1\n"

    def load() -> Program:
        return Program.load(source, schema, sandbox=sandbox)

    with pytest.raises(ProgramError, match="the same in all of 200 transitions"):
        check_program(load, transitions)
    check_program(load, transitions, Checks(may_stand_still=True))[0].close()


def test_a_program_goes_on_after_it_was_stopped(sandbox: Sandbox) -> None:
    """As on_error skip asks for: its worker is replaced."""
    source = f"{HEAD}    while action:\n        pass\n    return state['angle']\n"
    with Sandbox(Limits(seconds=0.2)) as box:
        loaded, state = Program.load(source, SMALL, sandbox=box), [0.5, 0.0, 0.0]
        for _ in range(2):
            with pytest.raises(ProgramError, match=r"longer than 0\.2 s"):
                loaded.values("reward", [(state, 1, state)])
            assert loaded.values("reward", [(state, 0, state)]).tolist() == [[0.5]]


@pytest.mark.parametrize("name", ["seconds", "memory", "depth"])
def test_limits_are_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0"):
        Limits(**{name: 0})


def test_a_missing_sandbox_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dragoman\[written\]'"):
        Sandbox()


def test_everything_from_math_is_there(sandbox: Sandbox) -> None:
    names = ("exp", "log", "tanh", "hypot", "copysign", "erf", "floor", "degrees", "atan2", "pi")
    source = (
        f"from math import {', '.join(names)}\n{HEAD}    return {{'a': exp(1), 'b': hypot(3, 4)}}\n"
    )
    loaded = Program.load(source, SMALL, sandbox=sandbox)
    state = [0.0, 0.0, 0.0]
    assert loaded.values("reward", [(state, 0, state)]).tolist() == [[math.e, 5.0]]
    loaded.close()
