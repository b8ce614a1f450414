from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from dragoman.agents.evaluate import evaluate
from dragoman.agents.frames import FRAME_BYTES, LARGEST, encode_frame
from dragoman.agents.record import record
from dragoman.agents.recording import critiques_of, reward_terms
from dragoman.engines.policies.continuous import squashed_moments
from dragoman.engines.train import train
from dragoman.errors import ConfigError
from dragoman.experiment import Algorithm, Experiment
from dragoman.models.spec import ModelSpec
from dragoman.report.replay import replay_page
from dragoman.roles.observe.settings import Observe
from dragoman.run import Run
from dragoman.testing import ScriptedModel
from tests.counting_env import Counting
from tests.number_reader import read_numbers
from tests.recordings import recording

PPO = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}


def model() -> ScriptedModel:
    return ScriptedModel(read_numbers)


def trained(folder: Path, env: str, name: str = "ppo", **settings: Any) -> Run:
    own = PPO if name in ("ppo", "recurrent-ppo") else {"learning_starts": 8}
    experiment = Experiment(
        env=env, steps=32, num_envs=2, algorithm=Algorithm(name, own, (8,)), **settings
    )
    return train(experiment, out=folder, model=model())


class Told(Counting):
    """Counts, renders text, and tells reward terms and critiques."""

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(first=3)
        self.render_mode = render_mode

    def step(self, action: int) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        info |= {"reward_forward": np.float32(0.5), "reward_terms": {"goal": 2.0 * self.count}}
        info["critiques"] = f"step {self.count} was good"
        return observation, reward, terminated, truncated, info

    def render(self) -> str:
        return f"count {self.count}"


