"""Texts that a model writes: batched, seeded a text, stopped and constrained exactly.

The loop over tokens, with its caches and architectures, is that of Transformers. What is ours is
the choice of each token, made so that a text depends on its own prompt and settings only.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor

from dragoman.errors import ModelError
from dragoman.generation import Constraint, Generation, Sampling
from dragoman.maths.seeds import derive_seed
from dragoman.models.attention import expand
from dragoman.models.batches import Batcher, equal_batches, pad_right, plan_batches
from dragoman.models.constraints import Constrainer, Guide, Replay
from dragoman.models.fingerprint import end_tokens
from dragoman.models.meter import Meter, chain_contexts
from dragoman.models.prefix import Prefix
from dragoman.models.probe import attempt, same
from dragoman.models.stack import Stack
from dragoman.models.tokens import Tokens

_SETTINGS: Any = transformers.GenerationConfig


class Writer:
    """Writes texts with a causal or an encoder-decoder model.

    Args:
        model: A model of Transformers with its head.
        stack: Its blocks, or those of its encoder.
        tokens: Its tokenizer.
        meter: Where its work is booked.
        batcher: Cuts it into batches.

    Raises:
        ModelError: The model cannot generate.
    """

    def __init__(
        self, model: Any, stack: Stack, tokens: Tokens, meter: Meter, batcher: Batcher
    ) -> None:
        if not model.can_generate():
            raise ModelError(
                f"{tokens.name!r} has no language-modelling head, so it cannot write",
                cure="use a causal or an encoder-decoder model, saved with its head",
            )
        self._model = model
        self._tokens = tokens
        self._stack = stack
        self._meter = meter
        self._batcher = batcher
        self._constrainers: dict[tuple[int, ...], Constrainer] = {}
        self._replays: dict[tuple[str, tuple[int, ...]], Replay] = {}
        self._is_seq2seq = bool(model.config.is_encoder_decoder)

    def write(
        self,
        prompts: Sequence[list[int]],
        sampling: Sampling,
        constraint: Constraint | str | None,
        prefix: Prefix | None = None,
        seeds: Sequence[int] | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt.

        Args:
            prompts: Token ids of ``B`` prompts, whole.
            sampling: How tokens are chosen.
            constraint: What each text must be, or a compiled grammar, whose texts may be cut off.
            prefix: What all prompts begin with, where the model can go on from it.
            seeds: One for each prompt, instead of the one of the settings.
        """
        own = [sampling] * len(prompts)
        if seeds is not None:
            own = [replace(sampling, seed=seed) for seed in seeds]
        texts: list[Generation] = [Generation("", np.empty(0, np.float32), "stop")] * len(prompts)
        # One more batch costs a forward for every token that is written.
        overhead = self._batcher.forward * sampling.max_tokens
        shared = len(prefix) if prefix else 0
        lengths = [len(ids) - shared for ids in prompts]
        longest = max(map(len, prompts), default=0) + sampling.max_tokens
        pads = self._takes_padding and self._stack.pads_at(longest)
        cut = functools.partial(plan_batches, overhead=overhead) if pads else equal_batches

        def read(rows: list[int]) -> list[Generation]:
            given = [prompts[i] for i in rows], [own[i] for i in rows]
            return self._write(*given, constraint, prefix)

        for rows, written in self._batcher.each(lengths, cut, read):
            for row, text in zip(rows, written, strict=True):
                texts[row] = text
        return texts

    def replay(self, grammar: str) -> Replay:
        """Return what finds again which tokens a compiled grammar allowed in a text."""
        ends = end_tokens(self._model, self._tokens)
        key = grammar, ends
        if key not in self._replays:
            self._replays[key] = Replay(self._constrainer(ends), grammar)
        return self._replays[key]

    def _constrainer(self, ends: tuple[int, ...]) -> Constrainer:
        if ends not in self._constrainers:
            vocabulary = self._model.get_output_embeddings().weight.shape[0]
            self._constrainers[ends] = self._tokens.constrainer(ends, vocabulary)
        return self._constrainers[ends]

    @functools.cached_property
    def _takes_padding(self) -> bool:
        """Whether prompts of different lengths can be written in one batch, found by trying.

        Raises:
            ModelError: What it writes token by token is not what it makes of a whole text.
        """
        short, long = [5, 6, 7], [8, 5, 9, 6, 7, 9, 10, 11, 5]
        name = self._tokens.name
        if attempt(f"writing of {name} with padding", lambda: self._agrees([short, long])):
            return True
        if attempt(f"writing of {name} alone", lambda: self._agrees([long])):
            return False
        raise ModelError(
            f"what {name!r} writes token by token is not what it makes of a whole text",
            cure="use another architecture to write, or score candidates with this one",
        )

    def _agrees(self, prompts: list[list[int]]) -> bool:
        """Return whether logits of what is written are those of plain forwards of each text."""
        device = self._stack.device
        ids, is_real = self._lay_out(prompts, 0)
        self._model.eval()
        settings = self._settings(Sampling(max_tokens=3))
        settings.output_logits = settings.return_dict_in_generate = True
        with _without_defaults(self._model):
            written = self._model.generate(
                ids.to(device),
                attention_mask=is_real.long().to(device),
                generation_config=settings,
            )
        own = torch.stack(written.logits, dim=1)
        for prompt, tokens, result in zip(prompts, written.sequences[:, -3:], own, strict=True):
            begin, after = torch.tensor([prompt], device=device), tokens[None, :2]
            if self._is_seq2seq:
                start = torch.full_like(after[:, :1], self._model.config.decoder_start_token_id)
                given = {"input_ids": begin, "decoder_input_ids": torch.cat([start, after], 1)}
            else:
                given = {"input_ids": torch.cat([begin, after], dim=1)}
            plain = self._model(**given, use_cache=False).logits[0, -3:]
            # What all logits have in common changes nothing.
            shifted = plain - plain.mean(dim=-1, keepdim=True)
            if not same(result - result.mean(dim=-1, keepdim=True), shifted, exact=1e-3, short=0.2):
                return False
        return True

    def _write(
        self,
        prompts: list[list[int]],
        samplings: list[Sampling],
        constraint: Constraint | str | None,
        prefix: Prefix | None,
    ) -> list[Generation]:
        # Of this moment: whoever changes the model's settings changes its texts.
        ends = end_tokens(self._model, self._tokens)
        guides = (
            [self._constrainer(ends).guide(constraint) for _ in prompts] if constraint else None
        )
        chooser = _Chooser(prompts, self._tokens, ends, samplings, guides)
        shared = len(prefix) if prefix else 0
        ids, is_real = self._lay_out(prompts, shared)
        extra: dict[str, Any] = {}
        if prefix:
            past = expand(prefix.keys_values, len(prompts))
            extra[str(self._stack.cache_name)] = transformers.DynamicCache(ddp_cache_data=past)
        self._model.eval()  # dropout would make two writings of one text differ
        with torch.inference_mode(), _without_defaults(self._model), _whole_rows(self._model):
            self._model.generate(
                ids.to(self._stack.device),
                attention_mask=is_real.long().to(self._stack.device),
                generation_config=self._settings(samplings[0]),
                logits_processor=transformers.LogitsProcessorList([chooser]),
                stopping_criteria=transformers.StoppingCriteriaList([_Finished(chooser)]),
                **extra,
            )
        texts = chooser.texts()
        for prompt_ids, text in zip(prompts, texts, strict=True):
            self._book(len(prompt_ids), shared, len(text.tokens))
        return texts

    def _book(self, prompt: int, shared: int, written: int) -> None:
        if self._is_seq2seq:
            self._meter.encode_decode(prompt, [written])
            return
        # The last token is written, but not read.
        read = prompt - shared + written - 1
        self._meter.blocks(read, chain_contexts(shared, read))
        self._meter.shared(shared)
        self._meter.head(written)

    def _settings(self, sampling: Sampling) -> Any:
        # Greedy and without an end token to Transformers: the chooser decides both.
        return _SETTINGS(
            max_new_tokens=sampling.max_tokens,
            do_sample=False,
            pad_token_id=0,
            decoder_start_token_id=getattr(self._model.config, "decoder_start_token_id", None),
        )

    def _lay_out(self, prompts: list[list[int]], shared: int) -> tuple[Tensor, Tensor]:
        """Return ids ``(B, T)`` and which are real; padding stands behind the shared head."""
        if self._is_seq2seq:
            return pad_right(prompts)
        backwards, is_real = pad_right([ids[shared:][::-1] for ids in prompts])
        head = torch.tensor(prompts[0][:shared], dtype=torch.long).expand(len(prompts), -1)
        return (
            torch.cat([head, backwards.flip(1)], dim=1),
            torch.cat([torch.ones_like(head, dtype=torch.bool), is_real.flip(1)], dim=1),
        )


