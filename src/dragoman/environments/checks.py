"""What an environment hands over, checked where it enters: each step, beneath everything else."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import PassiveEnvChecker

from dragoman.environments.unlisted import Unlisted
from dragoman.errors import DragomanError, SpaceError, raised_in

LARGEST = float(np.finfo(np.float32).max)
"""Agents compute in float32, in which a number beyond this one is infinite."""

FEW = 64
"""Elements up to which Python sums an array faster than NumPy."""

ONE_NUMBER = (
    "return one finite number, such as a weighted sum of several objectives; a gymnasium.Wrapper "
    "around the environment can do it"
)
A_FLAG = "return True or False; the end by a time limit is `truncated`, any other `terminated`"
A_MAPPING = "return a dictionary with names as keys, such as {}"
FINITE = (
    "clip or replace it in the environment or a gymnasium.Wrapper; also where the space's bounds "
    "are infinite, an agent can learn from finite numbers only"
)


_LOOKED_AT = (gym.spaces.Box, gym.spaces.Dict, gym.spaces.Tuple)
"""Spaces whose values are not held against their bounds here: describers take small overshoots."""


class Checked(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment that hands over finite observations and rewards, or fails at the first other.

    A reward of any kind of number is taken, in an array of one element too; so is a flag of any
    kind that is true or false. Nothing that is right is changed.

    Args:
        env: One environment.
        index: Its place among those that are stepped together, for messages.

    Attributes:
        names: What messages call the numbers of a vector, where that is known.
    """

    names: Sequence[str] = ()

    def __init__(self, env: gym.Env[Any, Any], index: int = 0) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, index=index)
        gym.Wrapper.__init__(self, env)
        self._index = index
        space = env.observation_space
        self._shape = space.shape if isinstance(space, gym.spaces.Box) else None
        self._episode = 0
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset.

        Raises:
            SpaceError: The observation is not finite, or the info is no mapping.
        """
        observation, info = self.env.reset(seed=seed, options=options)
        self._episode += 1
        self._step = 0
        self._check(observation, info)
        space = self.env.observation_space
        if not isinstance(space, _LOOKED_AT) and not lies_in(space, observation):
            self._refuse(
                f"the observation is {_short(observation)}, which does not lie in {space}",
                "return what observation_space says, or correct the space",
            )
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step.

        Raises:
            SpaceError: Observation or reward is not finite, the reward is not one number, a flag
                is not true or false, or the info is no mapping.
        """
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._step += 1
        # This runs in every step of every training, so what is right must pass in no time.
        if not (isinstance(reward, float | int) and -LARGEST <= reward <= LARGEST):
            reward = self._number(reward)
        if type(terminated) is not bool:
            terminated = self._flag("terminated", terminated)
        if type(truncated) is not bool:
            truncated = self._flag("truncated", truncated)
        self._check(observation, info)
        return observation, reward, terminated, truncated, info

    def _check(self, observation: Any, info: Any) -> None:
        if self._shape is not None and _shape(observation) != self._shape:
            self._refuse(
                f"the observation has shape {_shape(observation)}, but its space says "
                f"{self._shape}",
                "return what observation_space says, or correct the space",
            )
        if not _is_finite(observation):
            self._refuse(f"{_first_not_finite(observation, 'the observation', self.names)}", FINITE)
        if not isinstance(info, Mapping):
            self._refuse(f"info is {_short(info)}, which is no mapping", A_MAPPING)
        for key in info:
            if not isinstance(key, str):
                self._refuse(f"a key of info is {_short(key)}, which is no text", A_MAPPING)

    def _number(self, reward: Any) -> float:
        array = _as_array(reward)
        if array is None or array.dtype.kind not in "fiub":
            self._refuse(f"the reward is {_short(reward)}, which is no number", ONE_NUMBER)
        if array.size != 1:
            self._refuse(
                f"the reward {_short(reward)} has shape {array.shape}, but an agent learns from "
                "one number",
                ONE_NUMBER,
            )
        number = float(array.item())
        if not -LARGEST <= number <= LARGEST:
            self._refuse(f"the reward is {number}", ONE_NUMBER)
        return number

    def _flag(self, name: str, value: Any) -> bool:
        array = _as_array(value)
        is_number = array is not None and array.size == 1 and array.dtype.kind in "fiub"
        if array is None or not is_number or array.item() not in (0, 1):
            self._refuse(f"{name} is {_short(value)}, which is neither true nor false", A_FLAG)
        return bool(array.item())

    def _refuse(self, problem: str, cure: str) -> NoReturn:
        name = type(self.unwrapped).__name__ if self.spec is None else self.spec.id
        raise SpaceError(
            f"environment {name!r}, sub-environment {self._index}, episode {self._episode}, "
            f"step {self._step}: {problem}{place_of(self, 'step' if self._step else 'reset')}",
            cure=cure,
        )


