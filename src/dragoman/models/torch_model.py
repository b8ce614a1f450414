"""A Transformers model that turns texts into hidden states, and prompts into log-probs."""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dragoman.errors import ConfigError, ModelError
from dragoman.generation import ChatPrompt, Constraint, Generation, Sampling
from dragoman.models.answers import check_pooling
from dragoman.models.batches import Batcher
from dragoman.models.causal import CausalScorer, Head
from dragoman.models.constraints import Replay
from dragoman.models.encoder import Encoder
from dragoman.models.fingerprint import Digests, end_tokens, fingerprint, weights_fingerprint
from dragoman.models.generate import Writer
from dragoman.models.hardware import choose_threads
from dragoman.models.limits import FEW, CudaGauge, measure
from dragoman.models.meter import Meter
from dragoman.models.prefix import PrefixMemory
from dragoman.models.rows import Row
from dragoman.models.seq2seq import Seq2SeqScorer, flop_rates
from dragoman.models.stack import Stack, find_stack
from dragoman.models.tokens import Continuations, Tokens
from dragoman.models.trunk import Trunk
from dragoman.models.unpadded import DEVICES
from dragoman.models.weights import Weights
from dragoman.types import Cost, FloatArray, Pooling

T = TypeVar("T")

PART_TEXTS = 512
"""Texts of a part, at least, where a GPU computes one part while the next is cut into tokens."""

PART_PROMPTS = 128
"""The same of prompts with candidates, each of which is cut behind its prompt."""


