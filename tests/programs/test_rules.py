from __future__ import annotations

import pytest

from dragoman.errors import ProgramError
from dragoman.programs.driver import LINES_BEFORE, wrapped
from dragoman.programs.rules import check, check_signatures
from dragoman.programs.source import Source

HEAD = "def reward(state, action, next_state):\n"
WANTED = {"reward": ("state", "action", "next_state")}

ALLOWED = {
    "comprehensions": "    return sum(x * y for x in [1, 2] for y in {3: 4}.values())\n",
    "bound by for": "    for i, (a, b) in [(0, (1, 2))]:\n        pass\n    return i + a\n",
    "bound by except": "    try:\n        pass\n    except KeyError as e:\n        return e\n",
    "bound by walrus": "    return (y := 2) + y\n",
    "bound by match": "    match action:\n        case [a, *b]:\n"
    "            return a, b\n        case c:\n            return c\n",
    "a lambda": "    return (lambda x, *y, z=1, **w: x + z)(1)\n",
    "annotations of what is not there": "    x: torch.Tensor = 1\n    return x\n",
    "a class": "    class A:\n        def f(self):\n            return 2\n    return A().f()\n",
}
REFUSED = {
    "global": ("    global x\n    x = 1\n", "line 2 'global x': a global variable keeps"),
    "import": ("    import random\n", "line 2 'import random': random cannot be imported"),
    "a part of numpy": ("    import numpy.random\n", "numpy.random cannot be imported"),
    "all of a module": ("    from math import *\n", r"\* cannot be imported from math"),
    "what math has not": ("    from math import sine\n", "sine cannot be imported from math"),
    "two meanings": (
        "    import math as m\n    import numpy as m\n",
        "line 3 'import numpy as m': 'm' is imported as two things",
    ),
    "unknown": ("    return foo\n", "line 2 'return foo': 'foo' is not known here"),
    "exec": ("    exec('1')\n", "'exec' is not known here"),
    "exec of one's own": (
        "    exec = 1\n",
        "'exec' is not known here|nothing can be called 'exec'",
    ),
    "a parameter": ("    return (lambda eval: 1)(2)\n", "nothing can be called 'eval'"),
    "an alias": ("    import math as setattr\n", "nothing can be called 'setattr'"),
    "dunder": ("    return reward.__globals__\n", "the attribute '__globals__' is not allowed"),
    "a set attribute": ("    state.x = 1\n", "an attribute cannot be set"),
    "an added attribute": ("    state.x += 1\n", "an attribute cannot be set"),
    "an attribute in a loop": ("    for state.x in [1]:\n        pass\n", "an attribute cannot be"),
    "reserved": ("    _dragoman_place = 1\n", "nothing can be called '_dragoman_place'"),
    "return outside": ("    return 1\nif True:\n    return 2\n", "line 4 'return 2': this belongs"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_plain_python_is_allowed(name: str) -> None:
    check(Source.read(HEAD + ALLOWED[name]))


@pytest.mark.parametrize("name", REFUSED)
def test_what_differs_from_call_to_call_is_refused(name: str) -> None:
    body, problem = REFUSED[name]
    source = Source.read(HEAD + body)

    def prepare() -> None:
        check(source)
        wrapped(source, ["reward"])

    with pytest.raises(ProgramError, match=problem):
        prepare()


def test_signatures() -> None:
    check_signatures(Source.read(f"def reward(x):\n    return 1\n{HEAD}    return 2\n"), WANTED)
    for source, problem in (
        ("x = 1\n", "no function 'reward'"),
        ("def reward(state):\n    return 1\n", "line 1 .* has the parameters state"),
        (f"{HEAD}    return 1\ndef reward():\n    return 2\n", "line 3 .* has the parameters none"),
    ):
        with pytest.raises(ProgramError, match=problem):
            check_signatures(Source.read(source), WANTED)


def test_lines_stay_lines() -> None:
    text = (
        "import math\nfrom math import (\n    exp,  # é\n    pi,\n); x = 'é'\n"
        f"import numpy as np; y = 1; import math as m\n{HEAD}\tif action: import math\n\treturn 3\n"
    )
    lines = wrapped(Source.read(text), ["reward"]).split("\n")[LINES_BEFORE:]
    assert lines[:9] == [
        *(" pass", " pass; x = 'é'", " ", " ", " "),
        *(" pass; y = 1; pass", f" {HEAD.strip()}", " \tif action: pass", " \treturn 3"),
    ]
    head = wrapped(Source.read(text), ["reward"]).split("\n")[1]
    assert head == " exp = math.exp; pi = math.pi; np = numpy; m = math"
