"""Actions that a frozen model writes, wherever it computes: here or behind a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from dragoman.describe.moment import Moment
from dragoman.errors import ConfigError
from dragoman.generation import Generation, Sampling
from dragoman.maths.seeds import derive_seed
from dragoman.models.free_text import chosen
from dragoman.roles.act.action_set import ActionSet
from dragoman.roles.act.settings import Act
from dragoman.roles.act.tokens import question_of
from dragoman.roles.act.written import LINE, PAD
from dragoman.types import GeneratingModel


@dataclass(frozen=True)
class Written:
    """What a model wrote in one step.

    Attributes:
        prompt: What it was asked.
        answer: Its text, with token ids and log-probs where the model says them.
        thought: What it wrote to itself before, if it was let to.
        action: The number of the action that the text names, -1 where it names none; or the text,
            where actions are texts.
    """

    prompt: str
    answer: Generation
    thought: Generation | None
    action: Any


class FrozenWriter:
    """Moments in, what a model writes to do out; nothing of it is trained.

    Copies of one prompt get unlike texts, since each has a seed of its own.

    Args:
        settings: The act role; what it says of training is not looked at.
        space: The (unbatched) action space, counted from zero.
        model: A model that writes.
        sampled: Draw tokens by the model's probabilities instead of taking the likeliest.
        seed: Of the draws. A server alone knows whether it keeps to it.

    Raises:
        ConfigError: The act role does not write, or keeps to something that only a model that is
            loaded here to be trained can keep to; or the model does not write.
    """

    def __init__(
        self,
        settings: Act,
        space: gym.Space[Any],
        model: Any,
        *,
        sampled: bool = False,
        seed: int = 0,
    ) -> None:
        if settings.policy != "write" or settings.constrain != "none":
            raise ConfigError(
                f"act has policy {settings.policy!r} and constrain {settings.constrain!r}, but a "
                "frozen model is asked for free texts",
                cure="set act: {policy: write, constrain: none}; a server keeps to a grammar that "
                "model.extra_body gives it, and policy 'score' chooses among the valid texts",
            )
        # As the protocol, isinstance would ask a server for an embedding, to have its width.
        if not callable(getattr(model, "generate", None)):
            raise ConfigError(
                f"the model {model!r:.200} does not write", cure="give a model that has generate()"
            )
        self.settings = settings
        self.actions = ActionSet(settings, space)
        self._model: GeneratingModel = model
        self._sampled = sampled
        self._seed = seed
        self._steps = 0

    def __call__(self, moments: Sequence[Moment]) -> list[Written]:
        """Return what is written in each moment."""
        self._steps += 1
        prompts = [question_of(self.settings, moment.text, self._model) for moment in moments]
        thoughts: list[Generation | None] = [None] * len(prompts)
        asked = prompts
        if self.settings.think:
            own = self._drawn(prompts, self.settings.think, "thought")
            asked = [
                prompt + f"{thought.text}{LINE}{self.settings.question}"
                for prompt, thought in zip(prompts, own, strict=True)
            ]
            thoughts = [*own]
        answers = self._drawn(asked, self.settings.max_tokens, "action")
        return [
            Written(asked[i], answer, thoughts[i], self._action(moments[i], answer))
            for i, answer in enumerate(answers)
        ]

    def _drawn(self, prompts: Sequence[str], most: int, what: str) -> list[Generation]:
        """Return one text a prompt; equal prompts are asked in calls with seeds of their own."""
        met: Counter[str] = Counter()
        rounds: list[list[int]] = []
        for i, prompt in enumerate(prompts):
            rounds += [[]] if met[prompt] == len(rounds) else []
            rounds[met[prompt] if self._sampled else 0].append(i)
            met[prompt] += self._sampled
        result: dict[int, Generation] = {}
        for number, rows in enumerate(rounds):
            sampling = Sampling(
                most,
                temperature=float(self._sampled),
                stop=(LINE,),
                seed=derive_seed("frozen", what, self._seed, self._steps, number),
            )
            texts = self._model.generate([prompts[i] for i in rows], sampling=sampling)
            result |= dict(zip(rows, texts, strict=True))
        return [result[i] for i in range(len(prompts))]

    def _action(self, moment: Moment, answer: Generation) -> Any:
        said = answer.text.split(LINE)[0].strip()
        if not self.actions.count:
            return said
        names = self.actions.texts(moment)
        name = chosen(said, list(names.values()))
        return PAD if name is None else next(i for i, text in names.items() if text == name)