class TorchModel:
    """A causal, encoder-decoder or encoder model with its tokenizer, in evaluation mode.

    Of an encoder-decoder model the encoder encodes, and both together score. Tokens are the
    tokenizer's own, with the special tokens it adds by itself. Padding is made here, always on
    the right, and known from text by position: the tokenizer's padding side and token
    never matter, and a text may contain the padding or end-of-text token.

    What all texts of a call begin with is computed once and remembered (`PrefixMemory`).

    Args:
        model: A model of Transformers; without a head it encodes, but cannot score.
        tokenizer: Its tokenizer.
        name: What the model was loaded by.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str) -> None:
        config = model.config
        self._is_seq2seq = bool(config.is_encoder_decoder)
        model.eval().requires_grad_(False)
        self._model = model
        self._stack = Stack(find_stack(model, name), config.num_hidden_layers, name)
        self._tokens = Tokens(tokenizer, name, self._stack.context)
        self._meter = Meter(*flop_rates(model, self._stack.blocks))
        self._prefixes = PrefixMemory(self._stack, self._meter)
        self._hidden_size = int(config.hidden_size)
        self._digests = Digests()
        self._trunks: weakref.WeakSet[Trunk] = weakref.WeakSet()
        self._weights = Weights(model.modules)

    @property
    def name(self) -> str:
        """What the model was loaded by."""
        return self._stack.name

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides its answers; taken again when that has changed.

        That takes some tenths of a second. After a write through ``.data``, call `forget`.
        """
        # Of all weights: those of a head or a decoder decide scores and texts.
        ends = end_tokens(self._model, self._tokens)
        mark = (self._weights.mark(), self._tokens.marks(), ends)
        return self._digests.of(mark, lambda: fingerprint(self._model, self._tokens))

    @property
    def weights_fingerprint(self) -> str:
        """Digest of its weights alone, whatever they are computed in, and by whatever attention."""
        return self._digests.of(self._weights.mark(), lambda: weights_fingerprint(self._model))

    def forget(self) -> None:
        """Forget everything that was computed with the weights and the tokenizer.

        For changes that are not seen by themselves: weights written through ``.data``, a forward
        with other code or hooks, a tokenizer with other tokens.
        """
        self._digests.clear()
        self._stack.forget()
        self._prefixes.forget()
        self._tokens.forget()
        for trunk in self._trunks:
            trunk.clear()
        for name in ("_known_head", "_writer", "_seq2seq"):
            self.__dict__.pop(name, None)

    @property
    def hidden_size(self) -> int:
        """Width ``H`` of one hidden state."""
        return self._hidden_size

    @property
    def num_layers(self) -> int:
        """Number of transformer blocks."""
        return self._stack.num_layers

    @property
    def cost(self) -> Cost:
        """What was asked of the model so far."""
        return self._meter.cost

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._stack.device

    @property
    def dtype(self) -> torch.dtype:
        """Precision of weights and hidden states."""
        return self._stack.dtype

    @property
    def meter(self) -> Meter:
        """Where its work is booked."""
        return self._meter

    @functools.cached_property
    def batcher(self) -> Batcher:
        """What cuts its work into batches: by measure on a GPU, by constants elsewhere."""
        if self.device.type != "cuda":
            return Batcher(self._meter)
        width = min(FEW, self._stack.context or FEW)

        def read(tokens: int) -> Tensor:
            ids = torch.ones(tokens // width, width, dtype=torch.long, device=self.device)
            return self._stack.run(ids, is_real=torch.ones_like(ids, dtype=torch.bool))

        with torch.inference_mode():
            return Batcher(self._meter, *measure(read, CudaGauge(self.device)))

    @property
    def transformer(self) -> Any:
        """The model of Transformers inside."""
        return self._model

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer, as Transformers loaded it."""
        return self._tokens.tokenizer

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Tokens that end a text that it writes."""
        return end_tokens(self._model, self._tokens)

    @property
    def blocks(self) -> nn.ModuleList:
        """Its transformer blocks, from the lowest up."""
        return self._stack.blocks

    @property
    def is_seq2seq(self) -> bool:
        """Whether it is an encoder-decoder model."""
        return self._is_seq2seq

    def compile(self) -> None:
        """Compile what is run; the next calls take minutes, those after them may be faster."""
        if self._stack.unpadded.reads(1):
            self._stack.unpadded.compile()
            return
        for block in self._stack.blocks:
            block.compile(dynamic=True)

    def choose_threads(self) -> int:
        """Set PyTorch's number of threads to the best for this model, within a second."""
        ids = torch.ones(8, 32, dtype=torch.long, device=self.device)
        few = min(4, self.num_layers)
        with torch.inference_mode():
            return choose_threads(lambda: self._stack.run(ids, depth=few))

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
        check_pooling(pooling)
        with self._meter.call(len(texts)):
            distinct = list(dict.fromkeys(texts))
            encoder = Encoder(self._stack, self._prefixes, self._meter, self.batcher)
            parts = map(self._tokens.of, self._parts(distinct, PART_TEXTS))
            features = encoder.encode(parts, depth, pooling)
        where = {text: row for row, text in enumerate(distinct)}
        return features[[where[text] for text in texts]]

    def token_log_probs(
        self, prompts: Sequence[str], candidates: Sequence[Sequence[str]]
    ) -> list[list[FloatArray]]:
        """Return the log-prob of every token of every candidate, after its prompt.

        A causal model reads prompt and candidate as one text, cut into tokens together; the
        tokens that count start where the candidates' tokens part from the prompt's
        (`Tokens.continuations`). An encoder-decoder model reads the prompt with its encoder and
        the candidate, without an end token, with its decoder.

        Args:
            prompts: ``B`` texts; an empty one stands for the model's start token.
            candidates: Candidate texts of each prompt; their numbers may differ.

        Returns:
            For each prompt and candidate, a float32 array with one log-prob a token.

        Raises:
            ConfigError: A candidate has no token, or there are not as many lists as prompts.
            ModelError: The model has no language-modelling head, or a text is too long.
        """
        if len(prompts) != len(candidates):
            raise ConfigError(
                f"there are {len(prompts)} prompts and {len(candidates)} lists of candidates",
                cure="give one list of candidates for each prompt",
            )
        if self._model.get_output_embeddings() is None:
            raise ModelError(
                f"{self.name!r} has no language-modelling head, so it cannot score candidates",
                cure="use a causal or an encoder-decoder model, saved with its head",
            )
        with self._meter.call(sum(map(len, candidates))):
            pairs = [(p, tuple(own)) for p, own in zip(prompts, candidates, strict=True)]
            distinct = [pair for pair in dict.fromkeys(pairs) if pair[1]]
            score = self._score_seq2seq if self._is_seq2seq else self._score_causal
            result = dict(zip(distinct, score(distinct), strict=True))
        return [result.get(pair, []) for pair in pairs]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        sampling: Sampling = Sampling(),
        constraint: Constraint | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt, as `GeneratingModel.generate` says.

        Prompts are taken as they are, without a chat template; `chat` puts one around a text.
        Equal prompts are written once: a text depends on its prompt and the settings only.

        Raises:
            ModelError: The model has no head, a prompt and its text do not fit into the
                context, the tokenizer or the constraint is beyond what can be kept, or a
                constrained text did not end within ``max_tokens``.
        """
        with self._meter.call(len(prompts)):
            distinct = list(dict.fromkeys(prompts))
            tokens = self._tokens.openings(
                distinct, room=sampling.max_tokens, closed=self._is_seq2seq
            )
            # Padding stands behind the head, which a sliding window would take for distance.
            longest = max(map(len, tokens), default=0) + sampling.max_tokens
            packs = self._stack.packs_at(longest) and self._stack.continues_at(longest)
            prefix = self._prefixes.find(tokens, self.num_layers) if packs else None
            written = self._writer.write(tokens, sampling, constraint, prefix)
        result = dict(zip(distinct, written, strict=True))
        return [result[prompt] for prompt in prompts]

    def write(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        seeds: Sequence[int],
        grammar: str | None = None,
    ) -> list[Generation]:
        """Return one text for each prompt of token ids, drawn by a seed of its own.

        Args:
            prompts: Token ids of ``B`` prompts, whole.
            sampling: How tokens are chosen; its seed is not looked at.
            seeds: One for each prompt, so that equal prompts can have unlike texts.
            grammar: What `Grammar.compiled` returned: tokens are then drawn among those that it
                allows, and a text ends with it, with its line or, cut off, with ``max_tokens``.
        """
        ids = [list(prompt) for prompt in prompts]
        with self._meter.call(len(prompts)):
            return self._writer.write(ids, sampling, grammar, seeds=seeds)

    def replay(self, grammar: str) -> Replay:
        """Return what finds again which tokens a compiled grammar allowed in a text."""
        return self._writer.replay(grammar)

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return self._tokens.text(ids)

    def continuations(self, prompt: str, candidates: Sequence[str]) -> Continuations:
        """Return the tokens of a prompt and of what may follow it, as scoring reads them."""
        if self._is_seq2seq:
            return Continuations(
                self._tokens.of([prompt])[0], self._tokens.plain_candidates(candidates)
            )
        return self._tokens.continuations(prompt, candidates)

    def chat(self, text: str) -> ChatPrompt:
        """Return a text as what a user says, up to where the answer begins; see `Tokens.chat`."""
        return self._tokens.chat(text)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, with the special tokens the tokenizer adds."""
        return self._tokens.of(texts)

    def bare_ids(self, text: str) -> tuple[int, ...]:
        """Return the token ids of a text that stands between others: without special tokens."""
        return tuple(self._tokens.plain_candidates([text])[0])

    def copied(self, names: Collection[str]) -> TorchModel:
        """Return a copy with weights of its own under these names, and the same ones elsewhere."""
        shared = {
            id(weight): weight
            for name, weight in self._model.named_parameters()
            if name not in names
        }
        return self.around(copy.deepcopy(self._model, shared))

    def around(self, transformer: Any) -> TorchModel:
        """Return a model with the same tokenizer and books around another of Transformers."""
        made = TorchModel(transformer, self._tokens.tokenizer, name=self.name)
        made._meter = self._meter
        return made

    def log_probs_of(
        self, hidden: Tensor, rows: Tensor, tokens: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """Return log-probs of tokens after final hidden states; see `Head.log_probs`."""
        return self._head.log_probs(hidden, rows, tokens, allowed)

    def seq2seq_with_gradients(
        self,
        prompts: Sequence[list[int]],
        candidates: Sequence[Sequence[list[int]]],
        pooling: Sequence[Pooling],
    ) -> tuple[Tensor, Tensor]:
        """Read with an encoder-decoder model; see `Seq2SeqScorer.read`."""
        return self._seq2seq.read(prompts, candidates, pooling)

    def rows(self, texts: Sequence[str]) -> list[Row]:
        """Return the tokens of each text, as `Trunk.run` reads them."""
        return [Row(tuple(ids)) for ids in self._tokens.of(texts)]

    def trunk(self, top: int, *, budget_bytes: int = 2**30) -> Trunk:
        """Return what trains the top blocks and keeps what those below have made; see `Trunk`."""
        made = Trunk(self._stack, top, budget_bytes=budget_bytes)
        self._trunks.add(made)
        return made

    @property
    def _head(self) -> Head:
        # Another than before where somebody has put it there, such as an adapter's.
        if self._known_head[0] is not self._model.get_output_embeddings():
            del self._known_head
        return self._known_head[1]

    @functools.cached_property
    def _known_head(self) -> tuple[Any, Head]:
        self._weights.settle()
        return self._model.get_output_embeddings(), Head(self._model, self._stack)

    def _score_causal(self, pairs: list[tuple[str, tuple[str, ...]]]) -> list[list[FloatArray]]:
        scorer = CausalScorer(self._stack, self._head, self._prefixes, self._meter, self.batcher)
        return scorer.score(map(self._tokens.all_continuations, self._parts(pairs, PART_PROMPTS)))

    def _score_seq2seq(self, pairs: list[tuple[str, tuple[str, ...]]]) -> list[list[FloatArray]]:
        candidates = [self._tokens.plain_candidates(own) for _, own in pairs]
        return self._seq2seq.score(self._tokens.of([prompt for prompt, _ in pairs]), candidates)

    @functools.cached_property
    def _seq2seq(self) -> Seq2SeqScorer:
        return Seq2SeqScorer(self._model, self._stack, self._meter, self.batcher)

    @functools.cached_property
    def _writer(self) -> Writer:
        return Writer(self._model, self._stack, self._tokens, self._meter, self.batcher)

    def _parts(self, items: list[T], size: int) -> list[list[T]]:
        """Return items in parts: while a GPU computes one, the next is cut into tokens."""
        count = max(len(items) // size, 1) if self.device.type in DEVICES else 1
        bounds = [len(items) * i // count for i in range(count + 1)]
        return [items[begin:end] for begin, end in pairwise(bounds)]

    def _depth(self, layer: int | None) -> int:
        depth = self.num_layers if layer is None else layer
        depth = depth + self.num_layers + 1 if depth < 0 else depth
        if not 0 <= depth <= self.num_layers:
            raise ConfigError(
                f"layer is {layer}, but {self.name!r} has {self.num_layers} layers",
                cure=f"choose a layer from 0 (the embeddings) to {self.num_layers}",
            )
        return depth
