"""Log-probs of candidate texts: the scorer, written once.

Three ways to one answer, which is that of a plain full-sequence log-softmax a candidate:

packed     one forward for many prompts. A row is a prompt and, side by side behind it, its
           candidates as a tree of tokens, so that what two candidates begin with is computed
           once and last tokens not at all. A mask shows each token its own past only.
expanded   where an architecture takes no mask of ours: the prompt once, then each candidate on
           a copy of the prompt's keys and values. No padding, no positions: right for any.
seq2seq    the encoder reads each prompt once, the decoder each candidate.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dragoman.errors import ModelError
from dragoman.models.batching import pad_right, plan_batches
from dragoman.models.meter import Meter, chain_contexts
from dragoman.models.prefix import Prefix, PrefixMemory
from dragoman.models.stack import Stack, expand
from dragoman.models.tokens import Continuations
from dragoman.types import FloatArray

LOGIT_ROWS = 1024
"""Rows of logits at a time: a row is one float for each token of the vocabulary."""


@dataclass(frozen=True)
class TokenTree:
    """Candidates as a tree of their tokens, without the leaves.

    Attributes:
        tokens: Token of each node; nodes are numbered so that parents come first.
        parents: Parent of each node; -1 is the prompt's last token.
        depths: Number of nodes above each node.
        steps: For each candidate, ``(parent, token)`` of each of its tokens.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    depths: tuple[int, ...]
    steps: tuple[tuple[tuple[int, int], ...], ...]

    @functools.cached_property
    def sees(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which nodes each node sees ``(nodes, nodes)``: its ancestors and itself."""
        sees = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] |= sees[parent]
        return sees


@functools.lru_cache(maxsize=1024)
def grow_tree(candidates: tuple[tuple[int, ...], ...]) -> TokenTree:
    """Return the tree of candidates' tokens.

    >>> tree = grow_tree(((5, 6, 7), (5, 6, 8), (9,)))
    >>> tree.tokens, tree.parents
    ((5, 6), (-1, 0))
    """
    nodes: dict[tuple[int, ...], int] = {(): -1}
    tokens: list[int] = []
    parents: list[int] = []
    steps = []
    for candidate in candidates:
        path = []
        for i, token in enumerate(candidate):
            parent = nodes[candidate[:i]]
            path.append((parent, token))
            # The last token is predicted, but nothing is predicted from it.
            if i < len(candidate) - 1 and candidate[: i + 1] not in nodes:
                nodes[candidate[: i + 1]] = len(tokens)
                tokens.append(token)
                parents.append(parent)
        steps.append(tuple(path))
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return TokenTree(tuple(tokens), tuple(parents), tuple(depths), tuple(steps))


class Head:
    """The language-modelling head of a causal model: hidden states to log-probs of tokens.

    Args:
        model: The model with its head.
        stack: Its blocks.

    Raises:
        ModelError: Its logits are not what this head makes of the hidden states.
    """

    def __init__(self, model: Any, stack: Stack) -> None:
        self._linear = model.get_output_embeddings()
        self._cap = getattr(model.config, "final_logit_softcapping", None)
        ids = torch.tensor([[1, 2]], device=stack.device)
        with torch.inference_mode():
            expected, got = model(ids).logits[0].float(), self.logits(stack.run(ids)[0])
        if not torch.allclose(got, expected, rtol=0.05, atol=0.05 * float(expected.abs().max())):
            raise ModelError(
                f"{stack.name!r} changes its logits in a way that is not known here",
                cure="use an architecture whose head is linear, with or without a soft cap",
            )

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits ``(R, V)`` of hidden states ``(R, H)``."""
        logits: Tensor = self._linear(hidden).float()
        return torch.tanh(logits / self._cap) * self._cap if self._cap else logits

    def log_probs(self, hidden: Tensor, rows: Tensor, tokens: Tensor) -> FloatArray:
        """Return the log-prob of each token after the hidden state in its row.

        Args:
            hidden: Contiguous hidden states ``(R, H)``.
            rows: Row of each wanted token ``(W,)``, ascending.
            tokens: The wanted tokens ``(W,)``.
        """
        found = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(hidden), LOGIT_ROWS):
            logits = self.logits(hidden[start : start + LOGIT_ROWS])
            here = (rows >= start) & (rows < start + LOGIT_ROWS)
            local = rows[here] - start
            chosen = logits[local, tokens[here]] - torch.logsumexp(logits, dim=1)[local]
            found[here.cpu().numpy()] = chosen.cpu().numpy()
        return found