class Breaking(Counting):
    """ServerFeatures pictures that it cannot draw."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(first=3)
        self.render_mode = render_mode

    def render(self) -> Any:
        raise OSError("no display")


def test_a_recording_is_what_the_evaluation_played(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "CartPole-v1")
    played = evaluate(run, 2, model=model())
    recorded = record(run, 2, model=model())
    assert [episode.episode_return for episode in recorded.episodes] == played.returns
    assert [episode.length for episode in recorded.episodes] == [
        episode.length for episode in played.episodes
    ]
    assert [episode.seed for episode in recorded.episodes] == [
        episode.seed for episode in played.episodes
    ]
    assert [episode.ending for episode in recorded.episodes] == ["terminated"] * 2
    assert recorded.parts[0].options == ("push cart to the left", "push cart to the right")
    assert recorded.weighing == "probability"
    for step in recorded.episodes[0].steps[:-1]:
        (weighed,) = step.weighed
        assert sum(weighed.weights) == pytest.approx(1)
        # The greedy action is the likeliest.
        assert weighed.chosen == int(np.argmax(weighed.weights))
        assert step.action == recorded.parts[0].options[int(weighed.chosen)]
        assert step.text is not None
        assert step.text.startswith("cart position")
        assert step.value is not None
        with Image.open(io.BytesIO(step.frame)) as image:
            assert image.format == "WEBP"
            assert image.size == (480, 320)
    last = recorded.episodes[0].steps[-1]
    assert (last.action, last.weighed, last.reward) == ("", (), 0.0)


def test_sampled_actions_are_not_always_the_likeliest(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "CartPole-v1", observe=None)
    recorded = record(run, 3, sampled=True)
    weighed = [step.weighed[0] for episode in recorded.episodes for step in episode.steps[:-1]]
    assert any(item.chosen != np.argmax(item.weights) for item in weighed)
    assert recorded.about["actions"] == "sampled actions"
    assert recorded.episodes[0].steps[0].text is None


@pytest.mark.parametrize("observe", [Observe(), None])
@pytest.mark.parametrize(
    ("name", "env"),
    [
        ("dqn", "CartPole-v1"),
        ("sac", "Pendulum-v1"),
        ("td3", "Pendulum-v1"),
        ("ppo", "Pendulum-v1"),
        ("recurrent-ppo", "Pendulum-v1"),
    ],
)
def test_every_policy_says_what_it_weighs(
    name: str, env: str, observe: Observe | None, tmp_path: Path
) -> None:
    run = trained(tmp_path / "run", env, name, observe=observe, max_episode_steps=12)
    step = record(run, model=model()).episodes[0].steps[0]
    (weighed,) = step.weighed
    assert np.isfinite(step.value)
    if name == "dqn":
        assert weighed.chosen == int(np.argmax(weighed.weights))
        assert step.value == max(weighed.weights)
        assert record(run, model=model()).weighing == "action value"
        return
    assert weighed.weights == ()
    assert (weighed.spread == 0) == (name == "td3")
    if name != "sac":
        # A greedy action is the mean, cut to the bounds.
        assert weighed.chosen == pytest.approx(np.clip(weighed.mean, -2, 2), abs=1e-5)


@pytest.mark.parametrize(("location", "scale"), [(0.0, 1.0), (1.5, 0.5), (-0.3, 0.01)])
def test_moments_of_a_squashed_normal(location: float, scale: float) -> None:
    drawn = np.tanh(np.random.default_rng(0).normal(location, scale, 1_000_000))
    mean, spread = squashed_moments(np.array([location]), np.array([scale]))
    assert mean == pytest.approx(drawn.mean(), abs=3e-3)
    assert spread == pytest.approx(drawn.std(), rel=5e-3)


def test_several_parts_of_an_action(tmp_path: Path) -> None:
    class Many(Counting):
        def __init__(self) -> None:
            super().__init__(first=2)
            self.action_space = gym.spaces.MultiDiscrete([2, 3])

    class Switches(Counting):
        def __init__(self) -> None:
            super().__init__(first=2)
            self.action_space = gym.spaces.MultiBinary(2)

    for kind, sizes in ((Many, [2, 3]), (Switches, [2, 2])):
        gym.register(f"{kind.__name__}Parts-v0", kind)
        run = trained(tmp_path / kind.__name__, f"{kind.__name__}Parts-v0", observe=None)
        recorded = record(run)
        step = recorded.episodes[0].steps[0]
        assert [len(part.options) for part in recorded.parts] == sizes
        assert [len(item.weights) for item in step.weighed] == sizes
        for item in step.weighed:
            assert sum(item.weights) == pytest.approx(1)
            assert item.chosen == int(np.argmax(item.weights))


def test_text_frames_terms_and_critiques(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "tests.agents.test_record:Told", observe=None)
    (episode,) = record(run).episodes
    assert [step.frame for step in episode.steps] == [f"count {i}" for i in range(4)]
    assert episode.steps[1].terms == {"environment": 2.0, "forward": 0.5, "goal": 4.0}
    assert episode.steps[1].critiques == ("step 2 was good",)
    assert (episode.ending, episode.episode_return) == ("terminated", 6.0)


def test_a_renderer_that_fails_leaves_a_note(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "tests.agents.test_record:Breaking", observe=None)
    recorded = record(run)
    assert recorded.note == "No pictures: rendering failed with OSError: no display"
    assert {step.frame for step in recorded.episodes[0].steps} == {None}


def test_long_episodes_are_cut_and_counts_are_checked(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "tests.counting_env:Counting", observe=None)
    cut = record(run, most_steps=1)
    assert cut.note == "No pictures: Counting-v0 renders neither pictures nor text."
    assert (cut.episodes[0].ending, cut.episodes[0].length) == ("cut", 1)
    with pytest.raises(ConfigError, match="most_steps is 0"):
        record(run, most_steps=0)
    with pytest.raises(ConfigError, match="episodes is 0"):
        record(run, 0)


def test_drawings_keep_every_pixel() -> None:
    drawing = np.zeros((100, 200, 3), np.uint8)
    drawing[20:40, 50:90] = (250, 10, 30)
    with Image.open(io.BytesIO(encode_frame(drawing))) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), drawing)


@pytest.mark.parametrize("shape", [(400, 600, 3), (2000, 3000, 3), (84, 84, 3)])
def test_no_frame_is_too_large(shape: tuple[int, ...]) -> None:
    # Noise is the worst that a camera can send.
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    encoded = encode_frame(noise)
    assert len(encoded) <= FRAME_BYTES
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.width <= LARGEST[0]
        assert image.height <= LARGEST[1]


def test_two_hundred_steps_of_the_largest_frames_stay_below_ten_megabytes() -> None:
    # The largest frames that `encode_frame` returns, no two alike.
    draw = np.random.default_rng(0)
    one = recording(length=200)
    steps = tuple(
        replace(step, frame=draw.bytes(FRAME_BYTES), text="a long text " * 40)
        for step in one.episodes[0].steps
    )
    page = replay_page([replace(one, episodes=(replace(one.episodes[0], steps=steps),))])
    assert 8e6 < len(page.encode()) < 10e6


def test_terms_and_critiques_of_an_info() -> None:
    assert reward_terms(1.0, {"reward_ctrl": -0.25, "reward_info": "none", "reward_on": True}) == {
        "environment": 1.0,
        "ctrl": -0.25,
    }
    # What an environment reports is its own: terms that are no numbers are left out.
    odd = {"reward_terms": {"goal": np.float32(2), "note": "near", "none": None}}
    assert reward_terms(0.0, odd) == {"environment": 0.0, "goal": 2.0}
    assert reward_terms(0.0, {"reward_terms": "none"}) == {"environment": 0.0}
    assert critiques_of({}) == ()
    assert critiques_of({"critiques": ["a", "b"]}) == ("a", "b")


def test_a_learned_embedding_reads_the_text_too(tmp_path: Path) -> None:
    experiment = Experiment(
        env="CartPole-v1",
        steps=16,
        num_envs=2,
        algorithm=Algorithm("ppo", PPO, (8,)),
        observe=Observe(model=ModelSpec("words")),
    )
    recorded = record(train(experiment, out=tmp_path / "run"), most_steps=2)
    assert recorded.about["observation"] == "a learned embedding of the text"
    step = recorded.episodes[0].steps[0]
    assert step.text is not None
    assert step.text.startswith("cart position")
    assert sum(step.weighed[0].weights) == pytest.approx(1)


def test_mujoco_is_drawn_without_a_screen(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", "Reacher-v5", observe=None, max_episode_steps=2)
    script = (
        "import sys; from dragoman.agents.record import record; from dragoman.run import Run; "
        "made = record(Run(sys.argv[1])); "
        "print(made.note, type(made.episodes[0].steps[0].frame).__name__)"
    )
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    # In a process of its own, since MuJoCo chooses how to draw only once.
    played = subprocess.run(
        [sys.executable, "-c", script, str(run.path)],
        env={key: value for key, value in os.environ.items() if key not in hidden},
        capture_output=True,
        text=True,
        check=True,
    )
    assert played.stdout.split() == ["bytes"], played.stdout
