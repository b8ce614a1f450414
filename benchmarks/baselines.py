"""What people write today, on Transformers alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache


class Baselines:
    """Encoding, scoring and writing without Dragoman.

    Args:
        source: Folder or hub name of a causal model.
        device: Where to compute.
        fast: The precision that this device computes best with.
    """

    def __init__(self, source: str, device: str, fast: torch.dtype) -> None:
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(source)
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        self.full = self._load(source, torch.float32)
        self.fast = self.full if fast == torch.float32 else self._load(source, fast)

    def _load(self, source: str, dtype: torch.dtype) -> Any:
        return AutoModelForCausalLM.from_pretrained(source, dtype=dtype).eval().to(self.device)

    def inputs(self, texts: Sequence[str]) -> Any:
        """Return one padded batch."""
        return self.tokenizer(list(texts), return_tensors="pt", padding=True).to(self.device)

    @torch.inference_mode()
    def loop(self, texts: Sequence[str]) -> None:
        """The loop of the founding sketch: float32, the batch as given, full logits."""
        self.full(**self.inputs(texts), output_hidden_states=True).hidden_states[-1][:, -1].cpu()

    @torch.inference_mode()
    def default(self, texts: Sequence[str]) -> None:
        """The same in the precision that the device computes best with."""
        self.fast(**self.inputs(texts), output_hidden_states=True).hidden_states[-1][:, -1].cpu()

    @torch.inference_mode()
    def body(self, texts: Sequence[str], *, fast: bool) -> None:
        """The same without logits."""
        model = self.fast if fast else self.full
        model.base_model(**self.inputs(texts), use_cache=False).last_hidden_state[:, -1].cpu()

    @torch.inference_mode()
    def score_each(
        self, prompts: Sequence[str], candidates: Sequence[str], fast: bool = False
    ) -> None:
        """One full forward for each action over the batch, in float32 unless fast."""
        model = self.fast if fast else self.full
        for candidate in candidates:
            inputs = self.inputs([prompt + candidate for prompt in prompts])
            torch.log_softmax(model(**inputs).logits, dim=-1).sum().cpu()

    @torch.inference_mode()
    def score_expanded(self, prompts: Sequence[str], candidates: Sequence[str]) -> None:
        """The prompts once, fast, their keys and values repeated for each action."""
        cache: Any = DynamicCache()
        self.fast(**self.inputs(prompts), cache=cache, use_cache=True)
        cache.batch_repeat_interleave(len(candidates))
        rest = self.inputs(candidates)["input_ids"]
        logits = self.fast(input_ids=rest.repeat(len(prompts), 1), cache=cache).logits
        torch.log_softmax(logits.float(), dim=-1).sum().cpu()

    @torch.inference_mode()
    def write_each(self, prompts: Sequence[str], tokens: int) -> None:
        """Greedy texts of an exact length, fast, one prompt after the other."""
        for prompt in prompts:
            self.fast.generate(
                **self.inputs([prompt]),
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                do_sample=False,
            )

    @torch.inference_mode()
    def write_batch(self, prompts: Sequence[str], tokens: int) -> None:
        """The same of all prompts at once, which are of one length."""
        self.fast.generate(
            **self.inputs(prompts), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False
        )


def padded(rows: Sequence[Sequence[int]], device: str) -> Tensor:
    """Return token ids padded on the right with zeros."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
