"""What a written reward costs a step: in the sandbox, and run by Python itself.

    python benchmarks/written_rewards.py [--rounds 300] [--out FOLDER]

Both take turns on the same new transitions of CartPole. Python itself is a comparison, not a
choice: it runs the program unchecked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from measuring import interleaved

from dragoman.programs import Program, Sandbox, schema_of

PROGRAM = """
import math

def reward(state, action, next_state):
    upright = math.exp(-10.0 * next_state["pole_angle"] ** 2)
    centred = 1.0 - abs(next_state["cart_position"]) / 2.4
    if abs(next_state["pole_angular_velocity"]) > 1.0:
        calm = -0.1
    else:
        calm = 0.0
    return {"upright": upright, "centred": centred, "calm": calm}
"""
BATCHES = (1, 8, 16, 64)
TARGET = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    schema = schema_of(gym.make("CartPole-v1"))
    names: dict = {}
    exec(PROGRAM, names)
    rng = np.random.default_rng(0)
    lines = [
        "A written reward on CartPole: microseconds a transition, interleaved medians. The target "
        f"is {TARGET:g} with 16 environments.",
        "",
        "| environments in a batch | in the sandbox | Python, unchecked |",
        "|---|---|---|",
    ]
    with Sandbox() as sandbox:
        boxed = Program.load(PROGRAM, schema, sandbox=sandbox)

        def plain(rows: list) -> None:
            for state, action, following in rows:
                first = dict(zip(schema.state_names, state, strict=True))
                second = dict(zip(schema.state_names, following, strict=True))
                names["reward"](first, action, second)

        for batch in BATCHES:
            taken = interleaved(
                [
                    lambda rows: boxed.values("reward", rows),
                    plain,
                ],
                lambda batch=batch: [
                    (rng.normal(size=4).tolist(), 1.0, rng.normal(size=4).tolist())
                    for _ in range(batch)
                ],
                options.rounds,
            )
            costs = [1000 * item / batch for item in taken]
            lines.append(f"| {batch} | " + " | ".join(f"{cost:.3g}" for cost in costs) + " |")
    text = "\n".join(lines) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "written_rewards.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