class _Chooser(transformers.LogitsProcessor):
    """Chooses the next token of every text of a batch, and knows when each is finished.

    To Transformers it is a processor of logits: it leaves the chosen token only.
    """

    def __init__(
        self,
        prompts: list[list[int]],
        tokens: Tokens,
        end_tokens: tuple[int, ...],
        samplings: list[Sampling],
        guides: list[Guide] | None,
    ) -> None:
        self._tokens = tokens
        self._end_tokens = end_tokens
        # They differ by their seeds alone.
        self._sampling = samplings[0]
        self._guides = guides
        # One number decides one token, and belongs to the prompt, not to its place in a batch.
        self._draws = np.stack(
            [_draws(ids, own) for ids, own in zip(prompts, samplings, strict=True)]
        )
        self._chosen: list[list[int]] = [[] for _ in prompts]
        self._log_probs: list[list[float]] = [[] for _ in prompts]
        self._texts: list[str | None] = [None for _ in prompts]

    @property
    def finished(self) -> list[bool]:
        """Which texts are finished."""
        return [text is not None for text in self._texts]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores ``(B, V)`` of which only the chosen token's is finite."""
        log_probs = torch.log_softmax(scores.float(), dim=-1)
        allowed = self._constrain(log_probs)
        step = max(map(len, self._chosen))
        draws = torch.from_numpy(self._draws[:, step]).to(scores.device)
        chosen = choose(allowed, draws, self._sampling.temperature, self._sampling.top_p)
        if self._keeps_grammar:
            log_probs = torch.log_softmax(allowed, dim=-1)
        result = log_probs.gather(1, chosen.unsqueeze(1)).squeeze(1).tolist()
        for row, token in enumerate(chosen.tolist()):
            if self._texts[row] is None:
                self._chosen[row].append(token)
                self._log_probs[row].append(result[row])
                self._texts[row] = self._finish(row, token)
        only = torch.full_like(scores, -torch.inf)
        return only.scatter_(1, chosen.unsqueeze(1), 0.0)

    @property
    def _keeps_grammar(self) -> bool:
        """Whether a grammar says what may be written: texts may be cut off, as free ones are."""
        return self._guides is not None and self._guides[0].is_grammar

    def texts(self) -> list[Generation]:
        """Return what was written.

        Raises:
            ModelError: A constrained text did not come to its end.
        """
        return [self._text(row) for row in range(len(self._texts))]

    def _text(self, row: int) -> Generation:
        finished = self._texts[row]
        text = self._tokens.text(self._chosen[row]) if finished is None else finished
        if finished is None and self._guides is not None and not self._keeps_grammar:
            raise ModelError(
                f"{self._tokens.name!r} had written {text[-60:]!r} when max_tokens, "
                f"{self._sampling.max_tokens}, ended it before the constraint was met",
                cure="raise max_tokens, or bound the lengths in the schema",
            )
        log_probs = np.array(self._log_probs[row], dtype=np.float32)
        finish: Literal["stop", "length"] = "length" if finished is None else "stop"
        return Generation(text, log_probs, finish, tuple(self._chosen[row]))

    def _constrain(self, log_probs: Tensor) -> Tensor:
        if self._guides is None:
            return log_probs
        size = log_probs.shape[1]
        # A finished text goes on in its batch, and is dropped.
        masks = [
            np.ones(size, dtype=bool) if text is not None else guide.allowed(size)
            for guide, text in zip(self._guides, self._texts, strict=True)
        ]
        is_allowed = torch.from_numpy(np.stack(masks)).to(log_probs.device)
        return log_probs.masked_fill(~is_allowed, -torch.inf)

    def _finish(self, row: int, token: int) -> str | None:
        """Return the text if this token ends it."""
        own = self._chosen[row]
        if token in self._end_tokens:
            return self._tokens.text(own[:-1])
        if self._guides is not None:
            if self._guides[row].ends_line(token):
                return self._tokens.text(own[:-1])
            self._guides[row].take(token)
            if self._guides[row].is_full:
                return self._tokens.text(own)
        if self._sampling.stop:
            text = self._tokens.text(own)
            ends = [end for end in map(text.find, self._sampling.stop) if end >= 0]
            return text[: min(ends)] if ends else None
        return None


