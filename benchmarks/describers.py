"""How long a describer takes, beside a forward of the model that reads its text.

    python benchmarks/describers.py [--milliseconds 3] [--out FOLDER]

A describer may take 5 % of what the model takes for a text that it has not seen before: about 3 ms
for 200 characters with SmolLM2-135M on two cores, and longer in proportion.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium as gym

from dragoman.describe import EnvDescriber, describe_env
from dragoman.environments import environment_spec, make_environment

FAMILIES = {
    "classic control": ("CartPole-v1", "Pendulum-v1", "MountainCar-v0", "Acrobot-v1"),
    "toy text": ("FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"),
    "Box2D": ("LunarLander-v3", "BipedalWalker-v3"),
    "MiniGrid": ("BabyAI-GoToLocal-v0", "MiniGrid-DoorKey-8x8-v0"),
    "MuJoCo": ("Reacher-v5", "Pusher-v5", "HalfCheetah-v5", "Hopper-v5", "Ant-v5", "Humanoid-v5"),
}
STEPS, ROUNDS = 100, 15
SHARE = 0.05
CHARACTERS = 200


def moments(env: gym.Env[Any, Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the observations and infos of a random rollout."""
    env.action_space.seed(0)
    seen = [env.reset(seed=0)]
    while len(seen) < STEPS:
        observation, _, terminated, truncated, info = env.step(env.action_space.sample())
        seen.append((observation, info))
        if terminated or truncated:
            seen.append(env.reset())
    return seen


def microseconds(describer: EnvDescriber, seen: list[tuple[Any, dict[str, Any]]]) -> float:
    """Return the median time of one text."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for observation, info in seen:
            describer.observation(observation, info)
        times.append(1e6 * (time.perf_counter() - started) / len(seen))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--milliseconds", type=float, default=3.0, help="of the model")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    lines = [
        f"One text, beside {options.milliseconds:g} ms of the model for {CHARACTERS} characters "
        f"that it has not seen. At most {SHARE:.0%} is the aim.\n",
        "| family | environment | characters | microseconds | with exact numbers | share |",
        "|---|---|---|---|---|---|",
    ]
    for family, env_ids in FAMILIES.items():
        for env_id in env_ids:
            env = make_environment(environment_spec(env_id))
            seen = moments(env)
            plain, exact = (
                microseconds(describe_env(env, exact=exact), seen) for exact in (False, True)
            )
            size = len(describe_env(env).observation(*seen[0]))
            share = plain / (1000 * options.milliseconds * max(1, size / CHARACTERS))
            mark = "" if share <= SHARE else ", missed"
            lines.append(
                f"| {family} | {env_id} | {size} | {plain:.1f} | {exact:.1f} "
                f"| {100 * share:.1f} %{mark} |"
            )
            env.close()
    text = "\n".join(lines) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "describers.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
