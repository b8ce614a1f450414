"""The transformer blocks of a model: token ids in, hidden states at any depth out."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from dragoman.errors import ModelError
from dragoman.models.attention import KeysValues, Segments, attending
from dragoman.models.probe import Trials, attempt, find_context, same
from dragoman.models.unpadded import Unpadded
from dragoman.models.weights import Weights


class Stack:
    """A causal or bidirectional stack of blocks, without a head, as Transformers builds it.

    It finds out by itself what its architecture allows, by trying it when it is first asked, so
    that nothing above it asks for names of architectures.

    Args:
        module: The stack.
        num_layers: Number of its blocks.
        name: What the model was loaded by.

    Attributes:
        context: Most tokens that it reads, if it has such a limit.
        trials: What its architecture allows.
        unpadded: Reads rows without padding, where that pays.

    Raises:
        ModelError: It has no such blocks, or does not read token ids.
    """

    def __init__(self, module: Any, num_layers: int, name: str) -> None:
        self.module = module
        self.name = name
        self.weights = Weights(module.modules)
        self.blocks = find_blocks(module, num_layers)
        accepted = inspect.signature(module.forward).parameters
        # Keys and values are for what comes after; an encoder alone may know no such switch.
        self._has_switch = "use_cache" in accepted
        # Transformers 5.2 and later say "cache".
        names = ("cache", "past_key_values")
        self.cache_name = next((name for name in names if name in accepted), None)
        self.trials = Trials(self)
        self.unpadded = Unpadded(self)
        self.context = find_context(
            lambda ids: self.run(ids.to(self.device), depth=0),
            getattr(module.config, "max_position_embeddings", None),
            name,
        )

    @property
    def num_layers(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = self.module.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of weights and hidden states."""
        dtype: torch.dtype = self.module.dtype
        return dtype

    @functools.cached_property
    def is_causal(self) -> bool:
        """Whether no token sees the ones after it, found by changing the last of three.

        One block shows it, so that trying costs next to nothing.
        """
        ids = torch.tensor([[1, 2, 3], [1, 2, 4]], device=self.device)
        is_real = torch.ones_like(ids, dtype=torch.bool)
        with torch.inference_mode():
            hidden = self.run(ids, depth=1, is_real=is_real)
            if hidden.shape[:-1] != ids.shape:  # an architecture may hand on more than a vector
                hidden = self.run(ids, is_real=is_real)
        return same(hidden[0, :2], hidden[1, :2])

    @property
    def continues(self) -> bool:
        """Whether it can go on from keys and values that were computed before."""
        return self.continues_at(0)

    def continues_at(self, length: int) -> bool:
        """Return whether that holds for texts of so many tokens; tried once a length."""
        able = self.cache_name is not None and self.is_causal
        return able and self.trials.continues(length)

    @property
    def packs(self) -> bool:
        """Whether several continuations of one text can stand side by side in one row.

        That takes a mask of our own, the same in every block, and positions of our own.
        """
        return self.is_causal and self.trials.packs(0)

    def packs_at(self, length: int) -> bool:
        """Return whether that holds for rows of so many tokens; tried once a length."""
        return self.packs and self.pads_at(length) and self.trials.packs(length)

    def pads_at(self, length: int) -> bool:
        """Return whether a text is what it is alone beside one of so many tokens."""
        return self.trials.pads(length)

    def forget(self) -> None:
        """Forget what was tried, where hooks or another code may have changed it."""
        self.trials = Trials(self)
        self.unpadded.forget()
        self.__dict__.pop("is_causal", None)

    def run(
        self,
        ids: Tensor,
        *,
        depth: int | None = None,
        is_real: Tensor | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        past: KeysValues | None = None,
        above: tuple[int, Tensor] | None = None,
        segments: Segments | None = None,
        body: Any = None,
    ) -> Tensor:
        """Return the hidden states after ``depth`` blocks.

        At full depth the final normalisation is applied, as in ``last_hidden_state`` of
        Transformers; below it a block's output is taken as it is. Blocks above are not run.

        Args:
            ids: Token ids ``(B, T)``.
            depth: Number of blocks to run; all of them by default.
            is_real: ``(B, T)``, needed where padding would be seen: not by a causal stack that
                is padded on the right.
            mask: Additive attention mask ``(B, 1, T, P + T)`` instead, where `packs`.
            positions: Positions ``(B, T)`` to go with it.
            past: Keys and values of ``P`` tokens before these, for each row.
            above: A number of blocks and what they make of the input ``(B, T, H)``, so that
                only those above are run; where `splits_at` says so.
            segments: What a packed row is made of, instead of a mask, with its positions.
            body: What runs instead of the stack as a whole, such as itself compiled.

        Returns:
            Tensor ``(B, T, H)`` in the model's precision.
        """
        inputs: dict[str, Any] = {"input_ids": ids}
        if mask is not None:
            inputs["attention_mask"] = mask
        elif is_real is not None:
            inputs["attention_mask"] = is_real.long()
        if positions is not None:
            inputs["position_ids"] = positions
        if past is not None:
            inputs[str(self.cache_name)] = DynamicCache(ddp_cache_data=past)
        if self._has_switch:
            inputs["use_cache"] = past is not None
        if segments is not None:
            inputs["segments"] = segments
        with (
            attending(self.module.config) if segments else nullcontext(),
            self._standing_for(*above) if above else nullcontext(),
        ):
            return self._leave_at(depth, inputs, body)

    def run_keeping(
        self, ids: Tensor, *, depth: int | None = None, past: KeysValues | None = None
    ) -> tuple[Tensor, KeysValues]:
        """Return hidden states as `run` does, and keys and values of past and these tokens."""
        # Layers come into being as blocks write to them: all of one kind, with keys and values.
        cache: Any = DynamicCache(ddp_cache_data=past)
        inputs = {"input_ids": ids, str(self.cache_name): cache, "use_cache": True}
        hidden = self._leave_at(depth, inputs)
        run = self.num_layers if depth is None else depth
        if len(cache.layers) < run:
            raise ModelError(
                f"{self.name!r} keeps no keys and values in some of its blocks",
                cure="read whole texts with this architecture",
            )
        return hidden, [(layer.keys, layer.values) for layer in cache.layers[:run]]

    def splits_at(self, begin: int) -> bool:
        """Return whether the blocks from ``begin`` up can go on from hidden states kept before.

        Found by trying, since an architecture may hand more from block to block than those.
        """
        ids = torch.tensor([[1, 2, 3]], device=self.device)

        def equal() -> bool:
            part = self.run(ids, above=(begin, self.run(ids, depth=begin)))
            return torch.equal(part, self.run(ids))

        return attempt(f"kept hidden states of {self.name}", equal)

    @contextmanager
    def _standing_for(self, begin: int, hidden: Tensor) -> Iterator[None]:
        """Let the lower blocks answer with known hidden states instead of computing."""
        answer = (hidden,) if self._answers_with_tuple else hidden
        lower = dict.fromkeys(list(self.blocks)[:begin])  # an architecture may use a block twice
        for block in lower:
            # Set on the instance, where it hides the method of the class until it is deleted.
            block.forward = lambda *args, **kwargs: answer
        try:
            yield
        finally:
            for block in lower:
                del block.forward

    @functools.cached_property
    def _answers_with_tuple(self) -> bool:
        kinds: list[bool] = []
        handle = self.blocks[0].register_forward_hook(
            lambda module, inputs, output: kinds.append(isinstance(output, tuple))
        )
        try:
            with torch.inference_mode():
                self.run(torch.tensor([[1, 2, 3]], device=self.device))
        finally:
            handle.remove()
        return kinds[0]

    def _leave_at(self, depth: int | None, inputs: dict[str, Any], body: Any = None) -> Tensor:
        self.weights.settle()
        if depth is None or depth == self.num_layers:
            whole = self.module if body is None else body
            last: Tensor = whole(**inputs).last_hidden_state
            return last

        block = self.blocks[depth]
        turns = itertools.count(1 - sum(other is block for other in self.blocks[:depth]))

        # The forward is left by an exception at the wanted depth, which works for every
        # architecture without knowing how it builds its masks and positions.
        def leave(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            if next(turns) == 1:
                raise _DepthReached(arguments[0] if arguments else named["hidden_states"])

        handle = block.register_forward_pre_hook(leave, with_kwargs=True)
        try:
            self.module(**inputs)
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


def find_blocks(module: nn.Module, count: int) -> nn.ModuleList:
    """Return the list of ``count`` blocks inside a module, as they are run."""
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    for part in lists:
        if len(part) == count:
            return part
    # An architecture may run one block many times, as ALBERT does.
    for part in lists:
        run = _as_run(module, part)
        if len(run) == count:
            return nn.ModuleList(run)
    raise ModelError(
        f"{type(module).__name__} has no list of {count} transformer blocks",
        cure="use a model of a transformer architecture",
    )


def _as_run(module: nn.Module, part: nn.ModuleList) -> list[nn.Module]:
    """Return the members of a list in the order in which a forward runs them."""
    run: list[nn.Module] = []
    handles = [item.register_forward_pre_hook(lambda own, _: run.append(own)) for item in part]
    ids = torch.tensor([[1, 2, 3]], device=next(module.parameters()).device)

    def forward() -> bool:
        module(input_ids=ids)
        return True

    try:
        return run if attempt(f"reading with {type(module).__name__}", forward) else []
    finally:
        for handle in handles:
            handle.remove()


def find_stack(model: Any, name: str) -> Any:
    """Return the part of a model of Transformers that makes hidden states of token ids.

    Raises:
        ModelError: Its configuration is not that of a language model.
    """
    for needed in ("num_hidden_layers", "hidden_size"):
        if not isinstance(getattr(model.config, needed, None), int):
            raise ModelError(
                f"the configuration of {name!r} has no {needed}, as that of a model of more "
                "than texts",
                cure="use a causal, an encoder or an encoder-decoder language model",
            )
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    base = model.base_model
    if base is not model or model.get_output_embeddings() is None:
        return base
    # A model that was cut out of a larger one may name its own stack otherwise.
    children = [child for child in model.children() if isinstance(child, PreTrainedModel)]
    return children[0] if children else base