class CausalScorer:
    """Scores candidates with a causal model.

    Args:
        stack: The model's blocks.
        head: Its head.
        prefixes: Memory of constant heads of prompts.
        meter: Where its work is booked.
    """

    def __init__(self, stack: Stack, head: Head, prefixes: PrefixMemory, meter: Meter) -> None:
        self._stack = stack
        self._head = head
        self._prefixes = prefixes
        self._meter = meter

    def score(self, work: Sequence[Continuations]) -> list[list[FloatArray]]:
        """Return for each prompt and candidate the log-probs ``(n,)`` of its tokens."""
        if not self._stack.continues:
            raise ModelError(
                f"{self._stack.name!r} keeps no keys and values, so it cannot score candidates",
                cure="use a causal or an encoder-decoder transformer",
            )
        with torch.inference_mode():
            prefix = self._prefixes.find([one.prompt for one in work], self._stack.num_layers)
            shared = len(prefix) if prefix else 0
            self._meter.shared(shared * len(work))
            rests = [Continuations(one.prompt[shared:], one.candidates) for one in work]
            if self._stack.packs:
                return self._packed(rests, prefix)
            return [self._expanded(one, prefix) for one in rests]

    def _packed(
        self, work: Sequence[Continuations], prefix: Prefix | None
    ) -> list[list[FloatArray]]:
        rows = [_Row(one.prompt, grow_tree(tuple(map(tuple, one.candidates)))) for one in work]
        scores: list[list[FloatArray]] = [[] for _ in work]
        for batch in plan_batches([len(row) for row in rows]):
            found = self._score_rows([rows[i] for i in batch], prefix)
            for i, answer in zip(batch, found, strict=True):
                scores[i] = answer
        return scores

    def _score_rows(self, rows: list[_Row], prefix: Prefix | None) -> list[list[FloatArray]]:
        shared = len(prefix) if prefix else 0
        ids, positions, sees = _lay_out(rows, shared)
        device, dtype = self._stack.device, self._stack.dtype
        hidden = self._stack.run(
            ids.to(device),
            mask=torch.zeros(sees.shape, dtype=dtype)
            .masked_fill_(~sees, torch.finfo(dtype).min)
            .unsqueeze(1)
            .to(device),
            positions=positions.to(device),
            past=expand(prefix.keys_values, len(rows)) if prefix else None,
        )
        # Only the prompt's last token and the inner nodes predict something. Gathered into two
        # dimensions: a slice of three would fall into a far slower matrix product.
        width = ids.shape[1]
        places = [
            i * width + len(row.prompt) - 1 + k for i, row in enumerate(rows) for k in row.inner
        ]
        contexts = sum(row.contexts(shared) for row in rows)
        self._meter.blocks(sum(map(len, rows)), contexts)
        self._meter.head(len(places))
        wanted_rows, wanted_tokens = _wanted(rows)
        found = self._head.log_probs(
            hidden.reshape(-1, hidden.shape[-1])[torch.tensor(places, device=device)],
            torch.tensor(wanted_rows, device=device),
            torch.tensor(wanted_tokens, device=device),
        )
        return _split(found, [row.tree.steps for row in rows])

    def _expanded(self, one: Continuations, prefix: Prefix | None) -> list[FloatArray]:
        device = self._stack.device
        hidden, past = self._stack.run_keeping(
            torch.tensor([one.prompt], device=device), past=prefix.keys_values if prefix else None
        )
        lengths = [len(candidate) for candidate in one.candidates]
        states = hidden[:, -1:].expand(len(lengths), -1, -1)
        if max(lengths, default=1) > 1:
            inner, _ = pad_right([candidate[:-1] for candidate in one.candidates])
            more = self._stack.run(inner.to(device), past=expand(past, len(lengths)))
            states = torch.cat([states, more], dim=1)
        self._book_expanded(len(one.prompt), lengths, len(prefix) if prefix else 0)
        if not lengths:
            return []
        flat = torch.cat([states[k, :n] for k, n in enumerate(lengths)])
        tokens = torch.tensor([t for candidate in one.candidates for t in candidate], device=device)
        found = self._head.log_probs(flat, torch.arange(len(tokens), device=device), tokens)
        return _cut(found, lengths)

    def _book_expanded(self, prompt: int, lengths: list[int], shared: int) -> None:
        contexts = chain_contexts(shared, prompt)
        contexts += sum(chain_contexts(shared + prompt, length - 1) for length in lengths)
        tokens = prompt + sum(lengths) - len(lengths)
        self._meter.blocks(tokens, contexts)
        self._meter.head(sum(lengths))


