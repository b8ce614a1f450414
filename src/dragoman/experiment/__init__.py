"""An experiment as frozen data: what to train, on what, with which model and algorithm."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic_core import PydanticSerializationError, to_jsonable_python

from dragoman.describe.synonyms import Synonyms
from dragoman.environments.guard import Guard
from dragoman.errors import ConfigError
from dragoman.experiment.checkpoint import BY_EVERY, Checkpoint
from dragoman.experiment.checks import POLICY_GRADIENT, check_roles
from dragoman.experiment.collapse import Collapse
from dragoman.experiment.credit import BY_RULE, Credit
from dragoman.experiment.messages import cure_of, problem_of
from dragoman.experiment.short import short
from dragoman.models.spec import ModelSpec, NamedModel
from dragoman.roles.act.settings import Act
from dragoman.roles.explore.guide import BY_USE, Guide
from dragoman.roles.explore.settings import BY_METHOD, Explore
from dragoman.roles.observe.settings import Observe
from dragoman.roles.own import OwnRole
from dragoman.roles.reward.settings import Reward
from dragoman.roles.role import roles_of
from dragoman.settings import COUNT, ONE_OR_MORE, check_fields
from dragoman.yaml12 import dump, read_mapping, refuse_yes_no

TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio"]
AlgorithmName = Literal["ppo", "a2c", "appo", "dqn", "recurrent-ppo", "sac", "td3"]


def _switched(value: Any) -> Any:
    """Return the settings of a role that is written as ``on`` or ``off``."""
    word = str(value).lower() if isinstance(value, str | bool) else ""
    if word in ("off", "no", "none", "false"):
        return None
    return {} if word in ("on", "yes", "true") else value


_SWITCH = pydantic.BeforeValidator(_switched)

_BY_NAME = pydantic.BeforeValidator(
    lambda value: {"name": value} if isinstance(value, str) else value
)


@dataclass(frozen=True)
class Describe:
    """How observations and actions become text.

    Attributes:
        precision: Significant digits of numbers: fewer make texts repeat more often.
        limits: Say the documented limits beside the values.
        observation: Template instead of the generated sentence, with ``{feature_name}`` fields.
        actions: Action texts instead of the documented ones.
        exact: Write the exact numbers behind a text that rounds them or leaves them out, so that
            no two states share a text, and so an answer of the model.
        goal: What the agent should do, said before every observation.
        history: Number of steps whose observations and actions stand before the present one.
            Both are for the roles that observe and act; rewards read the present alone.
        list_actions: Say behind every observation which actions are valid, for the same roles.
        synonyms: What to say instead of a word or phrase, in observations, actions and goal, by
            ``{word: other}``: to find out whether an agent hangs on its wording.
        use: A describer of your own instead, ``module:Class`` or ``file.py:Class``: a class with
            ``observation(observation, info)`` and ``action(action)``, or a function that makes one.
    """

    precision: int = 3
    limits: bool = True
    observation: str | None = None
    actions: tuple[str, ...] | None = None
    exact: bool = False
    goal: str | None = None
    history: int = 0
    list_actions: bool = False
    synonyms: Mapping[str, str] = field(default_factory=dict)
    use: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "describe")
        Synonyms(self.synonyms)  # refuses what is no word
        if self.use is None:
            return
        if ":" not in self.use:
            raise ConfigError(
                f"describe.use is {self.use!r}, which names no describer",
                cure="write 'describe: {use: my_describer.py:MyDescriber}'",
            )
        for key in ("precision", "limits", "observation", "actions", "exact"):
            value = getattr(self, key)
            if value != getattr(Describe, key):
                raise ConfigError(
                    f"describe.{key} is {value!r}, but the describer {self.use} writes the texts",
                    cure=f"leave describe.{key} out, or describe.use",
                )


@dataclass(frozen=True)
class Algorithm:
    """A learning algorithm and its own settings.

    Attributes:
        name: The algorithm.
        settings: Keyword arguments of its constructor in the engine's own words, for example
            ``{"learning_rate": 3e-4, "n_steps": 64}``. A learning rate that falls over the
            training is written ``{"start": 5e-4, "end": 0.0}``.
        network: Units of the hidden layers of policy and value network.
        demonstrations: Folder of `dragoman.seek`, whose steps stand in the memory of ``dqn`` from
            the beginning.
    """

    name: AlgorithmName = "ppo"
    settings: Mapping[str, Any] = field(default_factory=dict)
    network: Annotated[tuple[int, ...], ONE_OR_MORE] = (64, 64)
    demonstrations: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "algorithm")
        if self.demonstrations is not None and self.name != "dqn":
            raise ConfigError(
                f"algorithm.demonstrations is set, but {self.name} has no memory to put them into",
                cure="use dqn, or leave algorithm.demonstrations out",
            )
        for key in ("gamma", "gae_lambda"):
            value = self.settings.get(key)
            if isinstance(value, int | float) and not 0 <= value <= 1:
                raise ConfigError(
                    f"algorithm.settings.{key} is {value}, but must lie between 0 and 1",
                    cure=f"change algorithm.settings.{key}",
                )


@dataclass(frozen=True, repr=False)
class Experiment:
    """Everything that decides a training run except its seed; prints as short YAML.

    Attributes:
        env: Registered id, ``module:Class`` or ``file.py:Class``.
        env_settings: Keyword arguments of the environment's constructor.
        max_episode_steps: Time limit instead of the registered one.
        num_envs: Copies of the environment stepped together.
        steps: Environment steps to train for, over all copies; ``10k`` and ``1.5M`` are read too.
        algorithm: The learning algorithm; its name stands for one with default settings.
        model: The language model; not loaded where no role uses it.
        describe: How observations and actions become text.
        observe: What of the model the agent sees; ``None`` trains on the raw observations.
        act: What the model has to do with the choice of actions; ``None`` leaves that to a network
            that knows no texts of actions. With ``ppo`` and ``a2c`` it obeys masks all the same.
        credit: How the steps of an episode get their credit with ``ppo`` and ``a2c``; a rule's name
            stands for its defaults.
        collapse: From where on a training with ``ppo`` or ``a2c`` shows signs of collapse.
        checkpoint: How often all that a training needs to go on is kept, in environment steps; a
            number stands for ``every``, and ``off`` keeps nothing.
        guard: What becomes of an environment that fails or hangs in training.
        reward: What is added to the environment's own reward in training.
        explore: The bonus for new states in training; a method's name stands for its defaults.
        guide: How the model's distribution over action texts guides the learner in training.
        roles: Roles of a user's own by name: ``use``, an import path, and their settings.
        track: Services that are told every row of the metrics too: ``tensorboard``, ``wandb``,
            ``mlflow``, ``trackio``.
    """

    # Read by pydantic for this class and those inside it: an unknown key is an error.
    __pydantic_config__: ClassVar[pydantic.ConfigDict] = pydantic.ConfigDict(extra="forbid")

    env: str
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None
    num_envs: int = 8
    steps: Annotated[int, COUNT] = 100_000
    algorithm: Annotated[Algorithm, _BY_NAME] = Algorithm()
    model: NamedModel = ModelSpec()
    describe: Describe = Describe()
    observe: Annotated[Observe | None, _SWITCH] = Observe()
    act: Annotated[Act | None, _SWITCH] = None
    credit: Annotated[Credit, BY_RULE] = Credit()
    collapse: Collapse = Collapse()
    guard: Guard = Guard()
    checkpoint: Annotated[Checkpoint | None, BY_EVERY, _SWITCH] = Checkpoint()
    reward: Annotated[Reward | None, _SWITCH] = None
    explore: Annotated[Explore | None, BY_METHOD, _SWITCH] = None
    guide: Annotated[Guide | None, BY_USE, _SWITCH] = None
    roles: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    track: Annotated[tuple[TrackerName, ...], ONE_OR_MORE] = ("tensorboard",)

    def __repr__(self) -> str:
        # Without what would be so anyway; `from_yaml` reads it back as an equal experiment.
        try:
            return dump({"env": self.env, **short(self.to_dict(), Experiment(self.env).to_dict())})
        except ConfigError:  # of values that no file can hold
            return f"Experiment({self.env!r}, ...)"

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value, least in (
            ("steps", self.steps, 1),
            ("num_envs", self.num_envs, 1),
            ("describe.precision", self.describe.precision, 1),
            ("describe.history", self.describe.history, 0),
            ("model.threads", self.model.threads, 1),
            ("max_episode_steps", self.max_episode_steps, 1),
            ("algorithm.network", min(self.algorithm.network, default=None), 1),
        ):
            if value is not None and value < least:
                raise ConfigError(
                    f"{name} is {value}, but must be at least {least}", cure=f"raise {name}"
                )
        refuse_yes_no(self.env_settings, "env_settings")
        refuse_yes_no(self.algorithm.settings, "algorithm.settings")
        for name in self.roles:
            if not name.isidentifier():
                raise ConfigError(
                    f"{name!r} cannot name a role", cure="use letters, digits and '_'"
                )
        self.own_roles  # noqa: B018  refuses an entry that names no role
        check_roles(self)

    @functools.cached_property
    def own_roles(self) -> dict[str, OwnRole]:
        """Roles of a user's own by name; those that are set to nothing are off."""
        return {name: OwnRole(name, given) for name, given in self.roles.items() if given}

    @property
    def can_obey_masks(self) -> bool:
        """Whether its algorithm can keep to the actions that an environment offers."""
        return self.algorithm.name in POLICY_GRADIENT

    @property
    def models(self) -> list[ModelSpec]:
        """Every model that it names."""
        terms = {} if self.reward is None else self.reward.terms
        roles = (self.observe, self.act, self.explore, self.guide, *terms.values())
        named = [role.model for role in roles if role]
        named += [] if self.explore is None else [self.explore.goals.proposer]
        named += [] if self.act is None else [self.act.writer]
        return [self.model, *(model for model in named if model is not None)]

    @property
    def uses_model(self) -> bool:
        """Whether any of its roles asks the language model."""
        return any(role.uses_model for role in roles_of(self).values())

    @property
    def may_use_model(self) -> bool:
        """Whether any of its roles may ask the language model; imports no code of the user's."""
        return any(
            role.may_use_model if isinstance(role, Reward | OwnRole) else role.uses_model
            for role in roles_of(self).values()
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Experiment:
        """Build an experiment from plain data, refusing what does not fit.

        Raises:
            ConfigError: A key is unknown, a value has the wrong type or breaks a rule.
        """
        data = _without_encoder(data)
        try:
            experiment: Experiment = _adapter(cls).validate_python(data)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise ConfigError(
                problem_of(cls, first["loc"], first["type"], first["msg"], first["input"]),
                cure=cure_of(first["type"], first["input"]),
            ) from None
        return experiment

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> Experiment:
        """Read an experiment from a YAML file.

        Args:
            path: The file.
            overrides: Values that replace the file's, by dotted key: ``{"algorithm.name": "dqn"}``.
        """
        data = read_mapping(Path(path), "experiment", first="env: CartPole-v1")
        return cls.from_dict(with_overrides(data, overrides or {}))

    def replaced(self, overrides: Mapping[str, Any]) -> Experiment:
        """Return this experiment with other values, by dotted key."""
        return self.from_dict(with_overrides(self.to_dict(), overrides))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` turns into an equal experiment.

        Raises:
            ConfigError: A setting holds what no file can hold.
        """
        return plain(_adapter(type(self)), self)

    def to_yaml(self) -> str:
        """Return YAML text that `from_yaml` reads back as an equal experiment."""
        return dump(self.to_dict())


def _without_encoder(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without the keys of a table of tokens that was once trained here.

    Raises:
        ConfigError: They ask for that table.
    """
    kept = dict(data)
    for role, keys in {"observe": ("width", "max_tokens"), "act": ("max_tokens",)}.items():
        settings = data.get(role)
        if not isinstance(settings, Mapping):
            continue
        if settings.get("encoder", "model") != "model":
            raise ConfigError(
                f"{role}.encoder is {settings['encoder']!r}, but there is no table of tokens any "
                "more",
                cure=f"write '{role}.model: words' instead of encoder, {' and '.join(keys)}, and "
                "train again",
            )
        if role == "act" and "encoder" not in settings:
            continue  # whose max_tokens is that of a policy that writes
        kept[role] = {key: settings[key] for key in settings if key not in ("encoder", *keys)}
    return kept


_ADAPTERS: dict[type, pydantic.TypeAdapter[Any]] = {}


def _adapter(kind: type[Experiment]) -> pydantic.TypeAdapter[Any]:
    """Return what reads and writes an experiment, or one with more roles than these."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = pydantic.TypeAdapter(kind)
    return _ADAPTERS[kind]


def plain(adapter: pydantic.TypeAdapter[Any], settings: Any) -> dict[str, Any]:
    """Return settings as data of YAML's own types, infinities and NaN among them.

    Raises:
        ConfigError: They hold something else.
    """
    try:
        # By pydantic's JSON mode alone, what has no declared type would turn from .inf to null.
        data: dict[str, Any] = to_jsonable_python(
            adapter.dump_python(settings), inf_nan_mode="constants"
        )
    except (PydanticSerializationError, ValueError) as error:
        raise ConfigError(
            f"the settings hold what no file can hold: {error}",
            cure="give numbers, texts, booleans, lists and mappings",
        ) from None
    return data


def with_overrides(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data in which values are replaced by dotted key.

    >>> with_overrides({"observe": {"raw": True}}, {"observe.layer": 8, "steps": 9})
    {'observe': {'raw': True, 'layer': 8}, 'steps': 9}

    Raises:
        ConfigError: A key leads below something that has no keys.
    """
    replaced: dict[str, Any] = copy.deepcopy(dict(data))
    for key, value in overrides.items():
        _set_dotted(replaced, key, copy.deepcopy(value))
    if overrides.get("describe.use") is not None:
        # How the texts that it replaces write numbers says nothing of its own.
        for key in {"precision", "limits"} - {key.removeprefix("describe.") for key in overrides}:
            replaced["describe"].pop(key, None)
    return replaced


def _set_dotted(data: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        child = data.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(
                f"{key!r}: {parent!r} is {child!r}, which has no keys below it",
                cure=f"set {parent!r} itself",
            )
        data = child
    data[last] = value
