"""Log-probs of candidate texts with an encoder-decoder model."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from dragoman.errors import ModelError
from dragoman.models.batches import Batcher, pad_right, single_batches
from dragoman.models.meter import FlopRates, Meter
from dragoman.models.pooling import pool
from dragoman.models.probe import attempt, company_matters, find_context, same
from dragoman.models.stack import Stack, find_blocks
from dragoman.types import FloatArray, Pooling


def flop_rates(model: Any, blocks: nn.ModuleList) -> tuple[FlopRates, FlopRates | None]:
    """Return what blocks and head of a model take, and what its decoder takes if it has one."""
    config = model.config
    rates = FlopRates.of(blocks, config, model.get_output_embeddings())
    if not config.is_encoder_decoder:
        return rates, None
    names = ("num_decoder_layers", "decoder_layers")
    layers = next((n for n in (getattr(config, name, None) for name in names) if n), len(blocks))
    return rates, FlopRates.of(find_blocks(model.get_decoder(), layers), config)


class Seq2SeqScorer:
    """Scores candidates: the encoder reads each prompt once, the decoder each candidate.

    Args:
        model: The model with its head.
        stack: Its encoder.
        meter: Where its work is booked.
        batcher: Cuts it into batches.

    Raises:
        ModelError: The model does not say which token its decoder starts with, or its decoder
            does not go on from what its encoder has made.
    """

    def __init__(self, model: Any, stack: Stack, meter: Meter, batcher: Batcher) -> None:
        self._model = model
        self._stack = stack
        self._meter = meter
        self._batcher = batcher
        start = getattr(model.config, "decoder_start_token_id", None)
        if start is None:
            raise ModelError(
                f"the configuration of {stack.name!r} has no decoder_start_token_id",
                cure="set it in the model's config.json to the token its decoder was trained with",
            )
        self._start = int(start)
        # One token more for the decoder, which separates its tables from those of the encoder.
        self._context = find_context(
            lambda ids: self._plain(ids[:, :2], ids),
            getattr(model.config, "max_position_embeddings", None),
            stack.name,
        )
        if not attempt(f"the decoder of {stack.name}", self._agrees):
            raise ModelError(
                f"the decoder of {stack.name!r} does not go on from kept states of its encoder",
                cure="use another encoder-decoder model, or this one to encode only",
            )

    def _plain(self, ids: Tensor, decoded: Tensor) -> Tensor:
        device = self._stack.device
        logits: Tensor = self._model(
            input_ids=ids.to(device), decoder_input_ids=decoded.to(device), use_cache=False
        ).logits
        return logits

    def _agrees(self) -> bool:
        """Return whether log-probs are those of a plain forward of encoder and decoder."""
        ids = torch.tensor([[5, 6, 7]], device=self._stack.device)
        is_real = torch.ones_like(ids, dtype=torch.bool)
        result, _ = self._decoded(self._stack.run(ids, is_real=is_real), is_real, [[[5, 6]]])
        logits = self._plain(ids, torch.tensor([[self._start, 5]]))
        expected = torch.log_softmax(logits.float(), dim=-1)[0, [0, 1], [5, 6]]
        return same(result[0], expected.to(logits.dtype), exact=1e-3)

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
        pads = self._stack.pads_at(max(map(len, prompts), default=0))

        def read(batch: list[int]) -> list[list[FloatArray]]:
            return self._score_batch([prompts[i] for i in batch], [candidates[i] for i in batch])

        cut = self._batcher.padded if pads else single_batches
        for batch, result in self._batcher.each(lengths, cut, read):
            for i, answer in zip(batch, result, strict=True):
                scores[i] = answer
        return scores

    def read(
        self,
        prompts: Sequence[list[int]],
        candidates: Sequence[Sequence[list[int]]],
        pooling: Sequence[Pooling],
    ) -> tuple[Tensor, Tensor]:
        """Return features of prompts and summed log-probs of candidates, with gradients.

        Args:
            prompts: Token ids for the encoder.
            candidates: Token ids for the decoder, of each candidate of each prompt.
            pooling: ``last`` is the decoder's hidden state at its start token, ``mean`` and
                ``first`` are the encoder's.

        Returns:
            float32 features ``(B, len(pooling) * H)``, and the log-probs of all candidates end
            to end.
        """
        device = self._stack.device
        if len(prompts) > 1 and not self._stack.pads_at(max(map(len, prompts))):
            raise company_matters(self._stack.name, max(map(len, prompts)))
        ids, is_real = pad_right(prompts)
        ids, is_real = ids.to(device), is_real.to(device)
        encoded = self._stack.run(ids, is_real=is_real)
        for prompt, own in zip(prompts, candidates, strict=True):
            self._meter.encode_decode(len(prompt), [len(tokens) for tokens in own])

        def start() -> Tensor:
            decoder = self._model.get_decoder().eval()
            hidden: Tensor = decoder(
                input_ids=torch.full_like(ids[:, :1], self._start),
                encoder_hidden_states=encoded,
                encoder_attention_mask=is_real.long(),
                use_cache=False,
            ).last_hidden_state
            return hidden[:, 0].float()

        whole = encoded.float()
        parts = [start() if item == "last" else pool(whole, is_real, [item]) for item in pooling]
        features = torch.cat(parts, dim=1)  # (B, len(pooling) * H)
        if not any(candidates):
            return features, features.new_zeros(0)
        chosen, lengths = self._decoded(encoded, is_real, candidates)
        is_own = torch.arange(chosen.shape[1], device=device) < lengths.unsqueeze(1)
        return features, (chosen * is_own).sum(dim=1)

    def _decoded(
        self, encoded: Tensor, is_real: Tensor, candidates: Sequence[Sequence[list[int]]]
    ) -> tuple[Tensor, Tensor]:
        """Return log-probs of the tokens of all candidates ``(C, L)``, and their numbers."""
        rows = [i for i, own in enumerate(candidates) for _ in own]
        texts = [tokens for own in candidates for tokens in own]
        longest = max(map(len, texts))
        if self._context is not None and longest > self._context:
            raise ModelError(
                f"a candidate of {longest} tokens is longer than the {self._context} tokens that "
                f"the decoder of {self._stack.name!r} reads",
                cure="give shorter candidates, or use a model with a longer context",
            )
        targets, own = pad_right(texts)
        targets, own = targets.to(encoded.device), own.to(encoded.device)
        inputs = torch.cat([torch.full_like(targets[:, :1], self._start), targets[:, :-1]], dim=1)
        self._model.eval()
        logits = self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded[rows]),
            attention_mask=is_real[rows].long(),
            decoder_input_ids=inputs,
            use_cache=False,
        ).logits.float()
        chosen = torch.log_softmax(logits, dim=-1).gather(2, targets.unsqueeze(-1)).squeeze(-1)
        return chosen, own.sum(dim=1)

    def _score_batch(
        self, prompts: list[list[int]], candidates: list[Sequence[list[int]]]
    ) -> list[list[FloatArray]]:
        device = self._stack.device
        ids, is_real = pad_right(prompts)
        is_real = is_real.to(device)
        texts = [tokens for own in candidates for tokens in own]
        with torch.inference_mode():
            encoded = self._stack.run(ids.to(device), is_real=is_real)
            chosen, _ = self._decoded(encoded, is_real, candidates)
        for prompt, own in zip(prompts, candidates, strict=True):
            self._meter.encode_decode(len(prompt), [len(tokens) for tokens in own])
        log_probs = chosen.cpu().numpy()
        flat = [log_probs[k, : len(tokens)] for k, tokens in enumerate(texts)]
        bounds = np.cumsum([0, *map(len, candidates)])
        return [flat[a:b] for a, b in pairwise(bounds)]