class _Row:
    """One prompt behind the shared head, with its tree of candidates."""

    def __init__(self, prompt: list[int], tree: TokenTree) -> None:
        self.prompt = prompt
        self.tree = tree
        # Offset from the prompt's last token, which is the first that predicts.
        self.inner = range(len(tree.tokens) + 1)

    def __len__(self) -> int:
        return len(self.prompt) + len(self.tree.tokens)

    def contexts(self, shared: int) -> int:
        """Return how many tokens its tokens see in all, after a shared head."""
        before = shared + len(self.prompt)
        tree = sum(before + depth + 1 for depth in self.tree.depths)
        return chain_contexts(shared, len(self.prompt)) + tree


def _lay_out(rows: list[_Row], shared: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids ``(B, T)``, positions ``(B, T)`` and which token sees which ``(B, T, P + T)``."""
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), dtype=np.int64)
    positions = np.zeros((len(rows), width), dtype=np.int64)
    sees = np.zeros((len(rows), width, shared + width), dtype=bool)
    sees[:, :, :shared] = True
    own = sees[:, :, shared:]
    for i, row in enumerate(rows):
        prompt, end = len(row.prompt), len(row)
        ids[i, :end] = [*row.prompt, *row.tree.tokens]
        positions[i, :prompt] = shared + np.arange(prompt)
        positions[i, prompt:end] = shared + prompt + np.array(row.tree.depths, dtype=np.int64)
        own[i, :prompt, :prompt] = np.tri(prompt, dtype=bool)
        own[i, prompt:end, :prompt] = True
        own[i, prompt:end, prompt:end] = row.tree.sees
        # Padding sees itself: a token that sees nothing would become NaN.
        own[i, range(end, width), range(end, width)] = True
    return torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(sees)


def _wanted(rows: list[_Row]) -> tuple[list[int], list[int]]:
    """Return the gathered row and the token of every step of every candidate, in order."""
    places, tokens, start = [], [], 0
    for row in rows:
        for steps in row.tree.steps:
            places += [start + parent + 1 for parent, _ in steps]
            tokens += [token for _, token in steps]
        start += len(row.inner)
    return places, tokens


def _split(
    found: FloatArray, steps: Sequence[Sequence[Sequence[object]]]
) -> list[list[FloatArray]]:
    answers, start = [], 0
    for candidates in steps:
        lengths = [len(one) for one in candidates]
        answers.append(_cut(found[start : start + sum(lengths)], lengths))
        start += sum(lengths)
    return answers


def _cut(found: FloatArray, lengths: Sequence[int]) -> list[FloatArray]:
    return np.split(found, np.cumsum(lengths)[:-1]) if lengths else []
