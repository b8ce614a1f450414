"""Which actions an environment offers now, read where the three conventions put it.

======================  ==================================================
info["action_mask"]     Gymnasium's own environments
observation[...]        PettingZoo and RLlib: a key ``action_mask`` of a Dict
env.action_masks()      sb3-contrib: a method
======================  ==================================================

`ReadMasks` stands around each environment that Dragoman makes, and puts the other two into the
first: everything above it reads ``info["action_mask"]`` alone, which counts from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from dragoman.describe.numbers import array_of
from dragoman.errors import SpaceError
from dragoman.phrases import shown
from dragoman.types import BoolArray, Info

MASK = "action_mask"
"""Key of an info, and in PettingZoo's convention of an observation."""

TEXTS = "action_texts"


def without_mask(space: gym.Space[Any]) -> gym.Space[Any]:
    """Return a space of observations without the mask of the actions, where it holds one."""
    if not isinstance(space, gym.spaces.Dict) or set(space.spaces) <= {MASK}:
        return space
    return gym.spaces.Dict({key: value for key, value in space.spaces.items() if key != MASK})


def bits(mask: Any, count: int, what: str, when: str = "") -> BoolArray:
    """Return which of ``count`` actions a mask says are valid, bool ``(K,)``.

    Raises:
        SpaceError: It is no list of as many zeros and ones; ``what`` and ``when`` say which.
    """
    result = array_of(mask)
    if result.shape != (count,):
        raise SpaceError(
            f"{what} has shape {result.shape}{when}, but there are {count} actions",
            cure="give one entry for each action of the space, whichever are valid now",
        )
    # Whole numbers count as in Python; a text, and what is no number, is a mistake.
    if result.dtype.kind not in "biu" and not np.isin(result, (0, 1)).all():
        raise SpaceError(
            f"{what} is {shown(mask)}{when}, which is not made of zeros and ones",
            cure="give one entry for each action of the space, 1 where it is valid now",
        )
    return result.astype(np.bool_)


class ReadMasks(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Says in ``info["action_mask"]``, int8 ``(A,)``, which of ``A`` actions are valid.

    It does so where the environment does in any convention, or leaves a text empty in
    ``info["action_texts"]``; elsewhere it changes nothing. A mask that was part of the observation
    is taken out of it.

    Args:
        env: The environment.
        keep: Leave the mask in the observation, for who can only see it and not obey it.
    """

    def __init__(self, env: gym.Env[Any, Any], keep: bool = False) -> None:
        RecordConstructorArgs.__init__(self, keep=keep)
        gym.Wrapper.__init__(self, env)
        is_choice = isinstance(env.action_space, gym.spaces.Discrete)
        self._count = int(env.action_space.n) if is_choice else 0  # type: ignore[attr-defined]
        space = env.observation_space
        self._is_seen = isinstance(space, gym.spaces.Dict) and MASK in space.spaces
        self._is_cut = self._is_seen and is_choice and not keep and without_mask(space) is not space
        if self._is_cut:
            self.observation_space = without_mask(space)
        method = env.get_wrapper_attr("action_masks") if env.has_wrapper_attr("action_masks") else 0
        self._ask: Callable[[], Any] | None = method if callable(method) else None
        self._is_plain = self._ask is None and not self._is_seen
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset.

        Raises:
            SpaceError: No action is valid, or the mask or the texts do not fit the actions.
        """
        self._step = 0
        observation, info = self.env.reset(seed=seed, options=options)
        return self._seen(observation), self._with_mask(observation, info, False, False)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step; errors as in `reset`, but for a state that ends the episode."""
        self._step += 1
        result = self.env.step(action)
        info = result[4]
        if self._is_plain and (not info or (MASK not in info and TEXTS not in info)):
            return result
        observation, reward, terminated, truncated, _ = result
        added = self._with_mask(observation, info, terminated, truncated)
        return self._seen(observation), reward, terminated, truncated, added

    def _seen(self, observation: Any) -> Any:
        if not self._is_cut:
            return observation
        return {key: value for key, value in observation.items() if key != MASK}

    def _with_mask(
        self, observation: Any, info: dict[str, Any], terminated: bool, truncated: bool
    ) -> dict[str, Any]:
        result = self._mask(observation, info, bool(terminated))
        if not self._count:
            return info if result is None else {**info, MASK: result}
        added: dict[str, Any] = {}
        texts = info.get(TEXTS)
        if texts is not None:
            texts = added[TEXTS] = self._texts(texts)
            if result is None and not all(texts):
                result = [bool(text) for text in texts]
        if result is not None:
            mask = added[MASK] = self._checked(result).astype(np.int8)
            if not mask.any() and not terminated and not truncated:
                raise SpaceError(
                    f"{self._name}: no action is valid at step {self._step} of an episode "
                    "that has not ended",
                    cure="end the episode there (terminated or truncated), or allow an action",
                )
        return {**info, **added} if added else info

    def _mask(self, observation: Any, info: Info, is_over: bool) -> Any:
        """Return what the environment says, in whichever way it does, or nothing."""
        if info.get(MASK) is not None:
            return info[MASK]
        if self._is_seen:
            return observation[MASK]
        if self._ask is None:
            return None
        # Nobody acts after the end, where such methods often fail.
        return np.zeros(self._count, np.int8) if is_over and self._count else self._ask()

    def _checked(self, mask: Any) -> BoolArray:
        return bits(
            mask, self._count, f"{self._name}: the mask of the actions", f" at step {self._step}"
        )

    def _texts(self, texts: Any) -> list[str]:
        is_array = isinstance(texts, np.ndarray) and texts.ndim > 0
        if not is_array and not isinstance(texts, list | tuple):
            raise SpaceError(
                f"{self._name}: info['action_texts'] is {shown(texts)} at step {self._step}, "
                "which is no list of texts",
                cure="give one text for each action, empty where it is not valid",
            )
        if len(texts) != self._count:
            raise SpaceError(
                f"{self._name}: info['action_texts'] has {len(texts)} texts at step {self._step} "
                f"for {self._count} actions",
                cure="give one text for each action, empty where it is not valid",
            )
        # A list, since vector environments cut arrays of texts to one length.
        return ["" if text is None or not str(text).strip() else str(text) for text in texts]

    @property
    def _name(self) -> str:
        spec = self.unwrapped.spec
        return type(self.unwrapped).__name__ if spec is None else spec.id
