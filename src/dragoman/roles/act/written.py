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
"""Ends a text that is written as an action."""


class WrittenPolicy(nn.Module):
    """Writes texts with the model that is trained, and reads them with it.

    A text is a row of the token ids that were written, its end included. The update reads these
    ids behind the prompt that they were written after, and cuts nothing into tokens again.

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

    def forward(self, observation: Observation, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return values ``(B,)`` and the log-probs ``(B,)`` of texts.

        Args:
            observation: With the prompts.
            ids: Token ids ``(B, L)``, -1 behind them.
        """
        state, log_probs = self.reader.written(observation, ids)
        return self.critic(state).squeeze(-1), log_probs

    def values(self, observation: Observation) -> Tensor:
        """Return values ``(B,)`` alone."""
        values: Tensor = self.critic(self.reader.critic_state(observation)).squeeze(-1)
        return values

    def write(self, observation: Observation, *, greedy: bool = False) -> Tensor:
        """Return one text for each prompt as token ids ``(B, L)``, -1 behind them.

        Each row has a seed of its own from PyTorch's generator, so equal prompts get unlike texts.
        """
        prompts = rows_of(observation["prompt"])
        seeds = torch.randint(2**31, (len(prompts),)).tolist()
        most = self.settings.max_tokens
        sampling = Sampling(most, temperature=0.0 if greedy else 1.0, stop=(LINE,))
        written = self.reader.model.inner.write(prompts, sampling, seeds)
        ids = torch.full((len(prompts), most), PAD, dtype=torch.int64)
        for row, text in zip(ids, written, strict=True):
            row[: len(text.tokens)] = torch.tensor(text.tokens)
        return ids.to(self.reader.model.device)

    def named(self, observation: Observation, ids: Tensor) -> NDArray[np.int64]:
        """Return which action each text names ``(B,)``, see `named_actions`."""
        seen = {key: observation[key].cpu().numpy() for key in ("mask", "candidates")}
        return named_actions(self.reader.model.inner.text, ids.cpu().numpy(), **seen)


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
    for i, row in enumerate(ids):
        said = decode(row[row >= 0].astype(int).tolist()).split(LINE)[0]
        valid = np.flatnonzero(mask[i]).tolist()
        names = [decode(own[own >= 0].tolist()).strip() for own in candidates[i, valid]]
        name = chosen(said, names)
        if name is not None:
            result[i] = valid[names.index(name)]
    return result