class _Finished(transformers.StoppingCriteria):
    """Shows Transformers which texts are finished."""

    def __init__(self, chooser: _Chooser) -> None:
        self._chooser = chooser

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: object) -> Tensor:
        """Return which rows are finished ``(B,)``."""
        return torch.tensor(self._chooser.finished, device=input_ids.device)


def choose(log_probs: Tensor, draws: Tensor, temperature: float, top_p: float) -> Tensor:
    """Return one token a row ``(B,)``, by inverting its cumulative distribution.

    Args:
        log_probs: ``(B, V)``; ``-inf`` for what may not be chosen.
        draws: Uniform numbers in [0, 1), ``(B,)``, one for each row.
        temperature: 0 for the likeliest token.
        top_p: Draw only from the likeliest tokens that together have this probability.
    """
    if temperature == 0:
        return log_probs.argmax(dim=1)
    probs = torch.softmax(log_probs.double() / temperature, dim=1)
    order = None
    if top_p < 1:
        probs, order = probs.sort(dim=1, descending=True, stable=True)
        probs = probs * (probs.cumsum(dim=1) - probs < top_p)
    cumulative = probs.cumsum(dim=1)
    total = cumulative[:, -1:]
    # Below the total even where the product rounds up to it.
    targets = torch.minimum(draws.unsqueeze(1) * total, torch.nextafter(total, total * 0))
    chosen = torch.searchsorted(cumulative, targets, right=True)
    return (chosen if order is None else order.gather(1, chosen)).squeeze(1)


def _draws(prompt: list[int], sampling: Sampling) -> NDArray[np.float64]:
    seed = derive_seed("write", sampling.seed, *prompt)
    return np.random.default_rng(seed).random(sampling.max_tokens)


@contextmanager
def _without_defaults(model: Any) -> Iterator[None]:
    """Keep the model's own settings, such as a temperature, from filling what we leave open."""
    own, model.generation_config = model.generation_config, _SETTINGS()
    try:
        yield
    finally:
        model.generation_config = own


@contextmanager
def _whole_rows(model: Any) -> Iterator[None]:
    """Hand the head hidden states that lie in one piece.

    Transformers hands it a slice, which falls into a batched matrix product and takes 70 times
    as long (SmolLM2, 16 prompts of 60 tokens, CPU).
    """
    handle = model.get_output_embeddings().register_forward_pre_hook(
        lambda module, inputs: (inputs[0].contiguous(),)
    )
    try:
        yield
    finally:
        handle.remove()