class Interface(Unlisted, gym.utils.RecordConstructorArgs):
    """The innermost wrapper: an environment that speaks as Gymnasium's do, or an error.

    Raises:
        SpaceError: ``reset`` takes no seed or no options.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        taken = inspect.signature(env.reset).parameters
        takes_any = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in taken.values())
        missing = [] if takes_any else [key for key in ("seed", "options") if key not in taken]
        if missing:
            self._refuse(
                f"reset() takes no {' and no '.join(missing)}",
                "declare 'def reset(self, *, seed=None, options=None)' and begin it with "
                "'super().reset(seed=seed)'",
            )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset.

        Raises:
            SpaceError: It raises, or returns something else than an observation and an info.
        """
        try:
            result = self.env.reset(seed=seed, options=options)
        except Exception as error:
            self._raised(error, "reset()")
        if not isinstance(result, tuple) or len(result) != 2:  # `Checked` looks at the two
            self._refuse(
                f"reset() returns {_short(result)} instead of an observation and an info",
                "write 'return observation, {}'",
            )
        return result

    def step(self, action: Any) -> Any:
        """Step.

        Raises:
            SpaceError: It raises, or returns something else than five values.
        """
        try:
            result = self.env.step(action)
        except Exception as error:
            self._raised(error, f"step({_short(action)})")
        if not isinstance(result, tuple) or len(result) != 5:
            count = f"{len(result)} values" if isinstance(result, tuple) else _short(result)
            self._refuse(
                f"step() returns {count} instead of observation, reward, terminated, truncated "
                "and info",
                "write 'return observation, reward, terminated, truncated, info': truncated is "
                "the end by a time limit, terminated any other",
            )
        return result

    def _raised(self, error: Exception, call: str) -> NoReturn:
        """Say in which line of the environment an error came; errors of ours say enough."""
        if isinstance(error, DragomanError):
            raise error
        raise SpaceError(
            f"environment {type(self.unwrapped).__name__}: {call} raised "
            f"{type(error).__name__}: {error}, in {raised_in(error, self._file())}",
            cure="mend the environment; 'dragoman --debug' shows the whole traceback",
        ) from error

    def _file(self) -> str | None:
        try:
            return inspect.getsourcefile(type(self.unwrapped))
        except TypeError:  # a class made in an interactive session
            return None

    def _refuse(self, problem: str, cure: str) -> NoReturn:
        kind, file = type(self.unwrapped), self._file()
        where = f" in {file}" if file else ""
        raise SpaceError(f"environment {kind.__name__}{where}: {problem}", cure=cure)


