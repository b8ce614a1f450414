"""The guide role: what a frozen model thinks of the actions guides any learner.

The model's scores of the action texts make a distribution p(a|s) over the valid actions, whatever
the policy itself reads:

kl        a loss β KL(π(·|s) ‖ p(·|s)): the best policy is then p(a|s) exp(Q(s, a) / β)
mixture   play is drawn from (1 - ε) π + ε p, and steps are weighed so that π learns its own values
values    DQN begins with Q(s, a) = c (log p(a|s) - its mean over the actions)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import gymnasium as gym
import pydantic
from gymnasium.vector import VectorEnv

from dragoman.errors import ConfigError
from dragoman.maths.likelihood import Normalisation
from dragoman.maths.seeds import derive_seed
from dragoman.maths.shaping import Schedule, weight_at
from dragoman.models.spec import NamedModel
from dragoman.roles.act.settings import Act
from dragoman.roles.control import Control, random_weights
from dragoman.roles.role import Context, Models, RoleVector
from dragoman.settings import check_fields

if TYPE_CHECKING:
    from dragoman.roles.explore.action_prior import ActionPrior
    from dragoman.roles.observe.observer import AnyObserver

WORDING = "the wording of observations and actions; no pre-training"
QUESTION = "Next action:"

UNIFORM = Control(
    name="uniform-prior",
    about="the prior finds every valid action equally likely",
    prior="which actions are valid",
    overrides={"guide.scores": "uniform"},
)
SHUFFLED = Control(
    name="shuffled-prior",
    about="the prior reads every action under the text of another one, by a rule drawn by seed",
    prior="the language model's pre-training; wrong action texts",
    overrides={"guide.texts": "shuffled"},
)


@dataclass(frozen=True)
class Guide:
    """The model's distribution over action texts, which guides a learner in training.

    Attributes:
        use: ``kl`` or ``mixture`` with ppo and a2c, ``values`` with dqn.
        weight: Of a ``kl``, β; of a ``mixture``, the prior's share ε of play; of ``values``, c.
            ``{start, end, steps}`` moves over the training's steps (not for ``values``).
        temperature: What scores are divided by before the softmax.
        normalisation: By what a text's log-prob is divided: nothing (``sum``), its tokens or words.
        question: What stands between an observation's text and an action's.
        chat: Ask in the words of the model's chat template.
        domain: Subtract the scores after this prompt, which knows no observation: what is left is
            how much more likely an action is here than anywhere. ``null`` subtracts nothing.
        calibrate: Subtract from a score the mean of its action's scores over the states that were
            met (batch calibration, Zhou et al. 2024), for actions whose number means the same in
            all of them.
        scores: ``uniform`` gives every action the same score: a control.
        texts: ``shuffled`` reads every action under the text of another one: a control.
        model: The model that scores, instead of the experiment's.
    """

    use: Literal["kl", "mixture", "values"] = "kl"
    weight: float | Schedule = 0.1
    temperature: float = 1.0
    normalisation: Normalisation = "token"
    question: str = QUESTION
    chat: bool = False
    domain: str | None = QUESTION
    calibrate: bool = False
    scores: Literal["model", "uniform"] = "model"
    texts: Literal["right", "shuffled"] = "right"
    model: NamedModel | None = None

    def __post_init__(self) -> None:
        check_fields(self, "guide")
        if not self.temperature > 0:
            raise ConfigError(
                f"guide.temperature is {self.temperature}", cure="choose a number above 0"
            )
        if self.domain is not None and not self.domain.strip():
            raise ConfigError("guide.domain is an empty text", cure="write null, or a prompt")
        weight = self.weight
        if isinstance(weight, Schedule) and self.use == "values":
            raise ConfigError(
                "guide.weight moves, but values are set once, before the first step",
                cure="give one number",
            )
        ends = (weight.start, weight.end) if isinstance(weight, Schedule) else (weight,)
        rule = "from 0 to below 1" if self.use == "mixture" else "at least 0"
        if min(ends) < 0 or (self.use == "mixture" and max(ends) >= 1):
            raise ConfigError(
                f"guide.weight is {weight}, but must be {rule}", cure="mend guide.weight"
            )

    def weight_at(self, step: int) -> float:
        """Return the weight after so many environment steps."""
        return weight_at(self.weight, step)

    @property
    def in_policy(self) -> bool:
        """Whether a policy of the act role must know the prior of what it reads."""
        return self.use != "values"

    @property
    def scoring(self) -> Act:
        """The same scoring in the words of the act role."""
        return Act(
            policy="score",
            normalisation=self.normalisation,
            question=self.question,
            chat=self.chat,
            domain=self.domain,
            calibrate=self.calibrate and self.scores == "model",
            temperature=self.temperature,
            scores=self.scores,
            texts=self.texts,
        )

    @property
    def uses_model(self) -> bool:
        """Whether the experiment's language model scores the actions."""
        return self.scores == "model" and self.model is None

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        if self.scores == "uniform":
            return UNIFORM.prior
        return "the language model's pre-training; the wording of observations and actions"

    @property
    def controls(self) -> tuple[Control, ...]:
        """Placebos: a prior that knows nothing, one that reads wrong texts, an untrained model."""
        if self.scores == "uniform":
            return ()
        return (UNIFORM, SHUFFLED, *random_weights("guide", self.model, WORDING))

    def check_actions(self, actions: gym.Space[Any]) -> None:
        """Refuse actions that have no texts to be scored."""
        if not isinstance(actions, gym.spaces.Discrete):
            raise ConfigError(
                f"guide scores the texts of single actions, but the actions are {actions}",
                cure="leave guide out, or use an environment of Discrete actions",
            )

    def action_prior(self, actions: gym.Space[Any], models: Models) -> ActionPrior:
        """Return what gives the log-probs of actions in a moment."""
        from dragoman.roles.explore.action_prior import ActionPrior

        self.check_actions(actions)
        model = models.of(self.model) if self.scores == "model" else None
        seed = derive_seed("shuffled prior", models.seed)
        return ActionPrior(self.scoring, actions, model, seed)

    def wrap(self, env: VectorEnv[Any, Any, Any], context: Context) -> GuideVector:
        """Return the vector environment as it is, with a place for what was found out."""
        return GuideVector(env, self)

    def observer(
        self, env: VectorEnv[Any, Any, Any], models: Models, below: AnyObserver | None
    ) -> AnyObserver | None:
        """Return what adds the prior to what the policy sees, where it must know it."""
        from dragoman.roles.explore.action_prior import GuidedObserver

        if not self.in_policy:
            return below
        assert below is not None
        return GuidedObserver(below, self.action_prior(env.single_action_space, models))


BY_USE = pydantic.BeforeValidator(lambda value: {"use": value} if isinstance(value, str) else value)
"""Lets a way of use stand for the role with defaults."""


class GuideVector(RoleVector):
    """Puts the weight, and what an engine has found out, into the metrics.

    Args:
        env: The vector environment.
        guide: The role.

    Attributes:
        steps: Returns the environment steps taken so far, once an engine has said so.
        columns: What the engine has found out, by name of the column.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], guide: Guide) -> None:
        super().__init__(env)
        self.guide = guide
        self.steps: Callable[[], int] = lambda: 0
        self.columns: dict[str, float] = {}

    def metrics(self) -> dict[str, float]:
        """Return these columns."""
        return {"guide/weight": self.guide.weight_at(self.steps()), **self.columns}
