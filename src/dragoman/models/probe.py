"""What an architecture allows, found by trying it on texts of its own making.

No name in a configuration says for sure whether padding, kept keys and values, or a mask of ours
leave results as they are. So each is held against a plain forward once, at the length that is
asked for; what fails is left to a slower way that is always right.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dragoman.errors import ConfigError, ModelError
from dragoman.models.attention import KeysValues, expand
from dragoman.models.rows import Row, grow_tree, lay_out

if TYPE_CHECKING:
    from dragoman.models.stack import Stack

log = logging.getLogger(__name__)

SHORTEST = 320
"""Tokens of the first trial: longer than local attention usually reaches."""

GROWTH = 1.5
"""Each next trial is so much longer, so that few are made, none far beyond what is asked."""

HEAD = 8
"""Tokens of the beginning that the others go on from."""

Hidden = tuple[Tensor, Tensor]
"""Hidden states found in one way, and those of a plain forward; each ``(..., H)``."""


def same(found: Tensor, expected: Tensor, *, exact: float = 1e-4, short: float = 0.012) -> bool:
    """Return whether two ways to compute vectors ``(..., H)`` differ by rounding only.

    Args:
        found: Vectors of one way.
        expected: Vectors of the other.
        exact: Largest difference in float32, over the length of the vector.
        short: The same in sixteen bits, which round each number by up to half a percent.
    """
    long = expected.dtype in (torch.float32, torch.float64)
    found, expected = found.float(), expected.float()
    errors = (found - expected).norm(dim=-1) / expected.norm(dim=-1).clamp_min(1e-12)
    return bool((errors <= (exact if long else short)).all())


def company_matters(name: str, longest: int) -> ConfigError:
    """Return the error of training where a text is not what it is alone."""
    return ConfigError(
        f"what {name!r} makes of a text depends on whether one of {longest} tokens stands beside "
        "it",
        cure="train on shorter texts, or with another architecture",
    )


def attempt(what: str, trial: Callable[[], bool]) -> bool:
    """Return what a trial says; one that fails says no."""
    try:
        with torch.inference_mode():
            holds = trial()
    except Exception as error:
        # Whatever an architecture makes of what it does not know, it cannot do it.
        log.debug("trying %s: %r", what, error)
        return False
    log.debug("trying %s: %s", what, holds)
    return holds


class Trials:
    """Tries what a stack of blocks allows, each thing once a length.

    A trial runs only as many blocks as hold one of every kind.

    Args:
        stack: The blocks.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: dict[tuple[str, int], bool] = {}

    def pads(self, length: int) -> bool:
        """Return whether texts are as they are alone beside one of so many tokens."""
        return self._holds("padding", length, self._pad)

    def continues(self, length: int) -> bool:
        """Return whether texts up to this length can go on from kept keys and values."""
        return self._holds("kept keys and values", length, self._continue)

    def packs(self, length: int) -> bool:
        """Return whether rows up to this length take a mask and positions of ours."""
        return self._holds("masks of our own", length, self._pack)

    def unpads(self, length: int) -> bool:
        """Return whether rows up to this length can stand behind each other, without padding."""
        return self._holds("rows without padding", length, self._unpad)

    def _holds(self, what: str, length: int, trial: Callable[[int], Iterator[Hidden]]) -> bool:
        size = self._size(length)
        if (what, size) not in self._known:
            self._known[what, size] = attempt(
                f"{what} of {self._stack.name} at {size} tokens",
                lambda: all(self._same(*both) for both in trial(size)),
            )
        return self._known[what, size]

    def _same(self, found: Tensor, expected: Tensor) -> bool:
        # Each block rounds again. One of SmolLM2 comes to 0.005 in bfloat16, where a window of 256
        # makes 0.03 of 320 tokens.
        return same(found, expected, short=0.012 * self._blocks**0.5)

    @functools.cached_property
    def _blocks(self) -> int:
        return depth_of_kinds(self._stack)

    def _size(self, length: int) -> int:
        size = float(SHORTEST)
        while size < length:
            size *= GROWTH
        context = self._stack.context
        return int(size) if context is None else min(int(size), max(context, length))

    def _ids(self, size: int) -> list[int]:
        """Return tokens whose first half is one token, which a local attention soon forgets."""
        vocabulary = self._stack.module.get_input_embeddings().weight.shape[0]
        draw = torch.Generator().manual_seed(0)
        drawn = torch.randint(vocabulary // 2, vocabulary, (size,), generator=draw).tolist()
        return [drawn[0]] * (size // 2) + drawn[size // 2 :]

    def _run(self, ids: list[list[int]], **given: Any) -> Tensor:
        rows = torch.tensor(ids, device=self._stack.device)
        if not self._stack.is_causal and "is_real" not in given:
            given["is_real"] = torch.ones_like(rows, dtype=torch.bool)
        return self._stack.run(rows, depth=self._blocks, **given)

    def _pad(self, size: int) -> Iterator[Hidden]:
        ids = self._ids(size)
        short = ids[-5:]
        rows = [short + [0] * (size - 5), ids]
        given = {}
        if not self._stack.is_causal:
            is_real = torch.arange(size) < torch.tensor([[5], [size]])
            given["is_real"] = is_real.to(self._stack.device)
        yield self._run(rows, **given)[0, :5], self._run([short])[0]

    def _continue(self, size: int) -> Iterator[Hidden]:
        ids, parts, past = self._ids(size), [], None
        expected = self._run([ids])
        for part in (ids[:HEAD], ids[HEAD:-HEAD], ids[-HEAD:]):
            rows = torch.tensor([part], device=self._stack.device)
            hidden, past = self._stack.run_keeping(rows, depth=self._blocks, past=past)
            parts.append(hidden)
        yield torch.cat(parts, dim=1), expected

    def _pack(self, size: int) -> Iterator[Hidden]:
        return self._with_candidates(size, self._masked)

    def _unpad(self, size: int) -> Iterator[Hidden]:
        return self._with_candidates(size, self._packed)

    def _with_candidates(
        self, size: int, read: Callable[[list[Row], KeysValues | None], Sequence[Tensor]]
    ) -> Iterator[Hidden]:
        """Read a long and a short prompt with a tree of candidates, with and without a head."""
        ids = self._ids(size)
        prompts = [ids[: size - 2], ids[: HEAD + 3]]
        a, b, c = ids[-3:]
        tree = grow_tree(((a, b, c), (b, a, c)))
        plain = [
            [self._run([[*prompt, *path]])[0] for path in ((a, b), (b, a))] for prompt in prompts
        ]
        for head in (0, HEAD) if self.continues(size) else (0,):
            rows = [Row(tuple(prompt[head:]), tree) for prompt in prompts]
            past = None
            if head:
                begin = torch.tensor([ids[:head]], device=self._stack.device)
                _, past = self._stack.run_keeping(begin, depth=self._blocks)
            hidden = read(rows, past)
            for row, own, prompt, expected in zip(rows, hidden, prompts, plain, strict=True):
                end = len(row.prompt)
                yield own[:end], expected[0][head : len(prompt)]
                yield own[[end, end + 1]], expected[0][len(prompt) :]
                yield own[[end + 2, end + 3]], expected[1][len(prompt) :]

    def _masked(self, rows: list[Row], past: KeysValues | None) -> Sequence[Tensor]:
        layout, device = lay_out(rows, HEAD if past else 0), self._stack.device
        return self._run(
            layout.ids.tolist(),
            mask=layout.mask(self._stack.dtype).to(device),
            positions=layout.positions.to(device),
            past=expand(past, len(rows)) if past else None,
        ).unbind()

    def _packed(self, rows: list[Row], past: KeysValues | None) -> Sequence[Tensor]:
        hidden, starts = self._stack.unpadded.run(rows, self._blocks, past)
        return torch.split(hidden[: starts[-1]], np.diff(starts).tolist())


def depth_of_kinds(stack: Stack) -> int:
    """Return how many blocks from the lowest up hold one of every kind."""
    traits = [dict(_traits(block)) for block in stack.blocks]
    for name, each in stack.module.config.to_dict().items():
        if isinstance(each, list | tuple) and len(each) == len(traits):
            for own, value in zip(traits, each, strict=True):
                own[f"config {name}"] = repr(value)
    # What counts up with the blocks is their number, not their kind.
    counts = [
        name
        for name in traits[0]
        if len({repr(_minus(own.get(name), i)) for i, own in enumerate(traits)}) == 1
        and isinstance(traits[0][name], int)
        and not isinstance(traits[0][name], bool)
    ]
    seen: list[dict[str, object]] = []
    depth = 1
    for i, own in enumerate(traits):
        kind = {name: value for name, value in own.items() if name not in counts}
        if kind not in seen:
            seen.append(kind)
            depth = i + 1
    return depth


def _minus(value: object, count: int) -> object:
    return value - count if isinstance(value, int) else value


def _traits(block: torch.nn.Module) -> Iterator[tuple[str, object]]:
    """Yield what separates one kind of block from another: classes, settings and shapes.

    An adapter makes no other kind: it stands around a linear map, and changes neither attention
    nor positions.
    """
    adapted = [path for path, module in block.named_modules() if hasattr(module, "base_layer")]

    def own(path: str) -> str | None:
        """Return where something stands without adapters, nothing if it is a part of one."""
        for around in adapted:
            if path == around or path.startswith(f"{around}."):
                inner, base = path[len(around) :], ".base_layer"
                return around + inner[len(base) :] if inner.startswith(base) else None
        return path

    for path, module in block.named_modules():
        name = own(path)
        if name is None:
            continue
        yield f"{name} class", type(module).__name__
        for key, value in vars(module).items():
            if not key.startswith("_") and (
                value is None or isinstance(value, bool | int | float | str)
            ):
                yield f"{name}.{key}", value
    for path, tensor in (*block.named_parameters(), *block.named_buffers()):
        if (name := own(path)) is not None:
            yield f"{name} shape", tuple(tensor.shape)


class _Positions(TorchFunctionMode):
    """Finds tables that are read by position: at indices that go up by one."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self._counting = torch.arange(tokens)
        self.rooms: list[int] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(zip(("input", "weight"), args, strict=False)) | (kwargs or {})
        if func is torch.nn.functional.embedding and given["input"].numel() == len(self._counting):
            places = given["input"].detach().flatten().cpu()
            if torch.equal(places - places[0], self._counting):
                self.rooms.append(int(given["weight"].shape[0]) - int(places[0]))
        return func(*args, **(kwargs or {}))


def find_context(read: Callable[[Tensor], object], named: int | None, name: str) -> int | None:
    """Return how many tokens can be read, if there is a limit.

    A table of learned positions may keep its first rows for something else, as RoBERTa does, so
    that it is shorter than what the configuration names.

    Args:
        read: Reads token ids ``(1, T)`` on the model's device.
        named: What the configuration names.
        name: What the model was loaded by.

    Raises:
        ModelError: Token ids cannot be read at all.
    """
    # One token only, so that the table of tokens is never read at indices that go up.
    ids = torch.full((1, 3), 5)
    with torch.inference_mode(), _Positions(ids.numel()) as tables:
        try:
            read(ids)
        except Exception as error:
            # Models of images, sounds and others fail each in their own way.
            raise ModelError(
                f"{name!r} does not read texts: {type(error).__name__}: {error}",
                cure="use a causal, an encoder or an encoder-decoder language model",
            ) from error
    # Some name -1 where there is no limit.
    limits = [*tables.rooms, *([named] if named is not None and named > 0 else [])]
    return min(limits, default=None)
