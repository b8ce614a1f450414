"""Recordings whose every number is known."""

from __future__ import annotations

import io

from PIL import Image

from dragoman.agents.recording import Part, RecordedEpisode, Recording, Step, Weighed


def picture(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (60, 40), (shade, 80, 160)).save(file, "WEBP", lossless=True)
    return file.getvalue()


def step(index: int) -> Step:
    return Step(
        picture(20 * index),
        (("cart position", f"{index}"),),
        f"the cart is at {index} <metre>",
        action="push right",
        weighed=(Weighed((0.25, 0.75), 1),),
        value=10.0 - index,
        reward=1.0,
        # The fourth step has the largest goal term, though a negative one.
        terms={"environment": 1.0, "goal": -5.0 if index == 3 else 0.5},
        critiques=("A good push.",) if index == 2 else (),
    )


def recording(name: str = "smollm2/0", *, length: int = 6, episodes: int = 1) -> Recording:
    """A recording of episodes of ``length`` steps, each one step longer than the one before."""
    return Recording(
        name=name,
        env="CartPole-v1",
        about={"algorithm": "PPO", "trained": "64 steps, seed 0"},
        parts=(Part(options=("push left", "push right")),),
        weighing="probability",
        episodes=tuple(
            RecordedEpisode(
                seed=100 + episode,
                steps=(
                    *(step(i) for i in range(length + episode)),
                    Step(picture(255), (("cart position", "9"),), "the end"),
                ),
                ending="terminated",
            )
            for episode in range(episodes)
        ),
    )
