"""The policy that writes: pi(a_t|s_t) is the model's own distribution over texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.errors import ConfigError
from dragoman.generation import Generation, Sampling
from dragoman.models.free_text import chosen
from dragoman.roles.act.actors import Observation
from dragoman.roles.act.readers import TunedReader, rows_of
from dragoman.roles.act.settings import Act

if TYPE_CHECKING:
    from dragoman.roles.act.served import ServedWriter

PAD = -1
LINE = "\n"
"""Ends a text that is written as an action, and a thought before it."""


class WrittenPolicy(nn.Module):
    """Writes texts with the model that is trained, and reads them with it.

    A text is a row of the token ids that were written, its end included: `Act.think` places for
    the thought before it, where there is one, and `Act.max_tokens` for itself. The update reads
    these ids behind the prompt that they were written after, and cuts nothing into tokens again.
    Between thought and text stands the question, which nobody has written.

    Args:
        reader: Reads prompts and texts.
        critic: State of the prompt to a value ``(B, 1)``; it sees nothing of the text.
        settings: The act role.

    Attributes:
        server: Writes instead of the model here, where one does.
        last: What was written last: of each row its thought, where there is one, and its text.

    Raises:
        ConfigError: No text of the grammar ends in time.
    """

    def __init__(self, reader: TunedReader, critic: nn.Module, settings: Act) -> None:
        super().__init__()
        self.reader = reader
        self.critic = critic
        self.settings = settings
        self.server: ServedWriter | None = None
        self.last: list[tuple[Generation, ...]] = []
        self.bridge: tuple[int, ...] = ()
        if settings.think:
            self.bridge = reader.model.inner.bare_ids(f"{LINE}{settings.question}")
        if settings.kept_grammar is not None:
            self._check_length(settings.kept_grammar)

    def forward(self, observation: Observation, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return values ``(B,)`` and the log-probs ``(B, L)`` of the tokens that were written.

        Args:
            observation: With the prompts.
            ids: Token ids ``(B, L)``, -1 where there is none; the log-prob is zero there.
        """
        think = self.settings.think
        thoughts, texts = rows_of(ids[:, :think]), rows_of(ids[:, think:])
        between = [(len(own), len(own) + len(self.bridge)) for own in thoughts]
        behind = [(*a, *self.bridge, *b) for a, b in zip(thoughts, texts, strict=True)]
        state, log_probs = self.reader.written(observation, behind, [end for _, end in between])
        own = [
            torch.cat([row[:start], row[end:]])
            for row, (start, end) in zip(log_probs, between, strict=True)
        ]
        result = torch.zeros(ids.shape, device=state.device)
        # Row by row, where a token stands, in order.
        result = result.masked_scatter((ids >= 0).to(state.device), torch.cat(own))
        return self.critic(state).squeeze(-1), result

    def values(self, observation: Observation) -> Tensor:
        """Return values ``(B,)`` alone."""
        values: Tensor = self.critic(self.reader.critic_state(observation)).squeeze(-1)
        return values

    def write(self, observation: Observation, *, greedy: bool = False) -> Tensor:
        """Return one text for each prompt as token ids ``(B, L)``, -1 where there is none.

        Each row has a seed of its own from PyTorch's generator, so equal prompts get unlike texts.
        """
        prompts = rows_of(observation["prompt"])
        think, most = self.settings.think, self.settings.max_tokens
        self.last = []
        thoughts: list[Generation] = []
        if think:
            thoughts = self._drawn(prompts, think, greedy)
            own = [thought.tokens for thought in thoughts]
            prompts = [(*p, *t, *self.bridge) for p, t in zip(prompts, own, strict=True)]
        texts = self._drawn(prompts, most, greedy, self.settings.kept_grammar)
        parts = [(thoughts, think), (texts, most)] if think else [(texts, most)]
        self.last = list(zip(*(written for written, _ in parts), strict=True))
        ids = torch.cat([_rows(*part) for part in parts], dim=1)
        return ids.to(self.reader.model.device)

    def _check_length(self, grammar: str) -> None:
        most = self.settings.max_tokens
        fewest = self.reader.model.inner.replay(grammar).fewest(most)
        if fewest is None or fewest > most:
            took = "never ended" if fewest is None else f"took {fewest} tokens or more"
            raise ConfigError(
                f"no text of act.grammar was found that ends within act.max_tokens, {most}: those "
                f"that were drawn {took}",
                cure="raise act.max_tokens, or allow shorter texts",
            )

    def _drawn(
        self,
        prompts: Sequence[tuple[int, ...]],
        most: int,
        greedy: bool,
        grammar: str | None = None,
    ) -> list[Generation]:
        seeds = torch.randint(2**31, (len(prompts),)).tolist()
        stop = (LINE,) if grammar is None else ()
        sampling = Sampling(most, temperature=0.0 if greedy else 1.0, stop=stop)
        if self.server is not None:
            return [*self.server.write(prompts, sampling, seeds)]
        return self.reader.model.inner.write(prompts, sampling, seeds, grammar)

    def said(self, ids: Tensor) -> list[str]:
        """Return what was written in each row, with the thought before it."""
        decode, think = self.reader.model.inner.text, self.settings.think
        rows = [rows_of(part) for part in (ids[:, :think], ids[:, think:])]
        texts = [[decode(own).strip() for own in part] for part in rows]
        if not think:
            return texts[1]
        question = self.settings.question
        pairs = zip(*texts, strict=True)
        return [f"{thought}{LINE}{question} {text}" for thought, text in pairs]

    def actions(self, observation: Observation, ids: Tensor) -> list[Any]:
        """Return the action of each text: the number of the one it names, or the text itself."""
        model = self.reader.model.inner
        texts = texts_of(model, self.settings, ids.cpu().numpy())
        if "mask" not in observation:
            return list(texts)
        seen = {key: observation[key].cpu().numpy() for key in ("mask", "candidates")}
        result: list[Any] = named_actions(model.text, texts, **seen).tolist()
        return result


