"""What an environment hands over, checked where it enters: each step, beneath everything else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from dragoman.environments.fits import (
    LARGEST,
    Misfit,
    as_array,
    fitting,
    lies_in,
    misfits,
    not_finite,
)
from dragoman.environments.unlisted import Unlisted
from dragoman.errors import DragomanError, SpaceError, raised_in

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

AS_DECLARED = "return what observation_space says, or correct the space"

_LOOKED_INTO = (gym.spaces.Box, gym.spaces.Dict, gym.spaces.Tuple)
"""Spaces of which `misfits` says all that is wrong."""


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
        self._check_five(result)
        return result

    def _check_five(self, result: Any) -> None:
        if isinstance(result, tuple) and len(result) == 5:
            return
        count = f"{len(result)} values" if isinstance(result, tuple) else _short(result)
        self._refuse(
            f"step() returns {count} instead of observation, reward, terminated, truncated "
            "and info",
            "write 'return observation, reward, terminated, truncated, info': truncated is "
            "the end by a time limit, terminated any other",
        )

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


class Checked(Interface):
    """An environment that hands over what its space says and finite rewards, or an error.

    A reward of any kind of number is taken, in an array of one element too; so is a flag of any
    kind that is true or false. Nothing that is right is changed.

    Args:
        env: One environment.
        index: Its place among those that are stepped together, for messages.
        leaves_bounds: Told of an observation outside the bounds of its space, on which a training
            can go on; says whether that is a fault. Unless given, nothing is said of it.

    Attributes:
        names: What messages call the numbers of a vector, where that is known.
        episode: Which one this is, counted from 1.
        steps: How many were begun in it.
    """

    names: Sequence[str] = ()

    def __init__(
        self,
        env: gym.Env[Any, Any],
        index: int = 0,
        leaves_bounds: Callable[[str], bool] | None = None,
    ) -> None:
        super().__init__(env)
        self._index = index
        self._leaves_bounds = leaves_bounds
        self._space, self._actions = env.observation_space, env.action_space
        self._fits = fitting(self._space)
        self.episode = self.steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset.

        Raises:
            SpaceError: The observation is none of its space or not finite, the info is no mapping,
                or a space is another one than before; or it raises.
        """
        self.episode += 1
        self.steps = 0
        observation, info = super().reset(seed=seed, options=options)
        for name, before in (("observation_space", self._space), ("action_space", self._actions)):
            now = getattr(self.env, name)
            if now is not before and now != before:
                self._refuse_here(
                    f"its {name} has become {now}, and was {before}",
                    "keep the spaces that the constructor makes",
                )
        if not self._fits(observation):
            self._look_closer(observation)
        if type(info) is not dict or info:
            self._check_info(info)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step.

        Raises:
            SpaceError: The observation is none of its space or not finite, the reward is not one
                finite number, a flag is not true or false, or the info is no mapping; or it raises
                or returns something else than five values.
        """
        # This runs in every step of every training, so what is right must pass in no time.
        self.steps += 1
        try:
            result = self.env.step(action)
        except Exception as error:
            self._raised(error, f"step({_short(action)})")
        if type(result) is not tuple or len(result) != 5:
            self._check_five(result)
        observation, reward, terminated, truncated, info = result
        if not (type(reward) is float and -LARGEST <= reward <= LARGEST):
            reward = self._number(reward)
        if terminated is not False and terminated is not True:
            terminated = self._flag("terminated", terminated)
        if truncated is not False and truncated is not True:
            truncated = self._flag("truncated", truncated)
        if not self._fits(observation):
            self._look_closer(observation)
        if type(info) is not dict or info:
            self._check_info(info)
        return observation, reward, terminated, truncated, info

    def _look_closer(self, observation: Any) -> None:
        """Refuse an observation that nothing can be trained on, and tell of any other misfit."""
        found = list(misfits(self._space, observation, names=self.names))
        for misfit in found:
            if misfit.is_fatal:
                self._refuse_here(misfit.text, AS_DECLARED)
        infinite = not_finite(observation, "the observation", self.names)
        if infinite is not None:
            self._refuse_here(infinite, FINITE)
        if not found and not isinstance(self._space, _LOOKED_INTO):
            if lies_in(self._space, observation):
                return
            text = f"the observation is {_short(observation)}, which does not lie in {self._space}"
            if not self.steps:
                self._refuse_here(text, AS_DECLARED)
            found = [Misfit(text)]
        tell = self._leaves_bounds
        if found and tell is not None and tell(self._placed(found[0].text)):
            self._refuse_here(found[0].text, AS_DECLARED)

    def _check_info(self, info: Any) -> None:
        if not isinstance(info, Mapping):
            self._refuse_here(f"info is {_short(info)}, which is no mapping", A_MAPPING)
        for key in info:
            if not isinstance(key, str):
                self._refuse_here(f"a key of info is {_short(key)}, which is no text", A_MAPPING)

    def _number(self, reward: Any) -> float:
        array = as_array(reward)
        if array is None or array.dtype.kind not in "fiub":
            self._refuse_here(f"the reward is {_short(reward)}, which is no number", ONE_NUMBER)
        if array.size != 1:
            self._refuse_here(
                f"the reward {_short(reward)} has shape {array.shape}, but an agent learns from "
                "one number",
                ONE_NUMBER,
            )
        number = float(array.item())
        if not -LARGEST <= number <= LARGEST:
            self._refuse_here(f"the reward is {number}", ONE_NUMBER)
        return number

    def _flag(self, name: str, value: Any) -> bool:
        array = as_array(value)
        is_number = array is not None and array.size == 1 and array.dtype.kind in "fiub"
        if array is None or not is_number or array.item() not in (0, 1):
            self._refuse_here(f"{name} is {_short(value)}, which is neither true nor false", A_FLAG)
        return bool(array.item())

    def _placed(self, problem: str) -> str:
        """Put the place in front of what is said, and the file and line behind it."""
        name = type(self.unwrapped).__name__ if self.spec is None else self.spec.id
        return (
            f"environment {name!r}, sub-environment {self._index}, episode {self.episode}, "
            f"step {self.steps}: {problem}{place_of(self, 'step' if self.steps else 'reset')}"
        )

    def _refuse_here(self, problem: str, cure: str) -> NoReturn:
        raise SpaceError(self._placed(problem), cure=cure)


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


_ABOVE = (TimeLimit, OrderEnforcing)
"""Wrappers that change nothing of what `Checked` looks at."""


def checked(
    env: gym.Env[Any, Any], index: int = 0, leaves_bounds: Callable[[str], bool] | None = None
) -> gym.Env[Any, Any]:
    """Return an environment with the checks where they see all that is handed over.

    Directly around it, beneath Gymnasium's own wrappers; where others may change what they hand
    over, the checks stand above them all, and `Interface` beneath.

    Args:
        env: One environment.
        index: As in `Checked`.
        leaves_bounds: As in `Checked`.

    Raises:
        SpaceError: Its ``reset`` takes no seed or no options.
    """
    if not isinstance(env, gym.Wrapper):
        return Checked(env, index, leaves_bounds)
    lowest, are_ours = env, type(env) in _ABOVE
    while isinstance(lowest.env, gym.Wrapper):
        lowest = lowest.env
        are_ours &= type(lowest) in _ABOVE
    if are_ours:
        lowest.env = Checked(lowest.env, index, leaves_bounds)
        return env
    lowest.env = Interface(lowest.env)
    return Checked(env, index, leaves_bounds)


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
            _pass_by_order(self.env)
        return result


def _pass_by_order(env: gym.Env[Any, Any]) -> None:
    """Take Gymnasium's check that a first reset was made out of the way: one was."""
    while isinstance(env, gym.Wrapper):
        below = env.env
        if type(below) is OrderEnforcing:
            vars(below)["step"] = below.env.step
        env = below


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
