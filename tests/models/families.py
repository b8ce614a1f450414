"""Model families, each as a tiny random model, held against plain forwards of Transformers.

`python -m tests.models.families > docs/families.md` writes the table of what was found. One line in
`families.yaml` adds a family to the table and to the tests.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import yaml

from dragoman.errors import ConfigError, DragomanError, ModelError
from dragoman.generation import Sampling
from dragoman.models.stack import find_blocks
from dragoman.models.torch_model import TorchModel
from dragoman.models.tuned import Text, TunedModel
from tests.models import tiny

WIDTH, LAYERS, CONTEXT = tiny.WIDTH, 2, 768
TOLERANCE = 1e-4
"""Largest difference that counts as rounding, in nats, or relative to the largest feature."""

LONG = "the pole leans 3.2 degrees to the right and the cart moves to the left, so push it; " * 9
OPENING = "the cart stands on a track and the pole stands on the cart. "
PROMPTS = [
    OPENING + "push",
    OPENING + "the pole leans 3.2 degrees to the left. push",
    OPENING + LONG + "push",
]
CANDIDATES = [[" left", " right", " to the left"], [" right"], [" left", " to the right", " it"]]
WRITTEN = 6
"""Tokens that are written for each prompt."""

DEPTH = {"num_hidden_layers": LAYERS, "max_position_embeddings": CONTEXT}
COMMON = {**tiny.COMMON, **DEPTH}
GROUPED = {**tiny.GROUPED, **DEPTH}
GPT = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": 4, "n_positions": CONTEXT}
PAIR = {
    "d_model": WIDTH,
    "encoder_layers": LAYERS,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_layers": LAYERS,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": CONTEXT,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
}
T5 = {
    "d_model": WIDTH,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": LAYERS,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
BASES = {"common": COMMON, "grouped": GROUPED, "gpt": GPT, "pair": PAIR, "t5": T5}


@dataclass(frozen=True)
class Family:
    """A family of architectures, as a tiny model.

    Attributes:
        config: Name of its configuration class in Transformers.
        settings: What makes it tiny.
        kind: ``causal``, ``seq2seq`` or ``encoder``.
        context: Most tokens that it can read, where a longer text must be refused.
    """

    config: str
    settings: dict[str, Any] = field(default_factory=dict)
    kind: str = "causal"
    context: int | None = None


def _read(file: Path) -> dict[str, Family]:
    listed = yaml.safe_load(file.read_text("utf-8"))
    return {
        title: Family(
            f"{given['class']}Config",
            {**BASES.get(given.get("base"), {}), **given.get("settings", {})},
            given.get("kind", "causal"),
            given.get("context"),
        )
        for title, given in listed.items()
    }


FAMILIES = _read(Path(__file__).with_suffix(".yaml"))
AUTO = {
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModel",
}
TOKENIZERS = {"causal": "llama", "seq2seq": "t5", "encoder": "bert"}


def make_parts(title: str, std: float = 0.2) -> tuple[Any, Any]:
    """Return the tiny model of a family, with weights that make the input matter."""
    family = FAMILIES[title]
    tokenizer = tiny.make_tokenizer(TOKENIZERS[family.kind])
    ids = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    settings = {"vocab_size": len(tokenizer), **ids, **family.settings}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(transformers, family.config)(**settings)
        model = getattr(transformers, AUTO[family.kind]).from_config(config)
        for parameter in model.parameters():
            if parameter.dim() == 2:
                torch.nn.init.normal_(parameter, std=std)
    return model.eval(), tokenizer


def states(model: Any, ids: list[int], layer: int, blocks: torch.nn.ModuleList) -> torch.Tensor:
    """Return hidden states ``(T, H)`` of one text, from a plain forward of Transformers."""
    stack = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    stack = getattr(model, "model", model) if stack is model else stack
    # Some architectures list hidden states from the first block on, others from before it.
    seen = []
    handles = [
        block.register_forward_pre_hook(
            lambda _, given, named: seen.append(given[0] if given else named["hidden_states"]),
            with_kwargs=True,
        )
        for block in dict.fromkeys(blocks)
    ]
    with torch.no_grad():
        last = stack(input_ids=torch.tensor([ids])).last_hidden_state
    for handle in handles:
        handle.remove()
    return [*seen, last][layer][0]


def log_probs(model: Any, prompt: list[int], candidate: list[int]) -> torch.Tensor:
    """Return the log-probs of a candidate's tokens, from a plain forward of the whole text."""
    if model.config.is_encoder_decoder:
        start = model.config.decoder_start_token_id
        given = {
            "input_ids": torch.tensor([prompt]),
            "decoder_input_ids": torch.tensor([[start, *candidate[:-1]]]),
        }
    else:
        given = {"input_ids": torch.tensor([prompt + candidate[:-1]])}
    logits = model(**given).logits[0, -len(candidate) :]
    result = torch.log_softmax(logits.double(), dim=-1)
    return result[torch.arange(len(candidate)), torch.tensor(candidate)]


