"""Print the resident memory, in megabytes, of a process that encodes; run by model_runtime.py."""

from __future__ import annotations

import sys
from pathlib import Path

TEXTS = [f"the pole leans {i} degrees to the left and the cart moves" for i in range(16)]


def resident_megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) / 1000


def main(how: str, source: str) -> None:
    if how == "dragoman":
        import dragoman

        model = dragoman.load_model(source)
        model.encode(TEXTS)
    else:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from dragoman.models.hardware import fast_dtype

        tokenizer = AutoTokenizer.from_pretrained(source)
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        dtype = getattr(torch, fast_dtype("cpu"))
        plain = AutoModelForCausalLM.from_pretrained(source, dtype=dtype).eval()
        with torch.inference_mode():
            plain(**tokenizer(TEXTS, return_tensors="pt", padding=True), output_hidden_states=True)
    print(resident_megabytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
