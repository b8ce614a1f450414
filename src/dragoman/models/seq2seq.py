"""Log-probs of candidate texts with an encoder-decoder model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from dragoman.errors import ModelError
from dragoman.models.batching import pad_right, plan_batches
from dragoman.models.meter import Meter
from dragoman.models.stack import Stack
from dragoman.types import FloatArray


class Seq2SeqScorer:
    """Scores candidates: the encoder reads each prompt once, the decoder each candidate.

    Args:
        model: The model with its head.
        stack: Its encoder.
        meter: Where its work is booked.

    Raises:
        ModelError: The model does not say which token its decoder starts with.
    """

    def __init__(self, model: Any, stack: Stack, meter: Meter) -> None:
        self._model = model
        self._stack = stack
        self._meter = meter
        start = getattr(model.config, "decoder_start_token_id", None)
        if start is None:
            raise ModelError(
                f"the configuration of {stack.name!r} has no decoder_start_token_id",
                cure="set it in the model's config.json to the token its decoder was trained with",
            )
        self._start = int(start)

    def score(
        self, prompts: Sequence[list[int]], candidates: Sequence[Sequence[list[int]]]
    ) -> list[list[FloatArray]]:
        """Return for each prompt and candidate the log-probs ``(n,)`` of its tokens.

        Args:
            prompts: Token ids for the encoder.
            candidates: Token ids for the decoder, of each candidate of each prompt.
        """
        scores: list[list[FloatArray]] = [[] for _ in prompts]
        lengths = [
            len(prompt) + sum(map(len, own))
            for prompt, own in zip(prompts, candidates, strict=True)
        ]
        for batch in plan_batches(lengths):
            found = self._score_batch([prompts[i] for i in batch], [candidates[i] for i in batch])
            for i, answer in zip(batch, found, strict=True):
                scores[i] = answer
        return scores

    def _score_batch(
        self, prompts: list[list[int]], candidates: list[Sequence[list[int]]]
    ) -> list[list[FloatArray]]:
        device = self._stack.device
        ids, is_real = pad_right(prompts)
        rows = [i for i, own in enumerate(candidates) for _ in own]
        texts = [tokens for own in candidates for tokens in own]
        targets, _ = pad_right(texts)
        inputs = torch.cat([torch.full_like(targets[:, :1], self._start), targets[:, :-1]], dim=1)
        with torch.inference_mode():
            encoded = self._stack.run(ids.to(device), is_real=is_real.to(device))
            logits = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=encoded[rows]),
                attention_mask=is_real[rows].long().to(device),
                decoder_input_ids=inputs.to(device),
            ).logits.float()
            chosen = torch.log_softmax(logits, dim=-1).gather(2, targets.to(device).unsqueeze(-1))
        for prompt, own in zip(prompts, candidates, strict=True):
            self._meter.encode_decode(len(prompt), [len(tokens) for tokens in own])
        log_probs = chosen.squeeze(-1).cpu().numpy()
        flat = [log_probs[k, : len(tokens)] for k, tokens in enumerate(texts)]
        bounds = np.cumsum([0, *map(len, candidates)])
        return [flat[a:b] for a, b in pairwise(bounds)]
