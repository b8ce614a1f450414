"""The act role: pi(a_t|s_t) = g(f(o_t)), the language model as a part of the policy.

The observe role says what the state s_t = f(o_t) is; this one says what is made of it.

head      an MLP on the state, one output an action, as without this role, but with masks
match     the state beside f of each action's text: actions are chosen by what they are called
score     how likely the model finds each action's text after the observation's
hybrid    head or match, on top of the model's scores as a prior
write     the trained model writes the action's text
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from gymnasium.vector import VectorEnv

from dragoman.errors import ConfigError
from dragoman.maths.likelihood import Normalisation
from dragoman.maths.seeds import derive_seed
from dragoman.models.spec import ModelSpec, NamedModel
from dragoman.roles.act.grammar import BY_FILE, Grammar
from dragoman.roles.act.tune import Tune
from dragoman.roles.control import Control, learned_embedding, random_weights
from dragoman.roles.role import Models
from dragoman.settings import ONE_OR_MORE, check_fields, check_least
from dragoman.types import Pooling

if TYPE_CHECKING:
    from dragoman.roles.observe.observer import AnyObserver

PRIOR = "the wording of observations and actions; no pre-training"

PolicyName: TypeAlias = Literal["head", "match", "score", "hybrid", "write"]

UNIFORM_PRIOR = Control(
    name="uniform-prior",
    about="every valid action gets the same score",
    prior="which actions are valid",
    overrides={"act.scores": "uniform"},
)
SHUFFLED_TEXTS = Control(
    name="shuffled-texts",
    about="every action is read under the text of another one, by a rule drawn by seed",
    prior="the language model's pre-training; wrong action texts",
    overrides={"act.texts": "shuffled"},
)


UNTAUGHT = Control(
    name="untaught",
    about="the same training from the model as it was before it was taught",
    prior="the language model's pre-training; the wording of observations and actions",
    overrides={"act.init": None},
)
TAUGHT_RANDOM = "random-weights"
"""Part of a taught folder: the same architecture, drawn at random and taught the same."""


@dataclass(frozen=True)
class Act:
    """What the language model has to do with the choice of actions.

    Attributes:
        policy: How actions are chosen: ``head``, ``match``, ``score``, ``hybrid`` or ``write``.
        pooling: Which real tokens of an action's text become its features (match).
        template: What an action's text is read in (match): a sentence around ``{action}`` says
            to the model what the command is about.
        interaction: How a state meets an action (match): ``concat`` puts their features side by
            side into one MLP; ``dot`` gives each an MLP of its own and takes the inner product
            (the DRRN of He et al. 2016).
        normalisation: By what a text's log-prob is divided (score, hybrid): nothing (``sum``),
            its tokens or its words.
        question: What stands between an observation's text and an action's (score, hybrid).
        chat: Ask in the words of the model's chat template, as its user; what is scored is then
            its answer (score, hybrid).
        domain: Subtract the scores after this prompt, which only names the domain: what is left
            is how much more likely an action is here than anywhere (score, hybrid).
        calibrate: Subtract from a score the mean of its action's scores over the states that were
            met (batch calibration, Zhou et al. 2024), for actions whose number means the same in
            all of them; of a frozen model (score, hybrid).
        temperature: What scores are divided by before the softmax (score, hybrid).
        learn_temperature: Train the temperature, from that value on. Of a frozen model it is all
            that rewards can change in the score policy: they make it surer or less sure.
        base: What the hybrid trains on top of the prior: a ``head`` or a ``match``.
        weight: Factor of the prior's log-probs (hybrid).
        model: The model that reads action texts (match), instead of the experiment's, which
            scores them in any case.
        scores: ``uniform`` gives every action the same score: a control.
        texts: ``shuffled`` reads every action under the text of another one: a control.
        max_tokens: Most tokens of a text that is written token by token, its end included (write).
        constrain: What may be written (write): ``texts`` are the valid actions' alone, ``grammar``
            leaves every token to be drawn among those that ``grammar`` allows, ``none`` is
            anything, up to the end of a line.
        grammar: What a text must be: ``{lark: ...}``, ``{regex: ...}`` or ``{json_schema: ...}``; a
            text alone is a grammar in Lark, or the file of one, ``NAME.lark``.
        invalid: What a text that names no valid action does, or one that was cut off before its
            grammar let it end: ``noop`` lets a step pass in which nothing is done, ``penalty``
            takes off ``penalty`` for it in training, ``end`` ends the episode.
        penalty: What an invalid text costs in training, where that is said.
        think: Most tokens that the model writes to itself before each text, up to the end of a
            line; 0 for none. They are no action, and trained as the text is. Not for ``texts``.
        ratio: Whether PPO's ratio, its clipping and its mean are over whole texts (``turn``), or
            over their tokens, each with the credit of its text (``token``). Not for ``texts``.
        writer: Server that writes the texts of rollouts (write, constrain none) with the adapters
            that are trained here; it holds the same model, and ``adapters`` is where it finds them.
        init: Folder that `dragoman.teach` has written: the experiment's model begins as it was
            taught there, in all that asks it, and is what ``reference_kl`` holds it to.
        tune: Train the model too; ``None`` leaves it frozen. The state is then the model's last
            hidden layer, pooled as the observe role says.
    """

    policy: PolicyName = "head"
    pooling: Annotated[tuple[Pooling, ...], ONE_OR_MORE] = ("mean",)
    template: str = "{action}"
    interaction: Literal["concat", "dot"] = "concat"
    normalisation: Normalisation = "token"
    question: str = "Next action:"
    chat: bool = False
    domain: str | None = None
    calibrate: bool = False
    temperature: float = 1.0
    learn_temperature: bool = True
    base: Literal["head", "match"] = "head"
    weight: float = 1.0
    model: NamedModel | None = None
    scores: Literal["model", "uniform"] = "model"
    texts: Literal["right", "shuffled"] = "right"
    max_tokens: int = 32
    constrain: Literal["texts", "grammar", "none"] = "texts"
    grammar: Annotated[Grammar | None, BY_FILE] = None
    invalid: Literal["noop", "penalty", "end"] = "noop"
    penalty: float = 0.1
    think: int = 0
    ratio: Literal["turn", "token"] = "turn"
    writer: NamedModel | None = None
    init: str | None = None
    tune: Tune | None = None

    without_model: ClassVar[dict[str, Any]] = {"policy": "head"}
    """What stands in its place in an arm without a model, so that both arms know the masks."""

    def __post_init__(self) -> None:
        check_fields(self, "act")
        if "{action}" not in self.template:
            raise ConfigError(
                f"act.template is {self.template!r}, which has no place for the action's text",
                cure="write {action} where the text should stand",
            )
        if not self.temperature > 0:
            raise ConfigError(
                f"act.temperature is {self.temperature}", cure="choose a number above 0"
            )
        if self.policy == "write":
            self._check_writing()
        self._check_texts()
        if self.calibrate and (self.tune is not None or not self.reads_scores):
            raise ConfigError(
                "act.calibrate is set, but no frozen model scores the actions",
                cure="set act.policy to 'score' or 'hybrid' and leave act.tune out, or leave "
                "act.calibrate out",
            )
        if self.writer is not None:
            self._check_writer(self.writer)
        if self.init is not None and self.policy == "head" and self.tune is None:
            raise ConfigError(
                f"act.init is {self.init!r}, but a head without tune asks no model that could have "
                "been taught",
                cure="set act.policy to 'score', or leave act.init out",
            )
        if self.tune is None:
            return
        if self.model is not None or (self.scores == "uniform" and self.policy == "score"):
            raise ConfigError(
                "act.tune trains the experiment's model, but these settings of act leave it out",
                cure="leave act.tune out, or act.model and act.scores",
            )
        if self.tune.reference_kl and self.policy != "score":
            raise ConfigError(
                "act.tune.reference_kl is set, but an untrained model has no policy "
                f"{self.policy!r}",
                cure="use policy 'score', or leave reference_kl out",
            )

    def _check_texts(self) -> None:
        """Refuse settings of texts that are written, where none are."""
        check_least(self, "act", think=0)
        if (self.think or self.ratio == "token") and not self.writes_tokens:
            raise ConfigError(
                f"act.{'think' if self.think else 'ratio'} is for what is written freely, but "
                "here a whole text is one choice among others",
                cure="set act.policy to 'write' and act.constrain to 'none', or leave it out",
            )
        if (self.grammar is not None) != (self.kept_grammar is not None):
            raise ConfigError(
                "act.grammar is set, but nothing is held to it",
                cure="set act.policy to 'write' and act.constrain to 'grammar', or leave "
                "act.grammar out",
            )

    def _check_writer(self, writer: ModelSpec) -> None:
        """Refuse a server that could not write what is trained here."""
        if writer.server is None or writer.adapters is None:
            missing = "server" if writer.server is None else "adapters"
            raise ConfigError(
                f"act.writer names the model {writer.name!r}, but no {missing}",
                cure="write 'writer: {name: ..., server: http://HOST:8000/v1, adapters: FOLDER}', "
                "with a folder that the server sees too",
            )
        if not self.writes_tokens or self.constrain == "grammar":
            raise ConfigError(
                f"act.writer is set, but act has policy {self.policy!r} and constrain "
                f"{self.constrain!r}: a server draws among all tokens, and so does the update "
                "under neither valid texts nor a grammar",
                cure="set act: {policy: write, constrain: none}, or leave act.writer out",
            )
        if self.tune is not None and self.tune.how != "lora":
            raise ConfigError(
                f"act.writer is set, but act.tune.how is {self.tune.how!r}, and servers load "
                "adapters alone while they run",
                cure="set act.tune.how to 'lora', or leave act.writer out",
            )

    def _check_writing(self) -> None:
        if self.constrain == "grammar" and self.grammar is None:
            raise ConfigError(
                "act.constrain is 'grammar', but act.grammar is not set",
                cure="set act.grammar, such as {regex: '(left|right) [1-9]'}",
            )
        if self.tune is None:
            raise ConfigError(
                "act.policy is 'write', which trains the model that writes, but act.tune is not "
                "set",
                cure="set act.tune, such as {how: lora}, or use policy 'score'",
            )
        if self.temperature != 1 or self.domain is not None or self.scores != "model":
            raise ConfigError(
                "act.policy is 'write', which draws from the model's own distribution, but "
                "act.temperature, act.domain or act.scores changes it",
                cure="leave these settings out, or use policy 'score'",
            )
        check_least(self, "act", max_tokens=1)

    @property
    def most_written(self) -> int:
        """Most tokens that are written for one action, thoughts included."""
        return self.think + self.max_tokens

    @property
    def writes_tokens(self) -> bool:
        """Whether texts are written token by token, and not chosen whole."""
        return self.policy == "write" and self.constrain != "texts"

    @property
    def kept_grammar(self) -> str | None:
        """The grammar that texts are kept to, as the model takes it."""
        if self.grammar is None or not self.writes_tokens or self.constrain == "none":
            return None
        # As `answer_of` puts them behind the question.
        return self.grammar.compiled("" if self.chat else " ")

    @property
    def reads_candidates(self) -> bool:
        """Whether action texts stand behind the question, token by token."""
        return self.policy in ("score", "write")

    @property
    def sums_candidates(self) -> bool:
        """Whether the model that is trained scores action texts."""
        return self.reads_candidates and not self.writes_tokens

    @property
    def divides_by(self) -> Normalisation:
        """By what a text's log-prob is divided: what is written has the probability that it has."""
        return "sum" if self.policy == "write" else self.normalisation

    @property
    def reads_scores(self) -> bool:
        """Whether the model's scores of action texts enter the policy."""
        return self.policy in ("score", "hybrid")

    @property
    def reads_texts(self) -> bool:
        """Whether features of action texts enter the policy."""
        return self.policy == "match" or (self.policy == "hybrid" and self.base == "match")

    @property
    def asks_scores(self) -> bool:
        """Whether the experiment's model, as it was loaded, scores action texts."""
        return self.reads_scores and self.scores == "model" and self.tune is None

    @property
    def uses_model(self) -> bool:
        """Whether it asks the experiment's language model."""
        read = self.reads_texts and self.model is None
        return self.tune is not None or self.asks_scores or read

    @property
    def controls(self) -> tuple[Control, ...]:
        """Placebos of this policy; a head has those of the observe role only."""
        if self.writer is not None:
            # The server holds the one model that was not changed.
            return tuple(
                replace(control, overrides={**control.overrides, "act.writer": None})
                for control in replace(self, writer=None).controls
            )
        if self.policy == "head":
            return () if self.tune is None else random_weights("act", None, PRIOR)
        # Of a model that is trained, scores and features are what is trained.
        is_prior = self.policy == "hybrid" or (self.policy == "score" and self.tune is None)
        embedded: tuple[Control, ...] = ()
        if self.reads_texts and self.tune is None:
            embedded = learned_embedding(("act", "observe"), self.model, PRIOR)
        return (
            *random_weights(
                "act", self.model if not (self.asks_scores or self.tune) else None, PRIOR
            ),
            SHUFFLED_TEXTS,
            *((UNIFORM_PRIOR,) if is_prior else ()),
            *embedded,
            *self._controls_of_teaching,
        )

    @property
    def _controls_of_teaching(self) -> tuple[Control, ...]:
        """Rewards alone, teaching alone, and both without pre-training."""
        if self.init is None:
            return ()
        plays = {"act.policy": "score", "act.normalisation": self.divides_by}
        # A critic goes on learning, of which the policy sees nothing.
        fixed = {"act.tune": None, "act.learn_temperature": False, "credit": "gae"}
        alone = Control(
            "taught-alone",
            "the taught model plays, and rewards train nothing of it",
            "the language model's pre-training and the play that taught it",
            {**plays, **fixed},
        )
        taught_random = Control(
            "taught-random-weights",
            "the same play and the same rewards teach random weights: did pre-training matter?",
            "the play that taught it; the wording of observations and actions",
            {"act.init": f"{self.init}/{TAUGHT_RANDOM}"},
        )
        return (UNTAUGHT, *((alone,) if self.sums_candidates else ()), taught_random)

    @property
    def prior(self) -> str:
        """One line of what prior knowledge the role hands to the agent."""
        if self.policy == "head" and self.tune is None:
            return "which actions are valid, where the environment says so"
        if self.model is not None and self.model.knows_nothing:
            return PRIOR
        return "the language model's pre-training; the wording of observations and actions"

    def observer(
        self, env: VectorEnv[Any, Any, Any], models: Models, below: AnyObserver | None
    ) -> AnyObserver:
        """Return what makes states and known actions of moments; below it stands the state's."""
        from dragoman.roles.act.observer import OptionsObserver
        from dragoman.roles.observe.observer import Observer
        from dragoman.roles.observe.raw import RawState
        from dragoman.roles.observe.settings import Observe

        return OptionsObserver(
            self,
            below.settings if isinstance(below, Observer) else Observe(),
            RawState(env.single_observation_space) if below is None else below,
            env.single_action_space,
            model=models.of() if self.uses_model else None,
            reader=models.of(self.model) if self.reads_texts else None,
            seed=derive_seed("shuffled texts", models.seed),
        )
