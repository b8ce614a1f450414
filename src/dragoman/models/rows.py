"""What a causal model reads at once: a prompt and, behind it, a tree of candidates."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dragoman.models.meter import chain_contexts

MOST_NODES = 2048
"""Nodes that a row's candidates may have in all, if there are several."""


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


@dataclass(frozen=True)
class Row:
    """One prompt, with its tree of candidates.

    Attributes:
        prompt: Token ids, at least one.
        tree: The candidates; none by default.
    """

    prompt: tuple[int, ...]
    tree: TokenTree = TokenTree((), (), (), ())

    def __len__(self) -> int:
        return len(self.prompt) + len(self.tree.tokens)

    @property
    def predicting(self) -> range:
        """Places of the tokens after which candidates go on: the prompt's last and the nodes."""
        return range(len(self.prompt) - 1, len(self))

    def contexts(self, shared: int) -> int:
        """Return how many tokens its tokens see in all, after a shared head."""
        before = shared + len(self.prompt)
        tree = sum(before + depth + 1 for depth in self.tree.depths)
        return chain_contexts(shared, len(self.prompt)) + tree


def rows_of(
    prompt: Sequence[int], candidates: Sequence[Sequence[int]], most: int = MOST_NODES
) -> list[Row]:
    """Return a prompt with its candidates as rows, of more than one where these are many.

    Memory grows with the square of a row, so that thousands of candidates would not fit in one.

    >>> [row.tree.tokens for row in rows_of((1,), ((5, 6, 7), (5, 6, 8), (9, 5, 4)), most=4)]
    [(5, 6), (9, 5)]

    Args:
        prompt: Token ids, at least one.
        candidates: Token ids of each candidate.
        most: Most nodes of a row's tree; a longer candidate stands alone.
    """
    parts: list[list[tuple[int, ...]]] = [[]]
    nodes = 0
    for candidate in candidates:
        # At most: candidates that begin alike share nodes.
        nodes += len(candidate) - 1
        if parts[-1] and nodes > most:
            parts.append([])
            nodes = len(candidate) - 1
        parts[-1].append(tuple(candidate))
    return [Row(tuple(prompt), grow_tree(tuple(part))) for part in parts]


@dataclass(frozen=True)
class Layout:
    """Rows side by side, padded on the right.

    Attributes:
        ids: Token ids ``(B, T)``.
        positions: Position of each token ``(B, T)``.
        sees: Which of the shared head and of its row each token sees ``(B, T, P + T)``.
    """

    ids: Tensor
    positions: Tensor
    sees: Tensor

    def mask(self, dtype: torch.dtype) -> Tensor:
        """Return ``sees`` as an additive attention mask ``(B, 1, T, P + T)``."""
        mask = torch.zeros(self.sees.shape, dtype=dtype)
        return mask.masked_fill_(~self.sees, torch.finfo(dtype).min).unsqueeze(1)


def lay_out(rows: Sequence[Row], shared: int = 0) -> Layout:
    """Lay rows out behind a shared head of so many tokens."""
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
    return Layout(torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(sees))


def wanted(rows: Sequence[Row]) -> tuple[list[int], list[int]]:
    """Return where every token of every candidate is predicted, and the token, in order.

    Places count through the predicting tokens of all rows.
    """
    places, tokens, start = [], [], 0
    for row in rows:
        for steps in row.tree.steps:
            places += [start + parent + 1 for parent, _ in steps]
            tokens += [token for _, token in steps]
        start += len(row.predicting)
    return places, tokens
