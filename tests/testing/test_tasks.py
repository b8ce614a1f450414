from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from dragoman.errors import ConfigError, SpaceError
from dragoman.testing import check_task

LAST = 4


class Corridor(gym.Env[Any, Any]):
    """Walk to the right end: a good task until a subclass breaks one promise."""

    metadata = {"render_modes": ["ansi", "rgb_array"]}  # noqa: RUF012 # as Gymnasium has it
    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Box(0, LAST, (1,), np.float32)

    def __init__(self, start: int = 2, render_mode: str | None = None) -> None:
        if not 0 <= start < LAST:
            raise ConfigError(f"start is {start}", cure=f"choose from 0 to {LAST - 1}")
        self.start, self.render_mode, self.place = start, render_mode, start

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place, self.steps = self.start, 0
        return self.observation(), self.info()

    def step(self, action: Any) -> Any:
        self.place += 1 if action else -1
        self.steps += 1
        is_over = self.place == LAST
        return self.observation(), self.reward(), is_over, self.steps == 30, self.info()

    def reward(self) -> float:
        return -1.0

    def observation(self) -> Any:
        return np.array([self.place], np.float32)

    def mask(self) -> list[int]:
        return [int(self.place > 0), int(self.place < LAST)]

    def texts(self) -> list[str]:
        texts = ("go left", "go right")
        return [text if valid else "" for text, valid in zip(texts, self.mask(), strict=True)]

    def text(self) -> str:
        return f"You stand at {self.place} of {LAST}."

    def action_text(self, action: int) -> str:
        return self.texts()[action]

    def action_of(self, text: str) -> int:
        return self.texts().index(text)

    def info(self) -> dict[str, Any]:
        mask = np.array(self.mask(), np.int8)
        return {"text": self.text(), "action_mask": mask, "action_texts": self.texts()}

    def render(self) -> Any:
        if self.render_mode == "ansi":
            return self.text()
        return np.full((4, 4, 3), self.place, np.uint8)


class Outside(Corridor):
    def observation(self):
        return np.array([self.place + 1.5 * (self.place == 3)], np.float32)


class Infinite(Corridor):
    def reward(self):
        return -np.inf


class Silent(Corridor):
    def text(self):
        return " "


class Same(Corridor):
    def text(self):
        return "You stand somewhere."


class OtherText(Corridor):
    def info(self):
        return {**super().info(), "text": f"at {self.place}"}


class NoMask(Corridor):
    def texts(self):
        return ["go left", "go right"]


class Stuck(Corridor):
    def info(self):
        return {**super().info(), "action_mask": np.zeros(2, np.int8)}


class OneName(Corridor):
    def texts(self):
        return ["go"[: 2 * valid] for valid in self.mask()]


class OtherName(Corridor):
    def action_text(self, action):
        return super().action_text(action).upper()


class OtherNumber(Corridor):
    def action_of(self, text):
        return 1 - super().action_of(text)


class Unseeded(Corridor):
    count = 0

    def reset(self, **options):
        Unseeded.count += 1
        super().reset(**options)
        self.place = Unseeded.count % 2 + 1
        return self.observation(), {**self.info(), "text": self.text()}


class OneBuffer(Corridor):
    def observation(self):
        self.buffer = getattr(self, "buffer", np.zeros(1, np.float32))
        self.buffer[:] = self.place
        return self.buffer


class OneInfo(Corridor):
    def info(self):
        self.kept = getattr(self, "kept", [])
        self.kept.append(self.place)
        return {**super().info(), "kept": self.kept}


class NoPicture(Corridor):
    def render(self):
        return None


class Accepts(Corridor):
    def __init__(self, start: int = 2, render_mode: str | None = None) -> None:
        super().__init__(start % LAST, render_mode)


class OtherCure(Corridor):
    def __init__(self, start: int = 2, render_mode: str | None = None) -> None:
        if start >= LAST:
            raise ConfigError("no", cure="never")
        super().__init__(start, render_mode)


def right(env):
    return 1


def left(env):
    return 0


REFUSED = [({"start": 7}, "start is 7.*\n.*from 0 to 3")]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Outside, "step 1 is not in Box|step .* is not in Box"),
        (Infinite, "reward of step 1 is -inf"),
        (Silent, "text of step 0 is empty"),
        (Same, "text never changes"),
        (OtherText, r"info\['text'\] of step 0 is not text()"),
        (NoMask, r"the mask allows \[[01]\], but \[0, 1\] have texts"),
        (OneName, r"two actions of step 0 have one text: \['go', 'go'\]"),
        (OtherName, r"action_text\(0\) of step 0 is not 'go left'"),
        (OtherNumber, r"action_of\('go left'\) of step 0 is not 0"),
        (Unseeded, "equal seeds gave two episodes, which differ at step 0"),
        (OneBuffer, "changed the observation or the info of step"),
        (OneInfo, "changed the observation or the info of step"),
        (NoPicture, "returned NoneType"),
        (Accepts, "{'start': 7} must raise a ConfigError"),
        (OtherCure, "is not in the error: no"),
    ],
)
def test_a_broken_promise_is_named(broken: type[Corridor], message: str) -> None:
    check_task(Corridor, reference=right, refused=REFUSED)
    with pytest.raises(AssertionError, match=message):
        check_task(broken, reference=right, refused=REFUSED)


def test_a_state_without_a_valid_action_is_named() -> None:
    with pytest.raises(SpaceError, match="no action is valid at step 0"):
        check_task(Stuck)


def test_a_reference_must_be_valid_and_better_than_chance() -> None:
    with pytest.raises(AssertionError, match="the reference took 0 at step 2, which is not valid"):
        check_task(Corridor, reference=left)
    with pytest.raises(AssertionError, match="the reference took 2 at step 0, which is not in"):
        check_task(Corridor, reference=lambda env: 2)
    with pytest.raises(AssertionError, match="the reference earns -30, random play"):
        check_task(Corridor, reference=lambda env: int(env.unwrapped.place == 0))


def test_an_episode_must_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragoman.testing.tasks.MOST_STEPS", 10)
    with pytest.raises(AssertionError, match="an episode of 10 steps has not ended"):
        check_task(Corridor, reference=lambda env: int(env.unwrapped.place == 0))
