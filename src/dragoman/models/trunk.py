"""Training the top blocks only: what the frozen blocks below have made is kept and reused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from dragoman.errors import ConfigError
from dragoman.models.device import bring
from dragoman.models.probe import attempt, company_matters, same
from dragoman.models.rows import Layout, Row, lay_out
from dragoman.models.stack import Stack
from dragoman.models.weights import Weights

_TRIED = torch.tensor([[5, 6, 7], [6, 7, 5]])
"""Texts whose gradients are tried."""


class Trunk:
    """Hidden states with gradients through the top blocks of a causal stack.

    The blocks below are frozen, so what they make of a row is the same in a rollout and in every
    epoch of the update after it. It is computed once and kept, within a budget; rows beyond the
    budget are computed again each time, with the same result. In float32, gradients are
    bit-equal to those of a forward through all blocks. When frozen weights change after all,
    everything is forgotten.

    Args:
        stack: The blocks, of which all below the top ones are frozen.
        top: Number of blocks that may be trained.
        budget_bytes: Most bytes of hidden states that are kept.

    Attributes:
        kept_bytes: Bytes of hidden states that are kept.
        rows_reused: Rows whose trunk was kept from before.
        rows_computed: Rows whose trunk had to be computed.

    Raises:
        ConfigError: There are not so many blocks, a block below may be trained, or the
            architecture reads both ways or has no gradients.
    """

    def __init__(self, stack: Stack, top: int, *, budget_bytes: int = 2**30) -> None:
        if not 1 <= top <= stack.num_layers:
            raise ConfigError(
                f"top is {top}, but {stack.name!r} has {stack.num_layers} blocks",
                cure=f"train from 1 to {stack.num_layers} of them",
            )
        if not stack.is_causal:
            raise ConfigError(
                f"{stack.name!r} is not causal, so the trunk of a text depends on its padding",
                cure="train a causal model",
            )
        self._stack = stack
        self._below = stack.num_layers - top
        self._budget_bytes = budget_bytes
        self._reuses = self._below > 0 and stack.splits_at(self._below)
        self._known: dict[Row, Tensor] = {}
        self._weights = Weights(self._parts_below)
        self._version: object = None
        self.kept_bytes = 0
        self.rows_reused = 0
        self.rows_computed = 0
        self._check()
        self._check_gradients()
        self._unpads = self._gradients_agree()
        stack.pads_at(0)  # tried here, so that the first rows cost what later ones do

    def run(self, rows: Sequence[Row]) -> Tensor:
        """Return hidden states ``(B, T, H)`` at full depth, with gradients where they are on.

        Args:
            rows: Whole rows: the top blocks change, so no shared head stands before them.

        Raises:
            ConfigError: A block below the top has become trainable, or texts are so long that
                the architecture reads them otherwise in company.
        """
        longest = max(map(len, rows))
        if self.unpads_at(longest):
            return _side_by_side(self._run_unpadded(rows), rows)
        if not self._stack.pads_at(longest):
            raise company_matters(self._stack.name, longest)
        layout, device = lay_out(rows), self._stack.device
        ids = bring(layout.ids, device)
        above = (self._below, self._trunk(rows, layout)) if self._reuses else None
        mask, positions = self._masks(rows, layout)
        return self._stack.run(ids, mask=mask, positions=positions, above=above)

    def packs_at(self, length: int) -> bool:
        """Return whether candidates can stand side by side in a row of so many tokens."""
        return self.unpads_at(length) or self._stack.packs_at(length)

    def depth(self, row: Row) -> int:
        """Return how many blocks will be run for a row: all, or those above what is kept."""
        return self._stack.num_layers - (self._below if row in self._known else 0)

    def clear(self) -> None:
        """Forget all rows, as a new rollout brings others."""
        self._known.clear()
        self.kept_bytes = 0

    def unpads_at(self, length: int) -> bool:
        """Return whether rows of so many tokens are read without padding."""
        return self._unpads and self._stack.unpadded.reads(length)

    def _run_unpadded(self, rows: Sequence[Row]) -> Tensor:
        """Return hidden states of rows behind each other ``(T, H)``."""
        if not self._reuses:
            return self._stack.unpadded.run_above(rows, 0, None)
        self._check()
        new = [row for row in dict.fromkeys(rows) if row not in self._known]
        self.rows_reused += len(rows) - len(new)
        self.rows_computed += len(new)
        computed: dict[Row, Tensor] = {}
        if new:
            hidden, starts = self._stack.unpadded.run(new, self._below)
            # Copied out of inference mode, whose tensors take part in no training.
            parts = torch.split(hidden[: starts[-1]].clone(), list(map(len, new)))
            computed = dict(zip(new, parts, strict=True))
            self._keep(new, parts)
        trunk = torch.cat(
            [self._known[row] if row in self._known else computed[row] for row in rows]
        )
        return self._stack.unpadded.run_above(rows, self._below, trunk)

    def _masks(self, rows: Sequence[Row], layout: Layout) -> tuple[Tensor | None, Tensor | None]:
        # Plain rows need no mask of ours, which lets attention take its fast path.
        if not any(row.tree.tokens for row in rows):
            return None, None
        if not self._stack.packs_at(max(map(len, rows))):
            raise ConfigError(
                f"{self._stack.name!r} takes no attention mask for candidates side by side",
                cure="give each candidate a row of its own, behind its prompt",
            )
        device = self._stack.device
        return bring(layout.mask(self._stack.dtype), device), bring(layout.positions, device)

    def _trunk(self, rows: Sequence[Row], layout: Layout) -> Tensor:
        """Return what the frozen blocks make of rows, padded with zeros ``(B, T, H)``."""
        self._check()
        new = [i for i, row in enumerate(rows) if row not in self._known]
        self.rows_reused += len(rows) - len(new)
        self.rows_computed += len(new)
        if len(new) == len(rows):
            hidden = self._compute(rows, layout)
            self._keep(rows, hidden)
            return hidden
        computed: dict[Row, Tensor] = {}
        if new:
            missing = [rows[i] for i in new]
            hidden = self._compute(missing, lay_out(missing))
            self._keep(missing, hidden)
            computed = dict(zip(missing, hidden, strict=True))
        result = [self._known[row] if row in self._known else computed[row] for row in rows]
        trunk = result[0].new_zeros(len(rows), layout.ids.shape[1], result[0].shape[-1])
        for i, row in enumerate(rows):
            trunk[i, : len(row)] = result[i][: len(row)]
        return trunk

    def _compute(self, rows: Sequence[Row], layout: Layout) -> Tensor:
        with torch.no_grad():
            ids = bring(layout.ids, self._stack.device)
            mask, positions = self._masks(rows, layout)
            return self._stack.run(ids, depth=self._below, mask=mask, positions=positions)

    def _keep(self, rows: Sequence[Row], hidden: Iterable[Tensor]) -> None:
        for row, own in zip(rows, hidden, strict=True):
            size = len(row) * own.shape[-1] * own.element_size()
            # What is kept stays: an epoch reads all rows, so driving out the oldest would leave
            # nothing that the next epoch asks for.
            if row not in self._known and self.kept_bytes + size <= self._budget_bytes:
                # A copy, because a view would keep the whole batch alive.
                self._known[row] = own[: len(row)].clone()
                self.kept_bytes += size

    def _lower_weights(self) -> list[Tensor]:
        """Return the weights that the trunk depends on: embeddings and lower blocks."""
        blocks = self._stack.blocks
        lower = [p for block in blocks[: self._below] for p in block.parameters()]
        return [*(table.weight for table in self._tables()), *lower]

    def _tables(self) -> list[nn.Embedding]:
        """Return the embeddings, which stand below the blocks."""
        in_blocks = {id(module) for module in self._stack.blocks.modules()}
        return [
            module
            for module in self._stack.module.modules()
            if isinstance(module, nn.Embedding) and id(module) not in in_blocks
        ]

    def _parts_below(self) -> list[nn.Module]:
        """Return what makes the trunk: embeddings and lower blocks, and what holds them."""
        blocks = self._stack.blocks
        lower = [part for block in blocks[: self._below] for part in block.modules()]
        return [self._stack.module, blocks, *self._tables(), *lower]

    def _check_gradients(self) -> None:
        """Refuse an architecture that computes in a way that has no gradients."""
        try:
            self._gradients(lambda: self._stack.run(_TRIED.to(self._stack.device)))
        except RuntimeError as error:
            raise ConfigError(
                f"{self._stack.name!r} cannot be trained here: {error}",
                cure="train another architecture",
            ) from error

    def _gradients_agree(self) -> bool:
        """Return whether rows can be trained on without padding, found by trying."""
        stack, ids = self._stack, _TRIED.to(self._stack.device)
        rows = [Row(tuple(own)) for own in _TRIED.tolist()]

        def agree() -> bool:
            with torch.inference_mode(False):
                plain = self._gradients(lambda: stack.run(ids))
                ours = self._gradients(lambda: stack.unpadded.run_above(rows, 0, None))
            return all(
                same(a.flatten(), b.flatten(), exact=1e-3, short=0.1)
                for a, b in zip(ours, plain, strict=True)
            )

        name = f"gradients of {stack.name} without padding"
        return stack.unpadded.reads(ids.shape[1]) and attempt(name, agree)

    def _gradients(self, run: Callable[[], Tensor]) -> list[Tensor]:
        """Return the gradients of what is trained, where it takes part."""
        trained = [p for p in self._stack.module.parameters() if p.requires_grad]
        if not trained:
            return []
        with torch.enable_grad():
            total = run().float().square().sum()
            found = torch.autograd.grad(total, trained, allow_unused=True)
        return [one for one in found if one is not None]

    def _check(self) -> None:
        """Refuse lower weights that are trained, and forget what older ones have made."""
        weights = self._lower_weights()
        if self._below and any(weight.requires_grad for weight in weights):
            raise ConfigError(
                f"weights of {self._stack.name!r} below its top "
                f"{self._stack.num_layers - self._below} blocks are trainable",
                cure="freeze the embeddings and the lower blocks, or raise top",
            )
        version = self._weights.mark()
        if version != self._version:
            self.clear()
            self._version = version


def _side_by_side(hidden: Tensor, rows: Sequence[Row]) -> Tensor:
    """Return rows ``(B, W, H)``, padded with zeros, of rows behind each other ``(T, H)``."""
    width = max(map(len, rows))
    places = [i * width + place for i, row in enumerate(rows) for place in range(len(row))]
    empty = hidden.new_zeros(len(rows) * width, hidden.shape[-1])
    where = bring(places, hidden.device)
    return empty.index_copy(0, where, hidden).view(len(rows), width, -1)
