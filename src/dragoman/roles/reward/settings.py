"""The reward role: r_t = h(f(o_t), a_t), the language model as a part of the reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import pydantic
from gymnasium.vector import VectorEnv
from pydantic_core import core_schema

from dragoman.errors import ConfigError, did_you_mean
from dragoman.maths.shaping import Schedule
from dragoman.models.spec import NamedModel
from dragoman.roles.control import Control
from dragoman.roles.reward.call import Caller, OnError
from dragoman.roles.reward.catalog import KNOWN, asks_model, make_reward
from dragoman.roles.reward.protocols import Fits
from dragoman.roles.role import Context
from dragoman.settings import check_fields
from dragoman.yaml12 import refuse_yes_no

if TYPE_CHECKING:
    from dragoman.roles.reward.vector import RewardVector

Placebo: TypeAlias = Literal["constant", "noise"]

RESERVED = ("env", "total")
"""Names that stand for something else in the records."""

CONTROLS = (
    Control(
        name="constant-reward",
        about="every term of the reward says 0.5 of every state",
        prior="none: the reward's form, without what a model says",
        overrides={"reward.placebo": "constant"},
    ),
    Control(
        name="noise-reward",
        about="every term of the reward says a number from 0 to 1 of a text, drawn by seed",
        prior="the describer's wording, as names of states",
        overrides={"reward.placebo": "noise"},
    ),
)


@dataclass(frozen=True)
class Term:
    """One reward among those that are added to the environment's own.

    Attributes:
        use: A reward's short name (``goal-similarity``), or your own as ``my_file.py:my_reward``
            or ``module:Name``.
        settings: Its fields, or the arguments of a function.
        weight: What it is multiplied by; ``{start, end, steps}`` moves over the training.
        shaping: ``potential`` gives ``gamma * Phi(s') - Phi(s)``, which leaves the optimal policy
            as it is. ``bonus`` adds the number itself, and can make another policy the best.
        on_error: What happens where it fails or gives no finite number: ``stop`` the run, or
            ``skip``: count it and give 0.
        count_power: A bonus is divided by the number of times that its text was met in the
            episode, to this power.
        rescale: Shift and scale what it says of a state so that 0 and 1 are the 5 % and 95 %
            quantiles over the texts of random play. What a model says often hardly differs between
            the states of one environment.
        model: The model that it asks, instead of the experiment's.
    """

    use: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    weight: float | Schedule = 1.0
    shaping: Literal["potential", "bonus"] = "potential"
    on_error: OnError = "stop"
    count_power: float = 0.0
    rescale: bool = False
    model: NamedModel | None = None

    def __post_init__(self) -> None:
        check_fields(self, "reward")
        if self.count_power and self.shaping != "bonus":
            raise ConfigError(
                f"count_power is {self.count_power}, but a potential has no counts: it is a "
                "function of the state alone",
                cure="set count_power to 0, or shaping to 'bonus'",
            )
        if self.use in KNOWN:
            self.caller(self.use)  # which refuses settings that do not fit
        else:
            refuse_yes_no(self.settings, f"of {self.use}, the setting")

    def caller(self, name: str) -> Caller:
        """Return the reward itself, under a name.

        Raises:
            ConfigError: There is no such reward, its settings do not fit, or it is a potential
                that takes more than the state.
        """
        caller = Caller.of(name, make_reward(self.use, self.settings, beside=_OF_A_TERM))
        self.check_potential(caller)
        return caller

    def check_potential(self, caller: Caller) -> None:
        """Refuse a potential that is no function of the state alone."""
        if self.shaping == "potential" and not caller.is_potential:
            beyond = ", ".join(sorted(caller.takes - {"texts", "observations", "model"}))
            raise ConfigError(
                f"the reward {self.use!r} takes {beyond}, so it is no function of the state, "
                "and as a potential it would change the optimal policy",
                cure="set shaping of this reward to 'bonus', if it may change it",
            )

    @property
    def uses_model(self) -> bool:
        """Whether it asks the experiment's language model."""
        return self.model is None and asks_model(self.use)

    @property
    def may_use_model(self) -> bool:
        """Whether it may ask the experiment's language model, without importing it."""
        return self.model is None and (self.use not in KNOWN or asks_model(self.use))


@dataclass(frozen=True)
class Reward:
    """What is added to the environment's own reward in training, and nowhere else.

    A single term may be written without ``terms``, its settings beside ``use``.

    Attributes:
        terms: The terms by name.
        env_weight: What the environment's own reward is multiplied by in training.
        gamma: Discount of the potentials. It is the learner's own in any case; a number that is
            another one is an error.
        placebo: Replaces what the terms say: by 0.5, or by a number from 0 to 1 that is drawn
            for each text and seed. These are the controls of this role.
    """

    controls: ClassVar[tuple[Control, ...]] = CONTROLS
    prior: ClassVar[str] = "the reward's own texts; what its model knows; the describer's wording"

    terms: Mapping[str, Term]
    env_weight: float | Schedule = 1.0
    gamma: float | None = None
    placebo: Placebo | None = None

    def __post_init__(self) -> None:
        check_fields(self, "reward")
        if not self.terms:
            raise ConfigError("reward has no terms", cure="give 'use', or leave the role out")
        for name in self.terms:
            if not name.replace("-", "").replace("_", "").isalnum() or name in RESERVED:
                raise ConfigError(
                    f"{name!r} cannot name a reward",
                    cure=f"use letters, digits, '-' and '_', and not {' or '.join(RESERVED)}",
                )

    @property
    def uses_model(self) -> bool:
        """Whether one of the terms asks the experiment's language model."""
        return self.placebo is None and any(term.uses_model for term in self.terms.values())

    @property
    def may_use_model(self) -> bool:
        """Whether one of the terms may ask the model, without importing it."""
        return self.placebo is None and any(term.may_use_model for term in self.terms.values())

    def check(self, gamma: float, env: Any) -> None:
        """Refuse terms that cannot work, before a model is loaded for them.

        Args:
            gamma: The learner's own discount.
            env: A vector environment, for rewards that are fitted to one.

        Raises:
            ConfigError: A term's reward is not there or its settings do not fit, or the role names
                another discount.
        """
        self.check_gamma(gamma)
        for name, term in self.terms.items() if self.placebo is None else ():
            function = term.caller(name).function
            if isinstance(function, Fits):
                fitted: Any = function.fitted(env)
                if hasattr(fitted, "close"):
                    fitted.close()

    def check_gamma(self, gamma: float) -> None:
        """Refuse another discount than the learner's."""
        if self.gamma is not None and self.gamma != gamma:
            raise ConfigError(
                f"reward.gamma is {self.gamma}, but the learner discounts by {gamma}: shaping "
                "by another discount changes the optimal policy",
                cure="leave reward.gamma out, or set algorithm.settings.gamma to the same number",
            )

    def wrap(self, env: VectorEnv[Any, Any, Any], context: Context) -> RewardVector:
        """Return the vector environment whose rewards hold the terms."""
        from dragoman.roles.reward.rewarder import Rewarder
        from dragoman.roles.reward.vector import RewardVector

        count, gamma = env.num_envs, context.gamma
        made = Rewarder(self, context.models, num_envs=count, gamma=gamma, env=env)
        return RewardVector(env, made)

    @classmethod
    def of(cls, use: str | Callable[..., Any], **settings: Any) -> Reward:
        """Return the reward role with a single term, written as in a YAML file.

        >>> reward = Reward.of("goal-similarity", goal="You are at the door.", weight=0.5)
        >>> reward.terms["goal-similarity"].weight
        0.5

        Args:
            use: As in `Term`; or a function, or an instance of a frozen dataclass.
            settings: Settings of the role, of the term and of the reward.
        """
        if not isinstance(use, str):
            use, own = path_of(use)
            settings = {**settings, "settings": {**own, **settings.get("settings", {})}}
        made: Reward = pydantic.TypeAdapter(cls).validate_python({"use": use, **settings})
        return made

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let a single term be read and written without ``terms``."""
        return core_schema.no_info_before_validator_function(
            _unfolded,
            handler(source),
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda reward, dump: _folded(dump(reward)), schema=handler(source)
            ),
        )


def path_of(function: Callable[..., Any]) -> tuple[str, dict[str, Any]]:
    """Return the import path of a function or of an object's class, and the object's fields."""
    is_object = is_dataclass(function) and not isinstance(function, type)
    named = type(function) if is_object else function
    path = f"{named.__module__}:{getattr(named, '__qualname__', '')}"
    if "<" in path or path.endswith(":"):
        raise ConfigError(
            f"the reward {function!r} has no name by which a run folder could find it again",
            cure="define it at the top of a module or a file",
        )
    names = [field.name for field in fields(function)] if is_object else []  # type: ignore[arg-type]
    own = {name: getattr(function, name) for name in names}
    short = next((name for name, known in KNOWN.items() if known == path), path)
    return short, own


def _default_name(use: str) -> str:
    return use.rpartition(":")[2].replace(".", "-").replace("_", "-").strip("-").lower()


_OF_THE_ROLE = tuple(one.name for one in fields(Reward))
_OF_A_TERM = tuple(one.name for one in fields(Term))


def _unfolded(data: Any) -> Any:
    """Return a role with ``terms``, in which each reward's own settings stand apart."""
    if not isinstance(data, Mapping):
        return data
    if "use" in data:
        if "terms" in data:
            raise ConfigError(
                "reward has both 'use' and 'terms'", cure="write every reward below 'terms'"
            )
        term = {key: value for key, value in data.items() if key not in _OF_THE_ROLE}
        rest = {key: value for key, value in data.items() if key in _OF_THE_ROLE}
        data = {**rest, "terms": {_default_name(str(data["use"])): term}}
    elif "terms" not in data:
        unknown = [key for key in data if key not in _OF_THE_ROLE]
        raise ConfigError(
            f"reward says nothing to use, only {', '.join(map(repr, data)) or 'nothing'}"
            f"{did_you_mean(str(unknown[0]), ['use', 'terms']) if unknown else ''}",
            cure=f"give 'use': one of {', '.join(KNOWN)}, or 'my_file.py:my_reward'",
        )
    terms = data["terms"]
    if isinstance(terms, Mapping):
        data = {**data, "terms": {name: _gathered(term) for name, term in terms.items()}}
    return data


def _gathered(term: Any) -> Any:
    if not isinstance(term, Mapping):
        return term
    own = {key: value for key, value in term.items() if key not in _OF_A_TERM}
    rest = {key: value for key, value in term.items() if key in _OF_A_TERM}
    if not own:
        return rest
    return {**rest, "settings": {**rest.get("settings", {}), **own}}


def _folded(dumped: dict[str, Any]) -> dict[str, Any]:
    """Return plain data as short as it can be read back, keys of the role last."""
    terms = {name: _spread(term) for name, term in dumped["terms"].items()}
    rest = {key: value for key, value in dumped.items() if key != "terms"}
    (name, term), *others = terms.items()
    if not others and name == _default_name(term["use"]) and not set(term) & set(rest):
        return {**term, **rest}
    return {"terms": terms, **rest}


def _spread(term: dict[str, Any]) -> dict[str, Any]:
    taken = {*_OF_A_TERM, *_OF_THE_ROLE}
    own = {key: value for key, value in term["settings"].items() if key not in taken}
    hidden = {key: value for key, value in term["settings"].items() if key in taken}
    rest = {key: value for key, value in term.items() if key not in ("settings", "use")}
    return {"use": term["use"], **own, **({"settings": hidden} if hidden else {}), **rest}