def continuation(model: Any, ids: list[int]) -> list[int]:
    """Return the likeliest next tokens, by as many plain forwards."""
    start = model.config.decoder_start_token_id if model.config.is_encoder_decoder else None
    written: list[int] = []
    for _ in range(WRITTEN):
        if start is None:
            given = {"input_ids": torch.tensor([ids + written])}
        else:
            given = {
                "input_ids": torch.tensor([ids]),
                "decoder_input_ids": torch.tensor([[start, *written]]),
            }
        with torch.no_grad():
            written.append(int(model(**given).logits[0, -1].argmax()))
    return written


def near(got: Any, expected: Any, scale: float = 1.0) -> None:
    """Fail unless two arrays agree to rounding."""
    worst = float(np.abs(np.asarray(got) - np.asarray(expected)).max())
    assert worst <= TOLERANCE * max(scale, 1.0), f"off by {worst:.2g}"


def encode(parts: tuple[Any, Any], model: TorchModel) -> None:
    """Hold features against hidden states of each text alone."""
    _encode(parts, model, model.num_layers)


def encode_layer(parts: tuple[Any, Any], model: TorchModel) -> None:
    """Hold features of a layer in the middle against hidden states of each text alone."""
    _encode(parts, model, model.num_layers // 2)


def _encode(parts: tuple[Any, Any], model: TorchModel, layer: int) -> None:
    blocks = find_blocks(parts[0], model.num_layers)
    for texts in (PROMPTS, PROMPTS[:2], [*PROMPTS, "cart", LONG]):
        result = model.encode(texts, layer=layer, pooling=("last", "mean", "first"))
        for row, ids in zip(result, model.token_ids(texts), strict=True):
            hidden = states(parts[0], ids, layer, blocks)
            expected = torch.cat([hidden[-1], hidden.mean(dim=0), hidden[0]])
            near(row, expected, float(expected.abs().max()))


def score(parts: tuple[Any, Any], model: TorchModel) -> None:
    """Hold log-probs against a forward of each whole text."""
    for asked in ([0, 1, 2], [0, 1], [1]):
        prompts, candidates = [PROMPTS[i] for i in asked], [CANDIDATES[i] for i in asked]
        result = model.token_log_probs(prompts, candidates)
        for prompt, own, got in zip(prompts, candidates, result, strict=True):
            work = model.continuations(prompt, own)
            for ids, one in zip(work.candidates, got, strict=True):
                with torch.no_grad():
                    near(one, log_probs(parts[0], work.prompt, ids))


def generate(parts: tuple[Any, Any], model: TorchModel) -> None:
    """Hold greedy texts against plain forwards, and their log-probs too."""
    model._writer._end_tokens = ()  # as many tokens of each
    for asked in (PROMPTS, PROMPTS[:2]):
        result = model.generate(asked, sampling=Sampling(max_tokens=WRITTEN))
        for prompt, text in zip(asked, result, strict=True):
            (ids,) = model._tokens.openings([prompt], room=WRITTEN, closed=model.is_seq2seq)
            expected = continuation(parts[0], ids)
            assert list(text.tokens) == expected, f"wrote {text.tokens}, not {expected}"
            with torch.no_grad():
                near(text.log_probs, log_probs(parts[0], ids, expected))


def texts_of(model: TorchModel) -> list[Text]:
    """Return prompts and candidates as tuning reads them."""
    work = [model.continuations(*item) for item in zip(PROMPTS, CANDIDATES, strict=True)]
    return [Text(tuple(item.prompt), tuple(map(tuple, item.candidates))) for item in work]


def tune(parts: tuple[Any, Any], model: TorchModel) -> None:
    """Hold log-probs and gradients of the top block against plain forwards."""
    tuned = TunedModel(model, how="full", top=1)
    texts = texts_of(model)
    _, sums = tuned(texts)
    torch.cat(sums).sum().backward()
    got = {name: w.grad for name, w in tuned.trained.items() if w.grad is not None}
    plain = parts[0]
    plain.config.use_cache = False  # some write to their cache in place
    for name, weight in plain.named_parameters():
        weight.requires_grad_(name.replace(".", "/") in got)
    expected = [
        torch.stack([log_probs(plain, [*text.prompt], [*ids]).sum() for ids in text.candidates])
        for text in texts
    ]
    for ours, theirs in zip(sums, expected, strict=True):
        near(ours.detach(), theirs.detach(), 10)
    torch.cat(expected).sum().backward()
    named = {name.replace(".", "/"): w.grad for name, w in plain.named_parameters()}
    assert got, "no weight has a gradient"
    for name, gradient in got.items():
        near(gradient, named[name], 10 * float(named[name].abs().max()))


WAYS: dict[str, Callable[[tuple[Any, Any], TorchModel], None]] = {
    "encode": encode,
    "a layer": encode_layer,
    "score": score,
    "generate": generate,
    "tune": tune,
}


def judge(title: str) -> dict[str, str]:
    """Return what a family does in each way: ``exact``, or why it is refused.

    Raises:
        AssertionError: Something is neither exact nor refused.
    """
    verdict = {}
    for way, check in WAYS.items():
        try:
            check(make_parts(title), TorchModel(*make_parts(title), name=title))
            verdict[way] = "exact"
        except (ModelError, ConfigError) as error:
            verdict[way] = _reason(error, title)
    return verdict


def _reason(error: DragomanError, title: str) -> str:
    return error.problem.replace(repr(title), "it").split(": ")[0]


def row(title: str, verdict: dict[str, str]) -> str:
    """Return a family's line of the table."""
    ways = ["exact" if said == "exact" else "refused" for said in verdict.values()]
    if set(ways) == {"exact"}:
        summary = "exact"
    elif ways[2:] == ["refused"] * 3 and "exact" in ways:
        summary = "encodes only"
    else:
        summary = "in part" if "exact" in ways else "refused"
    name = FAMILIES[title].config.removesuffix("Config")
    return f"| {title} | {name} | {summary} | {' | '.join(ways)} |"


def page(verdicts: dict[str, dict[str, str]]) -> str:
    """Return the page with the table and the reasons of refusals."""
    why: dict[str, list[str]] = {}
    for title, verdict in verdicts.items():
        for way, said in verdict.items():
            if said != "exact":
                why.setdefault(f"{way}: {said}", []).append(title)
    return "\n".join(
        [
            "# Model families that were tried",
            "",
            "Each as a tiny model with random weights in float32, on texts beyond its windows,",
            "against plain forwards of Transformers, one whole text at a time. *Exact* is within",
            "1e-4, gradients of tuning within 1e-3; *refused* is one error with a cure; nothing",
            "lies between. *A layer* is one in the middle, *tune* trains the top block. What is",
            "not listed is tried in the same way when it is used, but was not held against plain",
            "forwards. `python -m tests.models.families > docs/families.md` makes this page.",
            "",
            f"Transformers {transformers.__version__}.",
            "",
            "| family | class | in all | " + " | ".join(WAYS) + " |",
            "|---" * (3 + len(WAYS)) + "|",
            *(row(title, verdict) for title, verdict in verdicts.items()),
            "",
            "## Why refused",
            "",
            *(f"- {reason} ({', '.join(titles)})" for reason, titles in sorted(why.items())),
            "",
        ]
    )


def main() -> None:
    """Print the page."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    verdicts = {}
    for title in FAMILIES:
        verdicts[title] = judge(title)
        sys.stderr.write(row(title, verdicts[title]) + "\n")
    sys.stdout.write(page(verdicts))


if __name__ == "__main__":
    main()
