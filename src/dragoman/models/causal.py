"""Log-probs of candidate texts: the scorer, written once.

Four ways to one answer, which is that of a plain full-sequence log-softmax a candidate:

packed     one forward for many prompts. A row is a prompt and, side by side behind it, its
           candidates as a tree of tokens, so that what two candidates begin with is computed
           once and last tokens not at all. A mask shows each token its own past only.
expanded   where an architecture takes no mask of ours: the prompt once, then each candidate on
           a copy of the prompt's keys and values.
whole      where it keeps no keys and values either: each candidate behind the whole prompt.
seq2seq    the encoder reads each prompt once, the decoder each candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dragoman.errors import ModelError
from dragoman.models.attention import expand
from dragoman.models.batches import Batcher, equal_batches, full_batches, pad_right
from dragoman.models.device import bring
from dragoman.models.meter import Meter, chain_contexts
from dragoman.models.prefix import Prefix, PrefixMemory
from dragoman.models.rows import Row, lay_out, rows_of, wanted
from dragoman.models.stack import Stack
from dragoman.models.tokens import Continuations
from dragoman.types import FloatArray

LOGIT_ROWS = 1024
"""Rows of logits at a time: a row is one float for each token of the vocabulary."""

Scores: TypeAlias = list[list[FloatArray]]
"""For each prompt and candidate, the log-probs of its tokens."""


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
        names = ("final_logit_softcapping", "logits_soft_cap")
        self._cap = next((c for c in (getattr(model.config, n, None) for n in names) if c), None)
        self._scale = 1.0
        ids = torch.tensor([[1, 2, 3]], device=stack.device)
        with torch.inference_mode():
            expected, hidden = model(ids).logits[0].float(), stack.run(ids)[0]
            self._scale = self._fit(self._linear(hidden).float(), expected)
            got = self.logits(hidden)
        tolerance = _tolerance(stack.dtype)
        if not torch.allclose(got, expected, 0, tolerance * float(expected.abs().max())):
            raise ModelError(
                f"{stack.name!r} changes its logits in a way that is not known here",
                cure="use an architecture whose head is linear, with or without a factor or a "
                "soft cap",
            )

    def _fit(self, linear: Tensor, expected: Tensor) -> float:
        """Return the one factor between the linear map and the logits, 1 where that is near."""
        if self._cap:
            expected = torch.atanh((expected / self._cap).clamp(-0.999, 0.999)) * self._cap
        # What the cap has all but flattened says little about the factor.
        x, y = linear.double().flatten(), expected.double().flatten()
        if self._cap:
            x, y = x[y.abs() < self._cap], y[y.abs() < self._cap]
        scale = float((x @ y) / (x @ x).clamp_min(1e-12))
        return 1.0 if abs(scale - 1) < _tolerance(self._linear.weight.dtype) / 10 else scale

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 logits ``(R, V)`` of hidden states ``(R, H)``."""
        return self._capped(self._linear(hidden).float())

    def log_probs(
        self, hidden: Tensor, rows: Tensor, tokens: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """Return the log-prob of each token after the hidden state in its row, float32 ``(W,)``.

        A bfloat16 logit of 20 is an eighth from the next, so those of the wanted tokens are
        computed once more, with float32 sums.

        Args:
            hidden: Contiguous hidden states ``(R, H)``.
            rows: Row of each wanted token ``(W,)``.
            tokens: The wanted tokens ``(W,)``.
            allowed: In the place of each wanted token, the tokens among which it was drawn, bool
                ``(W, V)``; all by default.
        """
        logits = self._linear(hidden).float()
        # A subclass may add something to its weights, as an adapter does.
        if type(self._linear) is nn.Linear and hidden.dtype != torch.float32:
            weight, bias = self._linear.weight, self._linear.bias
            exact = (hidden[rows].float() * weight[tokens].float()).sum(dim=1)
            logits[rows, tokens] = exact if bias is None else exact + bias[tokens].float()
        logits = self._capped(logits)
        own = logits[rows, tokens]
        if allowed is None:
            return own - torch.logsumexp(logits, dim=1)[rows]
        return own - torch.logsumexp(logits[rows].masked_fill(~allowed, -torch.inf), dim=1)

    def in_parts(self, hidden: Tensor, rows: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """Return the same of many rows, whose logits do not fit at a time."""
        # Candidates that begin alike come back to earlier rows.
        order = np.argsort(rows, kind="stable")
        where = bring(np.stack([rows, tokens])[:, order], hidden.device)
        starts = range(0, len(hidden), LOGIT_ROWS)
        bounds = [*np.searchsorted(rows, starts, sorter=order).tolist(), len(rows)]
        parts = []
        for start, (begin, end) in zip(starts, pairwise(bounds), strict=True):
            own, wanted = where[:, begin:end]
            parts.append(self.log_probs(hidden[start : start + LOGIT_ROWS], own - start, wanted))
        return torch.cat(parts)[bring(np.argsort(order), hidden.device)]

    def _capped(self, logits: Tensor) -> Tensor:
        logits = logits if self._scale == 1 else logits * self._scale
        return torch.tanh(logits / self._cap) * self._cap if self._cap else logits


class CausalScorer:
    """Scores candidates with a causal model.

    Args:
        stack: The model's blocks.
        head: Its head.
        prefixes: Memory of constant heads of prompts.
        meter: Where its work is booked.
        batcher: Cuts it into batches.
    """

    def __init__(
        self, stack: Stack, head: Head, prefixes: PrefixMemory, meter: Meter, batcher: Batcher
    ) -> None:
        self._stack = stack
        self._head = head
        self._prefixes = prefixes
        self._meter = meter
        self._batcher = batcher

    def score(self, parts: Iterable[Sequence[Continuations]]) -> Scores:
        """Return for each prompt and candidate the log-probs ``(n,)`` of its tokens.

        Args:
            parts: What to score, in parts. The next is asked for when the forwards of the one
                before are under way, and a GPU is waited for after the last only.
        """
        endings = [self._begin(work) for work in parts]
        return [scores for end in endings for scores in end()]

    def _begin(self, work: Sequence[Continuations]) -> Callable[[], Scores]:
        """Set the forwards of a part going, and return what waits for its scores."""
        if not self._stack.is_causal:
            raise ModelError(
                f"{self._stack.name!r} reads both ways, so it cannot score what follows a prompt",
                cure="use a causal or an encoder-decoder transformer",
            )
        stack = self._stack
        rows = (row for item in work for row in rows_of(item.prompt, item.candidates))
        longest = max(map(len, rows), default=0)
        with torch.inference_mode():
            unpads, continues = stack.unpadded.reads(longest), stack.continues_at(longest)
            packs = unpads or stack.packs_at(longest)
            if not (unpads or stack.pads_at(longest)) or not (continues or packs):
                whole = self._whole(work)
                return lambda: whole
            prefix = None
            if continues:
                prefix = self._prefixes.find([item.prompt for item in work], stack.num_layers)
            shared = len(prefix) if prefix else 0
            self._meter.shared(shared * len(work))
            rests = [Continuations(item.prompt[shared:], item.candidates) for item in work]
            if packs:
                return self._packed(rests, prefix, unpads)
            expanded = [self._expanded(rest, prefix) for rest in rests]
            return lambda: expanded

    def _packed(
        self, work: Sequence[Continuations], prefix: Prefix | None, unpads: bool
    ) -> Callable[[], Scores]:
        pieces = [rows_of(item.prompt, item.candidates) for item in work]
        rows = [row for own in pieces for row in own]
        states = self._unpadded_states if unpads else self._padded_states

        def read(batch: list[int]) -> Tensor:
            own = [rows[i] for i in batch]
            return self._score_rows(own, states(own, prefix), len(prefix) if prefix else 0)

        cut = full_batches if unpads else self._batcher.padded
        begun = list(self._batcher.each([len(row) for row in rows], cut, read))

        def end() -> Scores:
            scores: Scores = [[] for _ in rows]
            for batch, found in begun:
                steps = [rows[i].tree.steps for i in batch]
                for i, answer in zip(batch, _split(found.cpu().numpy(), steps), strict=True):
                    scores[i] = answer
            answers = iter(scores)
            return [[score for _ in own for score in next(answers)] for own in pieces]

        return end

    def _unpadded_states(self, rows: list[Row], prefix: Prefix | None) -> Tensor:
        """Return the hidden states ``(R, H)`` after which candidates go on."""
        head = prefix.keys_values if prefix else None
        hidden, starts = self._stack.unpadded.run(rows, head=head)
        pairs = zip(starts[:-1].tolist(), rows, strict=True)
        places = [start + place for start, row in pairs for place in row.predicting]
        return hidden[bring(places, hidden.device)]

    def _padded_states(self, rows: list[Row], prefix: Prefix | None) -> Tensor:
        """Return the same where rows stand side by side, with a mask."""
        shared = len(prefix) if prefix else 0
        layout, device = lay_out(rows, shared), self._stack.device
        hidden = self._stack.run(
            bring(layout.ids, device),
            mask=bring(layout.mask(self._stack.dtype), device),
            positions=bring(layout.positions, device),
            past=expand(prefix.keys_values, len(rows)) if prefix else None,
        )
        # Only the prompt's last token and the inner nodes predict something. Gathered into two
        # dimensions: a slice of three would fall into a far slower matrix product.
        width = layout.ids.shape[1]
        places = [i * width + place for i, row in enumerate(rows) for place in row.predicting]
        return hidden.reshape(-1, hidden.shape[-1])[bring(places, device)]

    def _score_rows(self, rows: list[Row], states: Tensor, shared: int) -> Tensor:
        """Return the log-probs of all tokens of all candidates, end to end."""
        result = self._head.in_parts(states, *wanted(rows))
        contexts = sum(row.contexts(shared) for row in rows)
        self._meter.blocks(sum(map(len, rows)), contexts)
        self._meter.head(len(states))
        return result

    def _expanded(self, one: Continuations, prefix: Prefix | None) -> list[FloatArray]:
        device = self._stack.device
        hidden, past = self._stack.run_keeping(
            torch.tensor([one.prompt], device=device), past=prefix.keys_values if prefix else None
        )
        lengths = [len(candidate) for candidate in one.candidates]
        states = hidden[:, -1:].expand(len(lengths), -1, -1)
        if max(lengths, default=1) > 1:
            inner, _ = pad_right([candidate[:-1] for candidate in one.candidates])
            more = self._stack.run(bring(inner, device), past=expand(past, len(lengths)))
            states = torch.cat([states, more], dim=1)
        self._book_expanded(len(one.prompt), lengths, len(prefix) if prefix else 0)
        if not lengths:
            return []
        tokens = [token for candidate in one.candidates for token in candidate]
        return _cut(self._predict([states[k, :n] for k, n in enumerate(lengths)], tokens), lengths)

    def _whole(self, work: Sequence[Continuations]) -> Scores:
        owned = [(item.prompt, candidate) for item in work for candidate in item.candidates]
        rows = [[*prompt, *candidate[:-1]] for prompt, candidate in owned]
        lengths = [len(row) for row in rows]
        scores: list[FloatArray] = [np.empty(0, dtype=np.float32)] * len(rows)

        def read(batch: list[int]) -> list[FloatArray]:
            ids, _ = pad_right([rows[i] for i in batch])
            hidden = self._stack.run(bring(ids, self._stack.device))
            counts = [len(owned[i][1]) for i in batch]
            ends = [lengths[i] for i in batch]
            states = [h[end - n : end] for h, end, n in zip(hidden, ends, counts, strict=True)]
            tokens = [token for i in batch for token in owned[i][1]]
            return _cut(self._predict(states, tokens), counts)

        pads = self._stack.pads_at(max(lengths, default=0))
        cut = self._batcher.padded if pads else equal_batches
        for batch, results in self._batcher.each(lengths, cut, read):
            for i, result in zip(batch, results, strict=True):
                scores[i] = result
        self._meter.blocks(sum(lengths), sum(chain_contexts(0, length) for length in lengths))
        self._meter.head(sum(len(candidate) for _, candidate in owned))
        bounds = np.cumsum([0, *(len(item.candidates) for item in work)])
        return [scores[a:b] for a, b in pairwise(bounds)]

    def _predict(self, states: Sequence[Tensor], tokens: Sequence[int]) -> FloatArray:
        """Return the log-prob of each token after the hidden state at its place, end to end."""
        found = self._head.in_parts(torch.cat(list(states)), range(len(tokens)), tokens)
        result: FloatArray = found.cpu().numpy()
        return result

    def _book_expanded(self, prompt: int, lengths: list[int], shared: int) -> None:
        contexts = chain_contexts(shared, prompt)
        contexts += sum(chain_contexts(shared + prompt, length - 1) for length in lengths)
        tokens = prompt + sum(lengths) - len(lengths)
        self._meter.blocks(tokens, contexts)
        self._meter.head(sum(lengths))


def _tolerance(dtype: torch.dtype) -> float:
    """Return how far logits of one head may lie apart, over the largest."""
    return 1e-3 if dtype in (torch.float32, torch.float64) else 2e-2


def _split(found: FloatArray, steps: Sequence[Sequence[Sequence[object]]]) -> Scores:
    answers, start = [], 0
    for candidates in steps:
        lengths = [len(candidate) for candidate in candidates]
        answers.append(_cut(found[start : start + sum(lengths)], lengths))
        start += sum(lengths)
    return answers


def _cut(found: FloatArray, lengths: Sequence[int]) -> list[FloatArray]:
    return np.split(found, np.cumsum(lengths)[:-1]) if lengths else []
