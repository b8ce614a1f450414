"""A model whose weights, or adapters on them, are trained through what it reads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from dragoman.errors import ConfigError, MissingExtraError, ModelError
from dragoman.models.batches import Batcher, Cut, full_batches
from dragoman.models.constraints import Replay
from dragoman.models.device import bring
from dragoman.models.limits import FEW, CudaGauge, Gauge, fit
from dragoman.models.pieces import Reading
from dragoman.models.pooling import pool
from dragoman.models.rows import Row, TokenTree, rows_of, wanted
from dragoman.models.torch_model import TorchModel
from dragoman.models.trunk import Trunk
from dragoman.types import Pooling

UPDATE_TOKENS = 4096
"""Most tokens that pass with gradients at a time on a processor."""

LEAF = TokenTree((), (), (), ())


@dataclass(frozen=True)
class Text:
    """Something to be read: a prompt, and the texts that may follow it.

    Attributes:
        prompt: Token ids, at least one.
        candidates: Token ids of each candidate; none by default.
        free: Tokens of each candidate before those that a grammar decides.
    """

    prompt: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...] = ()
    free: int = 0

    def __len__(self) -> int:
        return len(self.prompt) + sum(map(len, self.candidates))


class TunedModel(nn.Module):
    """Prompts and candidates in; hidden states and log-probs, with gradients, out.

    The model given is left as it is: weights that are not trained are shared with it, the others
    are copied. As a module this has no parameters but the trained ones, so that an optimiser,
    a run folder or a cluster sees nothing else.

    Args:
        model: A causal or an encoder-decoder model.
        how: ``lora`` or ``full``.
        rank: Rank of the adapters.
        alpha: Their factor, over the rank.
        modules: Names of the linear maps that get one; the architecture's usual ones by default.
        top: Number of blocks that are trained; all by default.
        tokens: Most tokens with gradients at a time; by default `UPDATE_TOKENS` on a processor,
            and what fits by measure on a GPU.
        keep_bytes: Most bytes of kept hidden states.

    Attributes:
        inner: The trained model, to be asked like any other.
        trunk: What keeps the results of the frozen blocks, of a causal model.

    Raises:
        ConfigError: These weights of this architecture cannot be trained.
        MissingExtraError: Adapters need the extra ``tune``.
    """

    def __init__(
        self,
        model: TorchModel,
        *,
        how: Literal["lora", "full"] = "lora",
        rank: int = 8,
        alpha: float = 16.0,
        modules: Sequence[str] | None = None,
        top: int | None = None,
        tokens: int | None = None,
        keep_bytes: int = 2**30,
    ) -> None:
        super().__init__()
        blocks = model.num_layers if top is None else top
        if not 1 <= blocks <= model.num_layers:
            raise ConfigError(
                f"top is {top}, but {model.name!r} has {model.num_layers} blocks",
                cure=f"train from 1 to {model.num_layers} of them",
            )
        self._tokens = tokens
        self._meter = model.meter
        part = range(model.num_layers - blocks, model.num_layers)
        trained = [] if how == "lora" else _upper_names(model, part, whole=top is None)
        inner = model.copied(set(trained))
        if how == "lora":
            trained = _add_adapters(inner.transformer, part, rank, alpha, modules)
            inner = model.around(inner.transformer)
        named = dict(inner.transformer.named_parameters())
        for name in trained:
            named[name].requires_grad_(True)
        # The wrapped model is no submodule: its frozen weights are not part of the policy.
        self._inner = (inner,)
        self.trained = nn.ParameterDict({_key(name): named[name] for name in trained})
        self.trunk: Trunk | None = None
        if not inner.is_seq2seq:
            self.trunk = inner.trunk(blocks, budget_bytes=keep_bytes)

    @property
    def inner(self) -> TorchModel:
        """The trained model."""
        return self._inner[0]

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.inner.device

    def forward(
        self,
        texts: Sequence[Text],
        pooling: Sequence[Pooling] = ("last",),
        *,
        by_token: bool = False,
        grammar: str | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Read texts.

        Equal texts are read once, in batches of like length; nothing depends on the company.

        Args:
            texts: ``B`` texts.
            pooling: What becomes of the hidden states of a prompt's tokens. Of an
                encoder-decoder model ``last`` is the decoder's at its start token, the others
                are the encoder's.
            by_token: Leave the log-probs of a candidate's tokens as they are (a causal model).
            grammar: What `Grammar.compiled` returned: a token's log-prob is then over those that it
                allowed in its place (a causal model).

        Returns:
            Features of the prompts, float32 ``(B, len(pooling) * H)``, and for each text the
            log-probs ``(K,)`` of its candidates, each the sum over its tokens; or those of all
            tokens of its candidates, end to end.
        """
        if not texts:
            # As where no state of a batch has a valid action.
            width = len(pooling) * self.inner.hidden_size
            return torch.zeros(0, width, device=self.device), []
        distinct = list(dict.fromkeys(texts))
        replay = None if grammar is None else self.inner.replay(grammar)
        read = functools.partial(
            self._read, pooling=tuple(pooling), by_token=by_token, replay=replay
        )
        sizes = [
            sum(map(len, item.candidates)) if by_token else len(item.candidates)
            for item in distinct
        ]
        reads, updates = self._batchers
        cut = self._cut(distinct)
        with self._meter.call(len(texts)):
            if torch.is_grad_enabled():
                trained = [weight for weight in self.parameters() if weight.requires_grad]
                reading = Reading(distinct, sizes, read, cut, updates)
                order, features, flat = reading.with_gradients(trained)
            else:
                order, features, flat = Reading(distinct, sizes, read, cut, reads).in_pieces()
        sums = torch.split(flat, [sizes[i] for i in order])
        place = {distinct[i]: row for row, i in enumerate(order)}
        rows = [place[text] for text in texts]
        return features[rows], [sums[row] for row in rows]

    def _cut(self, texts: Sequence[Text]) -> Cut:
        """Return what cuts texts into batches: as full as they get where nothing is padded."""
        longest = max(map(len, texts))
        unpads = self.trunk is not None and self.trunk.unpads_at(longest)
        return full_batches if unpads else self.inner.batcher.padded

    @functools.cached_property
    def _batchers(self) -> tuple[Batcher, Batcher]:
        """What cuts reading without gradients, and with them."""
        forward = self.inner.batcher.forward
        if self._tokens is None and self.device.type == "cuda":
            fits = self._fitting(CudaGauge(self.device))
            return self.inner.batcher, Batcher(self._meter, fits, forward)
        tokens = self._tokens or UPDATE_TOKENS
        return Batcher(self._meter, 4 * tokens, forward), Batcher(self._meter, tokens, forward)

    def _fitting(self, gauge: Gauge) -> int:
        """Return how many tokens may pass with gradients at a time, by trying."""
        half = tuple([1] * (FEW // 2))
        frozen = [weight for weight in self.parameters() if not weight.requires_grad]

        def update(tokens: int) -> None:
            texts = [Text(half, (half,))] * (tokens // FEW)
            with torch.enable_grad():
                features, log_probs = self._read(texts, ("last",), by_token=False)
                total = features.square().sum() + log_probs.sum()
                torch.autograd.grad(total, list(self.parameters()), allow_unused=True)

        # All of them, whatever a warm-up leaves out at first.
        for weight in frozen:
            weight.requires_grad_(True)
        try:
            return fit(update, gauge)[0]
        finally:
            for weight in frozen:
                weight.requires_grad_(False)
            if self.trunk is not None:
                self.trunk.clear()

    def _read(
        self,
        texts: Sequence[Text],
        pooling: tuple[Pooling, ...],
        by_token: bool,
        replay: Replay | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return features ``(B, D)`` and log-probs of all candidates, end to end."""
        if self.inner.is_seq2seq:
            assert not by_token
            assert replay is None
            return self.inner.seq2seq_with_gradients(
                [list(text.prompt) for text in texts],
                [[list(own) for own in text.candidates] for text in texts],
                pooling,
            )
        allowed = None if replay is None else self._allowed(texts, replay)
        pieces = [rows_of(text.prompt, text.candidates) for text in texts]
        rows = [row for own in pieces for row in own]
        assert self.trunk is not None
        if self.trunk.packs_at(max(map(len, rows))):
            hidden = self._run(rows)
            sums = self._packed(hidden, rows, by_token, allowed)
            if len(rows) > len(texts):
                hidden = hidden[np.cumsum([0, *map(len, pieces)])[:-1]]
            return _pool(hidden, [text.prompt for text in texts], pooling), sums
        # Where a row takes no mask of ours, each candidate stands in a row of its own.
        rows = [Row(text.prompt, LEAF) for text in texts]
        owned = [(text.prompt, candidate) for text in texts for candidate in text.candidates]
        rows += [Row((*prompt, *candidate[:-1]), LEAF) for prompt, candidate in owned]
        hidden = self._run(rows)
        pooled = _pool(hidden[: len(texts)], [text.prompt for text in texts], pooling)
        return pooled, self._unpacked(hidden[len(texts) :], owned, by_token, allowed)

    def _allowed(self, texts: Sequence[Text], replay: Replay) -> Tensor | None:
        """Return which tokens were allowed in the place of each token of all candidates."""
        masks = [
            np.pad(replay.masks(own[text.free :]), ((text.free, 0), (0, 0)), constant_values=True)
            for text in texts
            for own in text.candidates
        ]
        return bring(np.concatenate(masks), self.device) if masks else None

    def _run(self, rows: Sequence[Row]) -> Tensor:
        assert self.trunk is not None
        for row in rows:
            self._meter.blocks(len(row), row.contexts(0), self.trunk.depth(row))
        return self.trunk.run(rows)

    def _packed(
        self, hidden: Tensor, rows: Sequence[Row], by_token: bool, allowed: Tensor | None
    ) -> Tensor:
        width = hidden.shape[1]
        places = [i * width + place for i, row in enumerate(rows) for place in row.predicting]
        at, tokens = wanted(rows)
        lengths = [len(steps) for row in rows for steps in row.tree.steps]
        states = hidden.reshape(-1, hidden.shape[-1])[bring(places, hidden.device)]
        return self._sums(states, at, tokens, None if by_token else lengths, allowed)

    def _unpacked(
        self,
        hidden: Tensor,
        owned: Sequence[tuple[tuple[int, ...], tuple[int, ...]]],
        by_token: bool,
        allowed: Tensor | None,
    ) -> Tensor:
        spans = [(len(prompt) - 1, len(candidate)) for prompt, candidate in owned]
        states = [hidden[i, start : start + n] for i, (start, n) in enumerate(spans)]
        flat = torch.cat(states) if states else hidden.reshape(-1, hidden.shape[-1])[:0]
        tokens = [token for _, candidate in owned for token in candidate]
        lengths = None if by_token else [n for _, n in spans]
        return self._sums(flat, list(range(len(tokens))), tokens, lengths, allowed)

    def _sums(
        self,
        states: Tensor,
        at: list[int],
        tokens: list[int],
        lengths: list[int] | None,
        allowed: Tensor | None,
    ) -> Tensor:
        """Return log-probs of tokens, or their sums over candidates of these lengths."""
        if not tokens:
            return states.new_zeros(len(lengths or ()), dtype=torch.float32)
        self._meter.head(len(states))
        device = states.device
        rows, wanted_tokens = bring(at, device), bring(tokens, device)
        result = self.inner.log_probs_of(states, rows, wanted_tokens, allowed)
        if lengths is None:
            return result
        owner = bring(np.repeat(np.arange(len(lengths)), lengths), device)
        return result.new_zeros(len(lengths)).index_add(0, owner, result)


def _pool(hidden: Tensor, prompts: Sequence[tuple[int, ...]], pooling: Sequence[Pooling]) -> Tensor:
    """Return features ``(B, len(pooling) * H)`` of rows ``(B, T, H)`` that begin with prompts."""
    counts = bring([len(prompt) for prompt in prompts], hidden.device)  # (B,)
    # Of the prompts alone: what stands behind them may be candidates.
    is_real = torch.arange(hidden.shape[1], device=hidden.device) < counts.unsqueeze(1)  # (B, T)
    return pool(hidden.float(), is_real, pooling)


def _upper_names(model: TorchModel, part: range, *, whole: bool) -> list[str]:
    """Return the names of all weights, or of those of some blocks and what stands above them."""
    names = dict(model.transformer.named_parameters())
    if whole:
        return list(names)
    blocks = model.blocks
    inside = {id(p) for block in blocks for p in block.parameters()}
    upper = {id(p) for i in part for p in blocks[i].parameters()}
    # Embeddings stand below; a final normalisation is what has one dimension and no block.
    return [n for n, p in names.items() if id(p) in upper or (id(p) not in inside and p.dim() == 1)]


def _add_adapters(
    transformer: Any, part: range, rank: int, alpha: float, modules: Sequence[str] | None
) -> list[str]:
    """Put adapters into some blocks, and return the names of their weights."""
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingExtraError("peft", extra="tune") from error
    # GPT-2 keeps its linear maps transposed, in a class of its own.
    transposed = any(type(module).__name__ == "Conv1D" for module in transformer.modules())
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type] # any number, whatever its annotation says
        target_modules=None if modules is None else list(modules),
        layers_to_transform=list(part),
        fan_in_fan_out=transposed,
    )
    before = {name for name, _ in transformer.named_parameters()}
    try:
        peft.inject_adapter_in_model(config, transformer)
    except ValueError as error:
        raise ConfigError(
            f"adapters cannot be put on {list(modules or ())}: {error}",
            cure="name linear maps of this architecture in act.tune.modules",
        ) from error
    added = []
    for name, weight in transformer.named_parameters():
        if ".lora_" in name and name not in before:
            # Steps of an adapter are far smaller than what bfloat16 can add.
            weight.data = weight.data.float()
            added.append(name)
    if not added:
        raise ModelError("no adapter was added", cure="name linear maps in act.tune.modules")
    return added


def _key(name: str) -> str:
    """Return a parameter's name without dots, which PyTorch keeps for modules."""
    return name.replace(".", "/")
