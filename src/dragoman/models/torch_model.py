"""A Transformers model that turns texts into hidden states."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from dragoman.errors import ConfigError, ModelError, did_you_mean
from dragoman.types import FloatArray, Pooling

BATCH_TOKENS = 8192
"""Most tokens, padding included, that one forward takes."""


class TorchModel:
    """A causal, encoder-decoder or encoder model with its tokenizer, in evaluation mode.

    Of an encoder-decoder model the encoder is used. Tokens are the tokenizer's own, with the
    special tokens it adds by itself. Padding is made here, always on the right, and told apart
    from text by position: the tokenizer's padding side and token never matter, and a text may
    contain the padding or end-of-text token.

    Args:
        model: A model without a head, as `transformers.AutoModel` loads it.
        tokenizer: Its tokenizer.
        name: What the model was loaded by.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str) -> None:
        self._stack = model.get_encoder() if model.config.is_encoder_decoder else model
        self._stack.eval().requires_grad_(False)
        # Keys and values are for generating; an encoder without generation knows no such switch.
        has_cache = "use_cache" in inspect.signature(self._stack.forward).parameters
        self._without_cache = {"use_cache": False} if has_cache else {}
        self._tokenizer = tokenizer
        self._name = name
        self._blocks = _find_blocks(self._stack, model.config.num_hidden_layers)
        self._hidden_size = int(model.config.hidden_size)
        self._context = getattr(model.config, "max_position_embeddings", None)
        self._tokens_computed = 0

    @property
    def name(self) -> str:
        """What the model was loaded by."""
        return self._name

    @property
    def hidden_size(self) -> int:
        """Width ``H`` of one hidden state."""
        return self._hidden_size

    @property
    def num_layers(self) -> int:
        """Number of transformer blocks."""
        return len(self._blocks)

    @property
    def tokens_computed(self) -> int:
        """Real tokens that have passed through the model so far."""
        return self._tokens_computed

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = self._stack.device
        return device

    def encode(
        self,
        texts: Sequence[str],
        *,
        layer: int | None = None,
        pooling: Sequence[Pooling] = ("last",),
    ) -> FloatArray:
        """Return one feature vector a text.

        At full depth the model's final normalisation is applied, as in the
        ``last_hidden_state`` of Transformers; below it, a block's output is taken as it is, as
        in ``hidden_states``. Equal texts are computed once.

        Args:
            texts: ``B`` texts.
            layer: Hidden state after this many blocks, from 0 (the embeddings) to
                ``num_layers``; ``None`` means all, negative numbers count from the end (-1 is
                all). The blocks above are not computed.
            pooling: Poolings whose results stand side by side.

        Returns:
            float32 array ``(B, len(pooling) * H)``.

        Raises:
            ConfigError: There is no such layer or pooling.
            ModelError: A text is longer than the model's context, or has no token at all.
        """
        depth = self._depth(layer)
        _check_pooling(pooling)
        distinct = list(dict.fromkeys(texts))
        tokens = self._tokenize(distinct)
        features = np.empty((len(distinct), len(pooling) * self.hidden_size), dtype=np.float32)
        for rows in _batches([len(ids) for ids in tokens], BATCH_TOKENS):
            hidden, is_real = self._hidden_states([tokens[row] for row in rows], depth)
            pooled = [_POOLINGS[name](hidden, is_real) for name in pooling]
            features[rows] = torch.cat(pooled, dim=1).cpu().numpy()
        self._tokens_computed += sum(map(len, tokens))
        where = {text: row for row, text in enumerate(distinct)}
        return features[[where[text] for text in texts]]

    def _depth(self, layer: int | None) -> int:
        depth = self.num_layers if layer is None else layer
        depth = depth + self.num_layers + 1 if depth < 0 else depth
        if not 0 <= depth <= self.num_layers:
            raise ConfigError(
                f"layer is {layer}, but {self.name!r} has {self.num_layers} layers",
                cure=f"choose a layer from 0 (the embeddings) to {self.num_layers}",
            )
        return depth

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        # The tokenizer's own length warning is ours to give, as an error below.
        tokens: list[list[int]] = self._tokenizer(texts, verbose=False)["input_ids"]
        for i, text in enumerate(texts):
            if not tokens[i]:
                tokens[i] = [self._start_token(text)]
            if self._context is not None and len(tokens[i]) > self._context:
                raise ModelError(
                    f"a text of {len(tokens[i])} tokens is longer than the context of "
                    f"{self._context} tokens of {self.name!r}: {text[:60]!r}...",
                    cure="describe less, with fewer digits, or use a model with a longer context",
                )
        return tokens

    def _start_token(self, text: str) -> int:
        for token in (self._tokenizer.bos_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        raise ModelError(
            f"the text {text!r} has no token, and {self.name!r} has no token for an empty text",
            cure="describe every observation with at least one word",
        )

    def _hidden_states(self, tokens: list[list[int]], depth: int) -> tuple[Tensor, Tensor]:
        """Return hidden states ``(B, T, H)`` in float32 and ``is_real`` ``(B, T)``."""
        width = max(map(len, tokens))
        ids = torch.zeros(len(tokens), width, dtype=torch.long)
        is_real = torch.zeros(len(tokens), width, dtype=torch.bool)
        for row, row_ids in enumerate(tokens):
            ids[row, : len(row_ids)] = torch.tensor(row_ids)
            is_real[row, : len(row_ids)] = True
        ids, is_real = ids.to(self.device), is_real.to(self.device)
        with torch.inference_mode():
            hidden = self._forward(ids, is_real.long(), depth)
        return hidden.float(), is_real

    def _forward(self, ids: Tensor, attention_mask: Tensor, depth: int) -> Tensor:
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": attention_mask}
        inputs |= self._without_cache
        if depth == self.num_layers:
            last: Tensor = self._stack(**inputs).last_hidden_state
            return last

        # The forward is left by an exception at the wanted depth, which works for every
        # architecture without knowing how it builds its masks and positions.
        def leave(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            raise _DepthReached(arguments[0] if arguments else named["hidden_states"])

        handle = self._blocks[depth].register_forward_pre_hook(leave, with_kwargs=True)
        try:
            self._stack(**inputs)
        except _DepthReached as reached:
            return reached.hidden
        finally:
            handle.remove()
        raise ModelError(
            f"{self.name!r} did not run its block {depth}",
            cure="leave layer unset to use the whole depth of this architecture",
        )


class _DepthReached(Exception):
    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


def _last(hidden: Tensor, is_real: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden), device=hidden.device), is_real.sum(dim=1) - 1]


def _mean(hidden: Tensor, is_real: Tensor) -> Tensor:
    weights = is_real.unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def _first(hidden: Tensor, is_real: Tensor) -> Tensor:
    return hidden[:, 0]


_POOLINGS = {"last": _last, "mean": _mean, "first": _first}


def _check_pooling(pooling: Sequence[Pooling]) -> None:
    known = get_args(Pooling)
    for name in pooling:
        if name not in known:
            raise ConfigError(
                f"there is no pooling {name!r}{did_you_mean(name, known)}",
                cure=f"choose from {', '.join(known)}",
            )
    if not pooling:
        raise ConfigError("pooling is empty", cure=f"choose from {', '.join(known)}")


def _find_blocks(stack: nn.Module, count: int) -> nn.ModuleList:
    for module in stack.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ModelError(
        f"{type(stack).__name__} has no list of {count} transformer blocks",
        cure="use a model of a transformer architecture",
    )


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield row indices in batches of like length, each within a budget of padded tokens."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Sorted upwards, this row is the longest of its batch so far.
        if batch and (len(batch) + 1) * lengths[row] > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
