"""Tiny models with random weights, of every architecture that is supported."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from dragoman.models.torch_model import TorchModel
from dragoman.testing import TEXTS

WIDTH, LAYERS, CONTEXT = 32, 3, 256
CORPUS = [*TEXTS, "0 1 2 3 4 5 6 7 8 9 . , - left right push cart pole"] * 3
COMMON = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}
GROUPED = {**COMMON, "num_key_value_heads": 2, "head_dim": 8}
ARCHITECTURES = {
    "gpt2": (
        "GPT2Config",
        {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": CONTEXT},
    ),
    "llama": ("LlamaConfig", GROUPED),
    "qwen": ("Qwen2Config", GROUPED),
    "gemma": ("GemmaConfig", GROUPED),
    # A sliding window in every second block, and logits that are not a linear map.
    "gemma2": ("Gemma2Config", {**GROUPED, "sliding_window": 6, "query_pre_attn_scalar": 8}),
    "t5": (
        "T5Config",
        {
            "d_model": WIDTH,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": LAYERS,
            "num_heads": 4,
            "decoder_start_token_id": 0,
        },
    ),
    "bert": ("BertConfig", COMMON),
}
COVERED = ("qwen", "gemma")
"""Architectures whose parts others have too: Llama's rotations, Gemma 2's norms and scales."""


def in_tiers(architectures: Iterable[str]) -> list[Any]:
    """Return architectures as parameters of a test, of which the covered ones are slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=slow if name in COVERED else ()) for name in architectures]


@functools.cache
def train_tokenizer(architecture: str):
    """Train a tokenizer of the architecture's family: byte BPE, Unigram or WordPiece.

    Once, because training a Unigram tokenizer twice gives two orders of the same tokens.
    """
    if architecture == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special)
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
        names |= {"sep_token": "[SEP]"}
    elif architecture in ("t5", "gemma", "gemma2"):
        special = ["<pad>", "</s>", "<unk>", "<s>"]
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>")
        names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
        names |= {"bos_token": "<s>"}
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        names = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
        if architecture != "gpt2":  # GPT-2 has no padding token at all
            names["pad_token"] = "<|endoftext|>"
    tokenizer.train_from_iterator(CORPUS, trainer)
    template = {
        "bert": "[CLS] $A [SEP]",
        "t5": "$A </s>",
        "gemma": "<s> $A",
        "gemma2": "<s> $A",
    }.get(architecture)
    if template:
        marks = [(word, tokenizer.token_to_id(word)) for word in template.split() if word != "$A"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=marks
        )
    return tokenizer.to_str(), names


def make_tokenizer(architecture: str, padding_side: str = "right"):
    """Return a fresh copy of the architecture's tokenizer."""
    trained, names = train_tokenizer(architecture)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(trained), padding_side=padding_side, **names
    )


def ids_as_text(tokenizer, text: str, *, special: bool = True) -> list[int]:
    """Return the ids of a text in which nothing is a control token, step by step.

    ``special`` adds what the tokenizer adds by itself around a text.
    """
    backend = tokenizer.backend_tokenizer
    model = backend.model
    if isinstance(model, models.Unigram):
        known = json.loads(backend.to_str())["model"]
        # It would find their strings among its pieces.
        named = set(tokenizer.all_special_tokens)
        pieces = [(piece, -100.0 if piece in named else score) for piece, score in known["vocab"]]
        model = models.Unigram(pieces, known["unk_id"])
    if backend.normalizer:
        text = backend.normalizer.normalize_str(text)
    words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    ids = [token.id for word in words for token in model.tokenize(word)]
    if not special:
        return ids
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    around = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(around)) if around[i : i + len(plain)] == plain)
    return [*around[:start], *ids, *around[start + len(plain) :]]


def make_parts(architecture: str, padding_side: str = "right", **more: int):
    """Return a Transformers model, with its language-modelling head if it has one.

    ``more`` are settings of its configuration.
    """
    tokenizer = make_tokenizer(architecture, padding_side)
    config_name, settings = ARCHITECTURES[architecture]
    ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    settings = {"vocab_size": len(tokenizer), **ids, **settings, **more}
    config = getattr(transformers, config_name)(**settings)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kinds = {"t5": "AutoModelForSeq2SeqLM", "bert": "AutoModel"}
        kind = getattr(transformers, kinds.get(architecture, "AutoModelForCausalLM"))
        model = kind.from_config(config)
        # The usual initial weights are so small that the input hardly matters.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval(), tokenizer


def make(architecture: str, padding_side: str = "right") -> TorchModel:
    """Return a tiny model of an architecture."""
    return TorchModel(*make_parts(architecture, padding_side), name=f"tiny {architecture}")


def save(architecture: str, folder: Path, **more: int) -> Path:
    """Save a tiny model where `load_model` can find it."""
    model, tokenizer = make_parts(architecture, **more)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
