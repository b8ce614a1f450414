"""The explore role at work: states of ``N`` running episodes in, one bonus a step out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from dragoman.describe.exact import key_writer
from dragoman.describe.moment import Moment
from dragoman.errors import RunError
from dragoman.maths.seeds import derive_seed
from dragoman.maths.shaping import weight_at
from dragoman.roles.explore.counts import Counts
from dragoman.roles.explore.e3b import E3B
from dragoman.roles.explore.features import Features
from dragoman.roles.explore.goals import GoalBonus
from dragoman.roles.explore.neighbours import Neighbours
from dragoman.roles.explore.rnd import RND
from dragoman.roles.explore.scale import ReturnScale
from dragoman.roles.explore.settings import Explore
from dragoman.roles.explore.states import Method, States, named
from dragoman.roles.role import Models
from dragoman.types import FloatArray

SAMPLED_STEPS = 512
"""Steps of random play whose texts the features are standardised by when the training begins."""
DRAWN_FROM = 4096
"""The placebo draws from so many of the last bonuses."""


class Explorer:
    """The bonus of ``N`` running episodes.

    Args:
        settings: The role.
        models: The language models.
        num_envs: ``N``.
        space: The (unbatched) observation space.

    Raises:
        SpaceError: Exact observations are to be counted, and nothing separates those of the space.

    Attributes:
        method: Says how new a state is.
        scale: Divides that, where it is normalised.
    """

    resumes = ("scale", "method", "_features", "_names", "_step", "_past", "_random")

    def __init__(
        self, settings: Explore, models: Models, num_envs: int, space: gym.Space[Any]
    ) -> None:
        self.settings = settings
        self.scale = ReturnScale(num_envs)
        self._features: Features | None = None
        if settings.reads_features and settings.method != "goals":
            model = models.of(settings.model)
            assert model is not None
            layer, pooling = settings.layer, settings.pooling
            self._features = Features(model, layer, pooling, settings.size, models.seed)
        self._seed, self._models = models.seed, models
        self.method = self._made(num_envs)
        self._key = key_writer(space) if settings.states == "exact" else None
        self._names: set[int] = set()
        self._step = 0
        self._past: deque[float] = deque(maxlen=DRAWN_FROM)
        self._random = np.random.default_rng(derive_seed("noise bonus", models.seed))

    def _made(self, num_envs: int) -> Method:
        goals = self.settings.goals
        if self.settings.method == "goals":
            named, reads = self.settings.model, self.settings.reads_features
            embedder = self._models.of(named) if reads else None
            proposer = None if goals.given else self._models.of(goals.proposer)
            return GoalBonus(num_envs, goals, embedder, proposer, self.settings.layer)
        if self._features is None:
            return Counts()
        size, method = self._features.size, self.settings.method
        if method == "e3b":
            return E3B(num_envs, size)
        if method == "neighbours":
            return Neighbours(num_envs, size)
        return RND(num_envs, size, self._seed, difference=method == "noveld")

    @property
    def learning(self) -> bool:
        """Whether what is kept over all episodes takes in what is met."""
        return self.method.learning

    @learning.setter
    def learning(self, on: bool) -> None:
        self.method.learning = self.scale.learning = on
        if self._features is not None:
            self._features.learning = on

    @property
    def weight(self) -> float:
        """Weight of the bonus at the moment."""
        return weight_at(self.settings.weight, self._step)

    def prepare(self, sample: Callable[[int], list[str]]) -> None:
        """Learn from random play what features are like.

        Args:
            sample: Plays so many steps at random and returns the texts of the states.
        """
        if self._features is not None:
            self._features.learn(sample(SAMPLED_STEPS))

    def begin(self, envs: NDArray[np.int64], moments: Sequence[Moment]) -> None:
        """Begin an episode in each of some environments."""
        self.advance(np.zeros(0, np.int64), [], envs, moments)

    def advance(
        self,
        envs: NDArray[np.int64],
        reached: Sequence[Moment],
        begun: NDArray[np.int64],
        fresh: Sequence[Moment],
        actions: Sequence[Any] = (),
    ) -> NDArray[np.float64]:
        """Return the weighted bonus of each step ``(n,)``, and begin new episodes.

        Takes what `measure` takes.
        """
        values = self.measure(envs, reached, begun, fresh, actions) * self.weight
        self._step += len(envs)
        return values

    def measure(
        self,
        envs: NDArray[np.int64],
        reached: Sequence[Moment],
        begun: NDArray[np.int64],
        fresh: Sequence[Moment],
        actions: Sequence[Any] = (),
    ) -> NDArray[np.float64]:
        """Return the bonus of each step before its weight ``(n,)``, and begin new episodes.

        Args:
            envs: Numbers of the environments that have done a step.
            reached: The moments they have come to; of an ended episode its last one.
            begun: Numbers of the environments in which an episode begins.
            fresh: The moments in which they begin.
            actions: What has led to the reached moments, where `reads_actions`.
        """
        count = len(envs)
        # Together, so that one forward of the model serves the whole step.
        names, features = self._read([*reached, *fresh])
        values = self.method.bonus(envs, States(names[:count], features[:count], reached, actions))
        self.method.begin(begun, States(names[count:], features[count:], fresh))
        if count and self.settings.normalise:
            values = self.scale(envs, values)
        if self.settings.placebo is not None:
            values = self._drawn(values)
        return values

    def metrics(self) -> dict[str, float]:
        """Return the weight, the scale, how many states have been met, and the method's own."""
        return {
            **(self.method.metrics() if isinstance(self.method, GoalBonus) else {}),
            "explore/weight": self.weight,
            "explore/scale": self.scale.deviation if self.settings.normalise else 1.0,
            "explore/states": len(self._names),
        }

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what was learnt over all episodes, to be saved with the run."""
        own = {
            "steps": np.array(self._step),
            "names": np.array(sorted(self._names), np.int64),
            "past": np.array(self._past, np.float64),
        }
        parts = {name: dict(part.state()) for name, part in self._parts.items()}
        own |= {
            f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()
        }
        return own

    def forget(self) -> None:
        """Forget the hidden states of texts."""
        if self._features is not None:
            self._features.forget()

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore what `state` returned, instead of preparing.

        Raises:
            RunError: It lacks something.
            SpaceError: It belongs to features of another size.
        """
        try:
            self._step = int(state["steps"])
            self._names = set(state["names"].tolist())
            self._past.extend(state["past"].tolist())
            for name, part in self._parts.items():
                own = {key: state[key] for key in state if key.startswith(f"{name}.")}
                part.load_state({key.removeprefix(f"{name}."): own[key] for key in own})
        except KeyError as error:
            raise RunError(
                f"the explore role's {error} was not saved with the run", cure="train again"
            ) from error

    @property
    def _parts(self) -> dict[str, Any]:
        """What learns over all episodes, by the name under which it is saved."""
        features = {} if self._features is None else {"features": self._features}
        return {"scale": self.scale, "method": self.method, **features}

    @property
    def reads_actions(self) -> bool:
        """Whether the method must know what was done."""
        return self.settings.method == "goals"

    def _read(self, moments: Sequence[Moment]) -> tuple[NDArray[np.int64], FloatArray]:
        """Return names ``(n,)`` and features ``(n, D)`` of states."""
        key = self._key
        names = named([key(m.observation) if key is not None else m.state for m in moments])
        if self.learning:
            self._names.update(names.tolist())
        if self._features is None or not moments:
            return names, np.zeros((len(moments), 0), np.float32)
        return names, self._features([moment.state for moment in moments])

    def _drawn(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Keep these bonuses, and return as many of those that are kept."""
        self._past.extend(values.tolist())
        if not len(values):
            return values
        drawn = self._random.integers(len(self._past), size=len(values))
        return np.array([self._past[i] for i in drawn], np.float64)
