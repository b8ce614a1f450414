"""What every environment must keep that is trained in and compared on."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.env_checker import data_equivalence

from dragoman.describe.environment import describe_env
from dragoman.describe.masks import MASK, TEXTS, ReadMasks
from dragoman.describe.rollout import random_action
from dragoman.errors import ConfigError

Env = gym.Env[Any, Any]

MOST_STEPS = 100_000
"""An episode that is longer is taken for endless."""


def check_task(
    make: Callable[..., Env],
    *,
    reference: Callable[[Env], Any] | None = None,
    refused: Sequence[tuple[Mapping[str, Any], str]] = (),
    render_modes: Sequence[str] = ("ansi", "rgb_array"),
    steps: int = 200,
    episodes: int = 3,
    seed: int = 0,
) -> None:
    """Check that an environment can be trained in and compared on.

    >>> from functools import partial
    >>> def balance(env: gym.Env) -> int:
    ...     _, _, angle, spin = env.unwrapped.state
    ...     return int(angle + 0.3 * spin > 0)
    >>> check_task(partial(gym.make, "CartPole-v1"), reference=balance)

    In every state of random play:

    * the observation lies in its space, the reward is finite, and the text is not empty;
    * exactly the actions that ``info["action_mask"]`` allows have a text in
      ``info["action_texts"]``, no two of them the same;
    * the methods ``text``, ``action_text`` and ``action_of``, where there are such, agree with it;
    * observation and info can be sent to another process, and no later step changes them.

    Texts differ between states. Equal seeds give equal episodes. Pictures and texts of
    ``render_mode`` can be drawn. The reference takes valid actions only, and earns more than
    random play.

    Args:
        make: Makes the environment from keyword arguments, among them ``render_mode``.
        reference: A good policy, which may look into the environment.
        refused: Arguments that must raise a `ConfigError`, each with a regular expression that
            its message matches.
        render_modes: Which of the environment's modes are drawn; none of MuJoCo's can be without
            a screen or EGL.
        steps: Steps of random play to look at.
        episodes: Episodes that the reference and random play are compared on.
        seed: Of the first episode, and of random play.

    Raises:
        AssertionError: A promise is broken.
        SpaceError: A mask or texts do not fit the actions, or allow none before the end.
    """
    env = ReadMasks(make())
    played = _played(env, steps, seed)
    texts = {moment.text for moment in played}
    assert len(texts) > 1, f"the text never changes: {texts}"
    for moment in played:
        moment.check_unchanged()
    again = ReadMasks(make())
    for before, after in zip(played, _played(again, steps, seed), strict=True):
        before.check_equal(after)
    for mode in set(render_modes) & set(env.unwrapped.metadata.get("render_modes", ())):
        _check_render(make, mode, seed)
    if reference is not None:
        earned = _earned(again, reference, episodes, seed)
        chance = _earned(again, None, episodes, seed)
        assert earned > chance, f"the reference earns {earned:g}, random play {chance:g}"
    for arguments, pattern in refused:
        _check_refused(make, arguments, pattern)
    env.close()
    again.close()


@dataclass(frozen=True)
class _Moment:
    """A step of random play: what was handed over, and its bytes at that time."""

    step: int
    observation: Any
    info: Mapping[str, Any]
    reward: float
    ends: tuple[bool, bool]
    text: str
    sent: bytes

    def check_unchanged(self) -> None:
        assert pickle.dumps((self.observation, self.info)) == self.sent, (
            f"a later step has changed the observation or the info of step {self.step}: hand over "
            "a copy"
        )

    def check_equal(self, other: _Moment) -> None:
        mine, theirs = (
            (item.observation, item.reward, item.ends, item.text, item.info.get(TEXTS))
            for item in (self, other)
        )
        assert data_equivalence(mine, theirs, exact=True), (
            f"equal seeds gave two episodes, which differ at step {self.step}: {mine} and {theirs}"
        )


def _played(env: Env, steps: int, seed: int) -> list[_Moment]:
    """Play at random and check each state."""
    describer = describe_env(env)
    env.action_space.seed(seed)
    observation, info = env.reset(seed=seed)
    reward: Any = 0.0
    terminated = truncated = False
    moments = []
    for step in range(steps + 1):
        assert env.observation_space.contains(observation), (
            f"the observation of step {step} is not in {env.observation_space}: {observation}"
        )
        assert np.isfinite(reward), f"the reward of step {step} is {reward}"
        text = describer.observation(observation, info)
        # A describer writes the observation where the environment says nothing.
        assert info.get("text", text).strip(), f"the text of step {step} is empty"
        _check_actions(env, info, step)
        moments.append(
            _Moment(
                step,
                observation,
                info,
                float(reward),
                (bool(terminated), bool(truncated)),
                text,
                pickle.dumps((observation, info)),
            )
        )
        if terminated or truncated:
            observation, info = env.reset()
            reward, terminated, truncated = 0.0, False, False
        else:
            action = random_action(env.action_space, info)
            observation, reward, terminated, truncated, info = env.step(action)
    return moments


def _check_actions(env: Env, info: Mapping[str, Any], step: int) -> None:
    """Check that mask, texts and methods of a state agree."""
    plain: Any = env.unwrapped
    if "text" in info and callable(getattr(plain, "text", None)):
        assert info["text"] == plain.text(), f"info['text'] of step {step} is not text()"
    mask, texts = info.get(MASK), info.get(TEXTS)
    if texts is None:
        return
    valid = [index for index, text in enumerate(texts) if text]
    if mask is not None:
        assert np.flatnonzero(mask).tolist() == valid, (
            f"at step {step} the mask allows {np.flatnonzero(mask).tolist()}, but {valid} have "
            "texts"
        )
    names = [texts[index] for index in valid]
    assert len(set(names)) == len(names), f"two actions of step {step} have one text: {names}"
    first = int(getattr(env.action_space, "start", 0))
    for index in valid:
        if hasattr(plain, "action_text"):
            assert plain.action_text(first + index) == texts[index], (
                f"action_text({first + index}) of step {step} is not {texts[index]!r}"
            )
        if hasattr(plain, "action_of"):
            assert plain.action_of(texts[index]) == first + index, (
                f"action_of({texts[index]!r}) of step {step} is not {first + index}"
            )


def _check_render(make: Callable[..., Env], mode: str, seed: int) -> None:
    env = make(render_mode=mode)
    env.action_space.seed(seed)
    _, info = env.reset(seed=seed)
    frames: list[Any] = [env.render()]
    env.step(random_action(env.action_space, info))
    frames.append(env.render())
    env.close()
    for frame in frames:
        if mode == "ansi":
            assert isinstance(frame, str), f"render() returned {type(frame).__name__}, not a text"
            assert frame.strip(), "render() returned an empty text"
        else:
            assert isinstance(frame, np.ndarray), f"render() returned {type(frame).__name__}"
            assert frame.dtype == np.uint8, f"render() returned {frame.dtype}, not uint8"
            assert frame.ndim == 3, f"render() returned shape {frame.shape}, not (H, W, 3)"
            assert frame.shape == frames[0].shape, "pictures must have one size"


def _earned(env: Env, policy: Callable[[Env], Any] | None, episodes: int, seed: int) -> float:
    """Return the mean return of a policy, or of random play."""
    env.action_space.seed(seed)
    total = 0.0
    for episode in range(episodes):
        _, info = env.reset(seed=seed + episode)
        is_over, step = False, 0
        while not is_over:
            action = random_action(env.action_space, info) if policy is None else policy(env)
            _check_valid(env, info, action, step)
            _, reward, terminated, truncated, info = env.step(action)
            total, is_over, step = total + float(reward), terminated or truncated, step + 1
            assert step < MOST_STEPS, f"an episode of {step} steps has not ended: limit its length"
    return total / episodes


def _check_valid(env: Env, info: Mapping[str, Any], action: Any, step: int) -> None:
    assert env.action_space.contains(action), (
        f"the reference took {action} at step {step}, which is not in {env.action_space}"
    )
    mask = info.get(MASK)
    if mask is not None and isinstance(env.action_space, gym.spaces.Discrete):
        assert mask[int(action) - int(env.action_space.start)], (
            f"the reference took {action} at step {step}, which is not valid there"
        )


def _check_refused(make: Callable[..., Env], arguments: Mapping[str, Any], pattern: str) -> None:
    message = None
    try:
        make(**arguments).close()
    except ConfigError as error:
        message = str(error)  # with the cure
    assert message is not None, f"{dict(arguments)} must raise a ConfigError"
    assert re.search(pattern, message), f"{pattern!r} is not in the error: {message}"