def _rows(written: Sequence[Generation], most: int) -> Tensor:
    """Return the token ids of texts as rows ``(B, most)``, -1 where there is none."""
    ids = torch.full((len(written), most), PAD, dtype=torch.int64)
    for row, text in zip(ids, written, strict=True):
        row[: len(text.tokens)] = torch.tensor(text.tokens)
    return ids


def texts_of(model: Any, settings: Act, ids: NDArray[Any]) -> list[str | None]:
    """Return what each row of ids says, without its thought.

    Freely written it is the first line. Under a grammar it is the whole text, or nothing where it
    was cut off before the grammar let it end.

    Args:
        model: The model of Transformers that wrote them, or the one that it is trained from.
        settings: The act role.
        ids: What was written ``(B, L)``, -1 behind it.
    """
    rows = [tuple(row[row >= 0].astype(int).tolist()) for row in ids[:, settings.think :]]
    grammar = settings.kept_grammar
    if grammar is None:
        return [model.text(row).split(LINE)[0].strip() for row in rows]
    replay, most = model.replay(grammar), settings.max_tokens
    return [
        model.text(row).strip() if len(row) < most or replay.is_whole(row) else None for row in rows
    ]


def named_actions(
    decode: Callable[[Sequence[int]], str],
    texts: Sequence[str | None],
    mask: NDArray[Any],
    candidates: NDArray[Any],
) -> NDArray[np.int64]:
    """Return which valid action each text names ``(B,)``, -1 where it names none.

    Capitals, spaces, quotes and a full stop make no difference.

    Args:
        decode: Token ids to text.
        texts: What is said, or nothing.
        mask: Which actions are valid ``(B, K)``.
        candidates: Token ids of the actions' texts ``(B, K, L_a)``, -1 behind them.
    """
    result = np.full(len(texts), PAD, dtype=np.int64)
    for i, said in enumerate(texts):
        valid = np.flatnonzero(mask[i]).tolist()
        names = [decode(own[own >= 0].tolist()).strip() for own in candidates[i, valid]]
        name = None if said is None else chosen(said, names)
        if name is not None:
            result[i] = valid[names.index(name)]
    return result
