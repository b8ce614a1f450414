"""Call a reward with what it takes, and let nothing but finite numbers through."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dragoman.errors import BudgetError, ConfigError, ModelError, RewardError, did_you_mean
from dragoman.phrases import plain
from dragoman.types import BoolArray, RewardFunction

GIVEN = (
    "texts",
    "observations",
    "model",
    "actions",
    "previous",
    "raw_actions",
    "previous_observations",
    "memory",
)
"""What a reward function may take, see `dragoman.types.RewardFunction`."""

OF_THE_STATE = frozenset({"texts", "observations", "model"})
"""What a potential may take."""

OnError: TypeAlias = Literal["stop", "skip"]

QUOTED = 200
"""Characters of a text that an error message quotes."""


def names_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return which of `GIVEN` a function takes by name: those of its ``takes``, if it has it."""
    if hasattr(function, "takes") and not inspect.isclass(function):
        return frozenset(function.takes)
    return frozenset(inspect.signature(function).parameters) & frozenset(GIVEN)


@dataclass(frozen=True)
class Caller:
    """A reward function under its name.

    Attributes:
        name: What errors call it.
        function: The reward function.
        takes: What it takes.
    """

    name: str
    function: RewardFunction
    takes: frozenset[str]

    @classmethod
    def of(cls, name: str, function: RewardFunction) -> Caller:
        """Return a caller for a reward function.

        Raises:
            ConfigError: It needs an argument that is never given.
        """
        if hasattr(function, "takes"):
            return cls(name, function, names_of(function))
        for parameter in inspect.signature(function).parameters.values():
            by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            is_needed = parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            )
            if is_needed and not (by_name and parameter.name in GIVEN):
                raise ConfigError(
                    f"the reward {name!r} takes {parameter.name!r}"
                    f"{did_you_mean(parameter.name, GIVEN)}, which is not given",
                    cure=f"take some of {', '.join(GIVEN)} by name, and give the rest a default",
                )
        return cls(name, function, names_of(function))

    @property
    def is_potential(self) -> bool:
        """Whether it is a function of the state alone."""
        return self.takes <= OF_THE_STATE

    def __call__(
        self, given: Mapping[str, Any], count: int, on_error: OnError = "stop"
    ) -> tuple[NDArray[np.float64], BoolArray]:
        """Return a number for each of ``B`` texts, and which of them failed.

        Args:
            given: A sequence of length ``B`` for each name it takes, and the model.
            count: ``B``.
            on_error: Whether a failure stops the run, or is counted and gives zero.

        Returns:
            float64 array ``(B,)`` with 0 where it failed, and bool array ``(B,)``.

        Raises:
            RewardError: It failed, and ``on_error`` is ``stop``.
            BudgetError: A budget is used up, which every later call would meet, too.
        """
        values, problems = self._tried(given, count)
        is_failed = np.array([bool(problem) for problem in problems], dtype=np.bool_)
        if on_error == "stop" and is_failed.any():
            first = int(np.flatnonzero(is_failed)[0])
            raise RewardError(
                f"the reward {self.name!r} {problems[first]} for {_quoted(given, first)}",
                cure="mend the reward, or let on_error of this reward be 'skip', which counts "
                "such steps and gives them 0",
            )
        return np.where(is_failed, 0.0, values), is_failed

    def _tried(
        self, given: Mapping[str, Any], count: int
    ) -> tuple[NDArray[np.float64], Sequence[str]]:
        """Return the numbers, and what is wrong with each of them: nothing where it is empty."""
        try:
            result = self.function(**{name: given[name] for name in self.takes})
        except BudgetError:
            raise
        # Users write rewards, and whatever theirs raises must name the reward and the text.
        except Exception as error:
            if count > 1 and not isinstance(error, ModelError) and "memory" not in self.takes:
                return self._one_by_one(given, count)
            problem = f"raised {type(error).__name__}: {_first_line(error)}"
            return np.zeros(count), [problem] * count
        return _checked(result, count)

    def _one_by_one(
        self, given: Mapping[str, Any], count: int
    ) -> tuple[NDArray[np.float64], Sequence[str]]:
        values = np.zeros(count)
        problems: list[str] = []
        for i in range(count):
            alone = {
                name: value if name == "model" else [value[i]] for name, value in given.items()
            }
            one, problem = self._tried(alone, 1)
            values[i] = one[0]
            problems += problem
        return values, problems


def _checked(found: Any, count: int) -> tuple[NDArray[np.float64], Sequence[str]]:
    nothing = np.zeros(count)
    try:
        array = np.asarray(found)
    except (ValueError, TypeError, RuntimeError) as error:
        return nothing, [f"gave what is no array: {_first_line(error)}"] * count
    if array.dtype.kind not in "fiub":
        return nothing, [f"gave {_short(found)}, which is no number,"] * count
    if array.shape != (count,):
        return nothing, [
            f"gave an array of shape {array.shape} instead of ({count},), one number a text,"
        ] * count
    values = array.astype(np.float64)
    return values, ["" if np.isfinite(value) else f"gave {value}" for value in values]


def _quoted(given: Mapping[str, Any], place: int) -> str:
    if "texts" in given:
        return f"the text {_short(given['texts'][place])}"
    return f"the observation {_short(given['observations'][place])}"


def _short(value: Any) -> str:
    text = repr(plain(value))
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}..."


def _first_line(error: Exception) -> str:
    return (str(error).strip().split("\n") or [""])[0][:QUOTED]
