"""The policy that writes: pi(a_t|s_t) is the model's own distribution over texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dragoman.generation import Sampling
from dragoman.models.free_text import chosen
from dragoman.roles.act.actors import Observation
from dragoman.roles.act.readers import TunedReader, rows_of
from dragoman.roles.act.settings import Act

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
    """

    def __init__(self, reader: TunedReader, critic: nn.Module, settings: Act) -> None:
        super().__init__()
        self.reader = reader
        self.critic = critic
        self.settings = settings
        self.bridge: tuple[int, ...] = ()
        if settings.think:
            self.bridge = reader.model.inner.bare_ids(f"{LINE}{settings.question}")

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
        state, log_probs = self.reader.written(observation, behind)
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
        parts: list[Tensor] = []
        if think:
            parts.append(self._drawn(prompts, think, greedy))
            thoughts = rows_of(parts[0])
            prompts = [(*p, *t, *self.bridge) for p, t in zip(prompts, thoughts, strict=True)]
        parts.append(self._drawn(prompts, most, greedy))
        return torch.cat(parts, dim=1).to(self.reader.model.device)

    def _drawn(self, prompts: Sequence[tuple[int, ...]], most: int, greedy: bool) -> Tensor:
        seeds = torch.randint(2**31, (len(prompts),)).tolist()
        sampling = Sampling(most, temperature=0.0 if greedy else 1.0, stop=(LINE,))
        ids = torch.full((len(prompts), most), PAD, dtype=torch.int64)
        written = self.reader.model.inner.write(prompts, sampling, seeds)
        for row, text in zip(ids, written, strict=True):
            row[: len(text.tokens)] = torch.tensor(text.tokens)
        return ids

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
        decode, texts = self.reader.model.inner.text, ids[:, self.settings.think :].cpu().numpy()
        if "mask" not in observation:
            return lines(decode, texts)
        seen = {key: observation[key].cpu().numpy() for key in ("mask", "candidates")}
        result: list[Any] = named_actions(decode, texts, **seen).tolist()
        return result


def lines(decode: Callable[[Sequence[int]], str], ids: NDArray[Any]) -> list[str]:
    """Return the first line of each text.

    Args:
        decode: Token ids to text.
        ids: Of the texts ``(B, L)``, -1 behind them.
    """
    return [decode(row[row >= 0].astype(int).tolist()).split(LINE)[0].strip() for row in ids]


def named_actions(
    decode: Callable[[Sequence[int]], str],
    ids: NDArray[Any],
    mask: NDArray[Any],
    candidates: NDArray[Any],
) -> NDArray[np.int64]:
    """Return which valid action each text names ``(B,)``, -1 where it names none.

    Capitals, spaces, quotes and a full stop make no difference.

    Args:
        decode: Token ids to text.
        ids: Of the texts ``(B, L)``, -1 behind them.
        mask: Which actions are valid ``(B, K)``.
        candidates: Token ids of the actions' texts ``(B, K, L_a)``, -1 behind them.
    """
    result = np.full(len(ids), PAD, dtype=np.int64)
    for i, said in enumerate(lines(decode, ids)):
        valid = np.flatnonzero(mask[i]).tolist()
        names = [decode(own[own >= 0].tolist()).strip() for own in candidates[i, valid]]
        name = chosen(said, names)
        if name is not None:
            result[i] = valid[names.index(name)]
    return result
