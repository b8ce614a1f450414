"""What the language model costs, as ratios of interleaved medians in one process.

    python benchmarks/model_runtime.py [--model NAME] [--device cuda] [--rounds 7] [--out FOLDER]

Every figure sets Dragoman beside a baseline that runs in turn with it, so that a noisy machine
disturbs both alike. It prints Markdown tables, and writes them with a picture into ``--out``.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch

sys.path.insert(0, str(Path(__file__).parent))

from baselines import Baselines, padded
from measuring import Figure, draw, gemm_peak, interleaved, table, wait
from workload import HEAD_TOKENS, TEXT_TOKENS, Workload

import dragoman
from dragoman.models.catalog import _resolve
from dragoman.models.hardware import fast_dtype, slowdown
from dragoman.models.store import Store
from dragoman.models.torch_model import TorchModel
from dragoman.run import describe_machine

LOOP = "Transformers, float32, batch as given, full logits"
TRAINED_BLOCKS = 4


class Benchmark:
    """The model, its baselines and what they are measured on."""

    def __init__(self, name: str, device: str, rounds: int, batch: int) -> None:
        self.source, self.device, self.rounds, self.batch = _resolve(name), device, rounds, batch
        self.precision = fast_dtype(device)
        self.dtype: torch.dtype = getattr(torch, self.precision)
        self.model = dragoman.load_model(name, dtype=self.precision, device=device)
        self.base = Baselines(self.source, device, self.dtype)
        self.work = Workload(self.base.tokenizer)
        config = self.model._model.config
        self.shapes = [
            (config.hidden_size, config.intermediate_size),
            (config.intermediate_size, config.hidden_size),
        ]

    @property
    def is_half(self) -> bool:
        """Whether the device computes bfloat16 natively, as the targets assume."""
        return self.dtype == torch.bfloat16

    def peak(self, dtype: torch.dtype | None = None) -> float:
        """Return the best rate of a matrix product, with few rows or many."""
        dtype = dtype or self.dtype
        few, many = self.batch * (TEXT_TOKENS - HEAD_TOKENS), self.batch * 2 * TEXT_TOKENS
        return max(gemm_peak(self.shapes, rows, dtype, self.device) for rows in (few, many))

    def peaks(self) -> str:
        """Return the best rates in words; bfloat16 as a factor where it is emulated."""
        full = f"{self.peak(torch.float32) / 1e9:.0f} GFLOP/s in float32"
        if self.is_half:
            return f"{self.peak() / 1e9:.0f} GFLOP/s in bfloat16, {full}"
        factor = slowdown(self.device, "bfloat16")
        return f"{full}; bfloat16, emulated, takes {factor:.1f} times as long"

    def compare(
        self,
        name: str,
        against: str,
        ours: Callable[[Any], object],
        theirs: Callable[[Any], object],
        make: Callable[[], Any],
        target: float | None = None,
        share: bool = False,
    ) -> Figure:
        """Measure one figure; with ``share``, also the operations that the model has booked."""
        cost = self.model.cost
        before = cost.flops
        medians = interleaved([ours, theirs], make, self.rounds, partial(wait, self.device))
        flops = (cost.flops - before) / (self.rounds + 1)
        peak_share = flops / (medians[0] / 1000) / self.peak() if share else None
        aimed = target if self.is_half else None
        figure = Figure(name, against, *medians, target=aimed, peak_share=peak_share)
        print(f"{name}, against {against}: {figure.ratio:.1f}", flush=True)
        return figure

    def encoding(self) -> Iterator[Figure]:
        model, base, work, batch = self.model, self.base, self.work, self.batch
        with_head = partial(work.with_head, batch)
        name = f"encode {batch} new texts of {TEXT_TOKENS} tokens, {HEAD_TOKENS} a static head"
        yield self.compare(name, LOOP, model.encode, base.loop, with_head, 11, share=True)
        half = partial(model.encode, layer=model.num_layers // 2)
        yield self.compare("the same at half depth", LOOP, half, base.loop, with_head, 22, True)
        for log_uniform, spread, target in ((False, "uniform", None), (True, "log-uniform", 2.5)):
            yield self.compare(
                f"encode {2 * batch} ragged texts, 10 to 150 tokens, {spread}",
                f"padded {self.precision} batch",
                model.encode,
                partial(base.body, fast=True),
                partial(work.ragged, 2 * batch, log_uniform=log_uniform),
                target,
                share=True,
            )
        plain = partial(work.texts, 2 * batch)
        name = f"encode {2 * batch} texts of {TEXT_TOKENS} tokens, no static head"
        yield self.compare(name, LOOP, model.encode, base.loop, plain, 5, share=True)

    def scoring(self) -> Iterator[Figure]:
        actions = self.work.texts(6, tokens=3)
        name = f"score 6 actions for {self.batch} observations with a static head"

        def score(prompts: list[str]) -> object:
            return self.model.token_log_probs(prompts, [actions] * len(prompts))

        for against, baseline, target in (
            ("a full float32 forward an action", self.base.score_each, 40),
            (
                f"keys and values repeated an action, {self.precision}",
                self.base.score_expanded,
                2.2,
            ),
        ):
            theirs = partial(baseline, candidates=actions)
            make = partial(self.work.with_head, self.batch)
            yield self.compare(name, against, score, theirs, make, target, share=True)

    def remembering(self) -> Iterator[Figure]:
        calls = 32
        with tempfile.TemporaryDirectory() as folder:
            memory = dragoman.CachedModel(self.model)
            disk = dragoman.CachedModel(self.model, store=Store(folder), budget_bytes=0)
            for name, cached, target in (("memory", memory, 2000), ("disk", disk, 300)):
                texts = self.work.with_head(self.batch)
                cached.encode(texts)

                def ask(inputs: list[str], cached: Any = cached, texts: Any = texts) -> None:
                    # Many calls, since one takes less than the clock is good for.
                    for _ in range(calls):
                        cached.encode(texts)

                make = partial(self.work.with_head, self.batch)
                times = interleaved([ask, self.model.encode], make, self.rounds)
                ours, theirs = times[0] / calls / self.batch, times[1] / self.batch
                yield Figure(f"a text known in {name}", "computing it", ours, theirs, target)

    def writing(self) -> Iterator[Figure]:
        tokens = 32
        self.model._writer._end_tokens = ()  # both sides write texts of one length
        write = partial(self.model.generate, sampling=dragoman.Sampling(max_tokens=tokens))
        yield self.compare(
            f"write {tokens} tokens for {self.batch} prompts",
            f"Transformers, {self.precision}, one by one",
            write,
            partial(self.base.write_each, tokens=tokens),
            partial(self.work.with_head, self.batch),
            9,
        )

    def training(self) -> Iterator[Figure]:
        yield self._update("float32", 3.5)
        if self.is_half:
            yield self._update("bfloat16", 2.3)

    def _update(self, dtype: Any, target: float) -> Figure:
        model = dragoman.load_model(self.source, dtype=dtype, device=self.device)
        optimiser = adapt(model)
        trunk = model.trunk(TRAINED_BLOCKS)
        rows = model.rows(self.work.with_head(self.batch))
        with torch.no_grad():
            trunk.run(rows)  # the rollout
        ids = padded([row.prompt for row in rows], self.device)

        def update(hidden: torch.Tensor) -> None:
            hidden[:, -1].float().square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()

        return self.compare(
            f"PPO update of LoRA in the top {TRAINED_BLOCKS} blocks, {dtype}",
            "full re-forward, same precision",
            lambda _: update(trunk.run(rows)),
            lambda _: update(model._stack.run(ids)),
            lambda: None,
            target,
        )

    def resident(self) -> Iterator[Figure]:
        def megabytes(how: str) -> float:
            command = [sys.executable, str(Path(__file__).parent / "memory.py"), how, self.source]
            return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

        ours, theirs = megabytes("dragoman"), megabytes("transformers")
        name = "resident memory of the frozen encode configuration, MB"
        yield Figure(name, f"Transformers, {self.precision}, default", ours, theirs, 1 / 1.1)

    def techniques(self) -> list[Figure]:
        """Return what each technique brings when it is added to those before it."""
        model, base = self.model, self.base
        plain = dragoman.load_model(self.source, dtype=self.precision, device=self.device)
        plain._prefixes.find = lambda tokens, depth: None
        steps: list[tuple[str, Callable[[Any], object]]] = [
            ("the founding loop", base.loop),
            ("no logits", partial(base.body, fast=False)),
            *([("bfloat16", partial(base.body, fast=True))] if self.is_half else []),
            ("Dragoman without a static head", plain.encode),
            ("static head computed once", model.encode),
            ("half the blocks", partial(model.encode, layer=model.num_layers // 2)),
        ]
        make = partial(self.work.with_head, self.batch)
        functions = [function for _, function in steps]
        times = interleaved(functions, make, self.rounds, partial(wait, self.device))
        return [
            Figure(f"+ {name}", before, own, earlier)
            for (name, _), (before, _), own, earlier in zip(
                steps[1:], steps[:-1], times[1:], times[:-1], strict=True
            )
        ]


def adapt(model: TorchModel) -> torch.optim.Optimizer:
    """Put adapters on the top blocks, and return what trains them."""
    top = list(range(model.num_layers - TRAINED_BLOCKS, model.num_layers))
    config = peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"], layers_to_transform=top)
    peft.inject_adapter_in_model(config, model._model)
    trained = [weight for weight in model._model.parameters() if weight.requires_grad]
    return torch.optim.Adam(trained, lr=1e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    bench = Benchmark(options.model, options.device, options.rounds, options.batch)
    figures: list[Figure] = []
    for part in (bench.encoding, bench.scoring, bench.remembering, bench.writing, bench.training):
        figures += part()
        gc.collect()
    figures += bench.resident() if options.device == "cpu" else []
    machine = describe_machine()
    text = (
        "# Speed of the model runtime\n\n"
        f"{options.model}, {bench.precision} unless said otherwise, on {options.device}, "
        f"{torch.get_num_threads()} threads of {machine['processor']}, {machine['platform']}, "
        f"torch {torch.__version__}. Best matrix product at the model's shapes: {bench.peaks()}. "
        f"Times in ms.\n\n{table(figures)}\n\n"
        f"What each technique adds to those above it, for {options.batch} texts of "
        f"{TEXT_TOKENS} tokens of which {HEAD_TOKENS} are a static head:\n\n"
        f"{table(bench.techniques())}\n"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    stem = f"model_runtime_{options.device.partition(':')[0]}"
    (options.out / f"{stem}.md").write_text(text)
    draw(figures, options.out / f"{stem}.png", "What the language model costs")
    print(text)


if __name__ == "__main__":
    main()