def place_of(env: gym.Env[Any, Any], method: str) -> str:
    """Return ``, from step() in line 8 of my_env.py``, or nothing where there is no file.

    Args:
        env: An environment; of its wrappers, those of Gymnasium and ours are passed over.
        method: What was called, ``reset`` or ``step``.
    """
    while isinstance(env, gym.Wrapper) and type(env).__module__.startswith(_NOT_THE_USERS):
        env = env.env
    kind = type(env)
    # Of a wrapper that changes observations alone, the method that does it.
    names = [method, "observation"] if isinstance(env, gym.Wrapper) else [method]
    name = next((name for name in names if name in vars(kind)), method)
    try:
        function = inspect.unwrap(getattr(kind, name))
        line, file = inspect.getsourcelines(function)[1], inspect.getsourcefile(function)
    except (OSError, TypeError):  # a class made in an interactive session
        return ""
    return f", from {name}() in line {line} of {file}"


_NOT_THE_USERS = ("gymnasium.", "dragoman.")


def beneath(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Return an environment with `Interface` beneath all of its wrappers.

    Raises:
        SpaceError: Its ``reset`` takes no seed or no options.
    """
    if not isinstance(env, gym.Wrapper):
        return Interface(env)
    lowest = env
    while isinstance(lowest.env, gym.Wrapper):
        lowest = lowest.env
    lowest.env = Interface(lowest.env)
    return env


class FirstSteps(PassiveEnvChecker):
    """Gymnasium's own check of spaces and first steps, out of the way once it is done.

    It stands above `Checked`, since it meets some of the faults there with assertions.
    """

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and look at the first two."""
        result = super().step(action)
        # Older releases of Gymnasium look at one step alone.
        if getattr(self, "checked_data_reuse", self.checked_step):
            # Pays for what the other check costs in each of the steps to come.
            vars(self)["step"] = self.env.step
        return result


def entry_of(path: str, place: Sequence[int], names: Sequence[str]) -> str:
    """Return what messages call an entry of an array.

    >>> entry_of("the observation", [1], ["speed", "battery"])
    'the observation[1] (battery)'

    Args:
        path: What they call the array.
        place: Its indices.
        names: What the numbers of a vector are called, as far as that is known.
    """
    where = f"{path}[{', '.join(map(str, place))}]" if place else path
    is_named = len(place) == 1 and place[0] < len(names)
    return f"{where} ({names[place[0]]})" if is_named else where


def _is_finite(value: Any) -> bool:
    """Return whether all numbers in a value of any space are finite."""
    # The sum of a few numbers is not finite if one of them is not, and Python sums them in a
    # fifth of the time that NumPy needs to begin. Where it overflows, they are looked at.
    is_short = isinstance(value, np.ndarray) and value.ndim == 1 and value.size <= FEW
    if is_short and value.dtype.char in "fd" and math.isfinite(sum(value.tolist())):
        return True
    return _first_not_finite(value, "") is None


def _shape(value: Any) -> tuple[int, ...] | str:
    try:
        shape: tuple[int, ...] = np.shape(value)
        return shape
    except ValueError:  # rows of different lengths
        return "none"


def lies_in(space: gym.Space[Any], value: Any) -> bool:
    """Return whether a value lies in a space, even where the space cannot say so."""
    try:
        return bool(space.contains(value))
    except Exception:  # some spaces fail at what has no shape, in many ways
        return False


def _first_not_finite(value: Any, path: str, names: Sequence[str] = ()) -> str | None:
    """Say where in a value the first number stands that is not finite, and what it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        # No number of 16 bits is as large as that one.
        is_half = value.dtype.char == "e"
        bad: np.ndarray = ~(np.isfinite(value) if is_half else np.abs(value) <= LARGEST)
        if not bad.any():
            return None
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        return f"{entry_of(path, place, names)} is {value[place]}"
    if isinstance(value, float | np.floating):
        return None if abs(float(value)) <= LARGEST else f"{path} is {value}"
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list | tuple) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "O" and value.ndim
    ):
        parts = enumerate(value)
    result = (_first_not_finite(part, f"{path}[{key!r}]") for key, part in parts)
    return next(filter(None, result), None)


def _as_array(value: Any) -> np.ndarray | None:
    try:
        return np.asarray(value)
    # Arrays of rows of unequal length, and tensors that are not on the processor.
    except (ValueError, TypeError, RuntimeError):
        return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
