"""What the language model costs, as ratios of interleaved medians in one process.

    python benchmarks/model_runtime.py [--model NAME] [--device cuda] [--rounds 7] [--out FOLDER]

Every figure sets Dragoman beside baselines that run in turn with it, so that a noisy machine
disturbs all alike. Where the device computes bfloat16 natively, what Transformers does by default
in it is one of them. It prints Markdown tables, and writes them with a picture into ``--out``
after each part. A figure ends after ``--figure-seconds``, and all after ``--minutes``: with fewer
rounds, or cut, as the page says of each. What fails is named there too, and the rest goes on.
``--tiny`` takes every way that a GPU's run takes with few texts, on any device.
"""

from __future__ import annotations

import argparse
import functools
import gc
import math
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
import transformers

sys.path.insert(0, str(Path(__file__).parent))

from baselines import Baselines, padded
from measuring import (
    Figure,
    Overrun,
    at_most,
    draw,
    gemm_peak,
    interleaved_within,
    table,
    wait,
)
from workload import HEAD_TOKENS, TEXT_TOKENS, Workload

import dragoman
from dragoman.models.catalog import _resolve
from dragoman.models.graphs import USES
from dragoman.models.hardware import fast_dtype, slowdown
from dragoman.models.store import Store
from dragoman.models.torch_model import TorchModel
from dragoman.run import describe_machine

DEFAULT = "Transformers' default in bfloat16"
LOOP = "Transformers, float32, batch as given, full logits"
TRAINED_BLOCKS = 4
COMPILE_SECONDS = 120
LARGE = "qwen2-1.5b-shape"
"""A model of 1.5 billion random weights; Qwen2's shape, the default model's tokenizer."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        batch: Texts of most figures.
        encoded: Texts of encoding with a static head, and what is aimed at against Transformers'
            default on a GPU.
        ragged: Texts of different lengths.
        written: Prompts to write for; one by one, more would take minutes.
        tokens: Tokens written for each.
        rounds: Rounds of each figure.
    """

    batch: int
    encoded: dict[int, float | None]
    ragged: int
    written: int = 16
    tokens: int = 32
    rounds: int = 7


ON_CPU = Sizes(16, {16: None}, 32)
ON_GPU = Sizes(512, {16: 6, 128: 4, 512: 6, 2048: 8}, 1024)
LARGE_ON_GPU = Sizes(512, {16: 3.5, 128: 2.7, 512: 2.7}, 512)
TINY = Sizes(3, {2: 6, 4: 4}, 4, written=2, tokens=2, rounds=1)


class Benchmark:
    """The model, its baselines and what they are measured on.

    Args:
        name: The model.
        device: Where all compute.
        sizes: How much is measured.
        as_gpu: Take the ways, and the targets, of a GPU.
        figure_seconds: Most seconds of a figure.
        until: When all must be done, in seconds of the monotonic clock.

    Attributes:
        missing: Figures that are not there, and why.
    """

    def __init__(
        self,
        name: str,
        device: str,
        sizes: Sizes,
        *,
        as_gpu: bool,
        figure_seconds: float,
        until: float,
    ) -> None:
        self.device, self.sizes, self.batch = device, sizes, sizes.batch
        self.on_gpu = as_gpu
        self.figure_seconds, self.until = figure_seconds, until
        self.missing: list[str] = []
        self.failed = False
        self.source = save_large(device) if name == LARGE else _resolve(name)
        self.precision = "bfloat16" if as_gpu else fast_dtype(device)
        self.dtype: torch.dtype = getattr(torch, self.precision)
        self.model = dragoman.load_model(self.source, dtype=self.precision, device=device)
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

    @functools.lru_cache  # noqa: B019 # it lives as long as the process
    def peak(self, dtype: torch.dtype) -> float:
        """Return the best rate of a matrix product, with few rows or many."""
        few, many = self.batch * (TEXT_TOKENS - HEAD_TOKENS), self.batch * 2 * TEXT_TOKENS
        return max(gemm_peak(self.shapes, rows, dtype, self.device) for rows in (few, many))

    def peaks(self) -> str:
        """Return the best rates in words; bfloat16 as a factor where it is emulated."""
        full = f"{self.peak(torch.float32) / 1e9:.0f} GFLOP/s in float32"
        if self.is_half:
            return f"{self.peak(self.dtype) / 1e9:.0f} GFLOP/s in bfloat16, {full}"
        factor = slowdown(self.device, "bfloat16")
        return f"{full}; bfloat16, emulated, takes {factor:.1f} times as long"

    def measured(
        self, name: str, functions: Sequence[Callable[[Any], object]], make: Callable[[], Any]
    ) -> tuple[list[float], int | None]:
        """Return median milliseconds, and of how many rounds if that is fewer than wanted.

        What takes too long, does not fit or fails is noted, and gives nothing.
        """
        seconds = min(self.figure_seconds, self.until - time.monotonic())
        synchronise = partial(wait, self.device)
        try:
            medians, done = interleaved_within(
                seconds, functions, make, self.sizes.rounds, synchronise
            )
        except Overrun as reason:
            self.missing.append(f"{name}: {reason}")
        except Exception as error:  # the figures after it are worth having
            traceback.print_exc()
            self.failed = True
            self.missing.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
        else:
            return medians, done if done < self.sizes.rounds else None
        return [], None

    def compare(
        self,
        name: str,
        against: str,
        ours: Callable[[Any], object],
        theirs: Callable[[Any], object],
        make: Callable[[], Any],
        target: float | None = None,
        share: bool = False,
        default: Callable[[Any], object] | None = None,
        gpu_target: float | None = None,
    ) -> Iterator[Figure]:
        """Measure one figure; with ``share``, also the operations that the model has booked.

        Targets against the first baseline were set for processors, those for GPUs against what
        Transformers does by default, or against the first where there is no ``default``.
        """
        cost = self.model.cost
        before = cost.flops
        baselines = {against: theirs}
        if default and self.is_half:
            baselines[DEFAULT] = default
        medians, cut = self.measured(name, [ours, *baselines.values()], make)
        if not medians:
            return
        flops = (cost.flops - before) / ((cut or self.sizes.rounds) + 1)
        peak_share = flops / (medians[0] / 1000) / self.peak(self.dtype) if share else None
        for i, (baseline, taken) in enumerate(zip(baselines, medians[1:], strict=True)):
            last = i == len(baselines) - 1
            aimed = (gpu_target if last else None) if self.on_gpu else target if i == 0 else None
            aimed = aimed if self.is_half else None
            figure = Figure(name, baseline, medians[0], taken, aimed, peak_share, cut)
            print(f"{name}, against {baseline}: {figure.ratio:.1f}", flush=True)
            yield figure

    def encoding(self) -> Iterator[Figure]:
        model, base, work, batch = self.model, self.base, self.work, self.batch
        default = base.default
        for size, aimed in self.sizes.encoded.items():
            name = f"encode {size} new texts of {TEXT_TOKENS} tokens, {HEAD_TOKENS} a static head"
            make = partial(work.with_head, size)
            given = (name, LOOP, model.encode, base.loop, make, 11, True, default, aimed)
            yield from self.compare(*given)
        with_head = partial(work.with_head, batch)
        half = partial(model.encode, layer=model.num_layers // 2)
        name = f"encode {batch} such texts at half depth"
        yield from self.compare(name, LOOP, half, base.loop, with_head, 22, True, default)
        for log_uniform, spread, target in ((False, "uniform", None), (True, "log-uniform", 2.5)):
            yield from self.compare(
                f"encode {self.sizes.ragged} ragged texts, 10 to 150 tokens, {spread}",
                f"padded {self.precision} batch",
                model.encode,
                partial(base.body, fast=True),
                partial(work.ragged, self.sizes.ragged, log_uniform=log_uniform),
                target,
                share=True,
                default=default,
                gpu_target=3,
            )
        plain = partial(work.texts, 2 * batch)
        name = f"encode {2 * batch} texts of {TEXT_TOKENS} tokens, no static head"
        yield from self.compare(name, LOOP, model.encode, base.loop, plain, 5, True, default)

    def scoring(self) -> Iterator[Figure]:
        actions = self.work.texts(6, tokens=3)
        name = f"score 6 actions for {self.batch} observations with a static head"

        def score(prompts: list[str]) -> object:
            return self.model.token_log_probs(prompts, [actions] * len(prompts))

        each = partial(self.base.score_each, candidates=actions)
        fast = partial(each, fast=True)
        make = partial(self.work.with_head, self.batch)
        against = "a full float32 forward an action"
        yield from self.compare(name, against, score, each, make, 40, True, fast)
        expanded = partial(self.base.score_expanded, candidates=actions)
        against = f"keys and values repeated an action, {self.precision}"
        given = (name, against, score, expanded, make, 2.2, True)
        yield from self.compare(*given, gpu_target=4)

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
                functions = {"computing it": self.model.encode}
                if self.is_half:
                    functions[DEFAULT] = self.base.default
                figure = f"a text known in {name}"
                medians, cut = self.measured(figure, [ask, *functions.values()], make)
                for baseline, taken in zip(functions, medians[1:], strict=False):
                    aimed = target if baseline != DEFAULT and not self.on_gpu else None
                    each = medians[0] / calls / self.batch, taken / self.batch
                    yield Figure(figure, baseline, *each, aimed, cut=cut)

    def writing(self) -> Iterator[Figure]:
        tokens, batch = self.sizes.tokens, self.sizes.written
        self.model._writer._end_tokens = ()  # both sides write texts of one length
        write = partial(self.model.generate, sampling=dragoman.Sampling(max_tokens=tokens))
        yield from self.compare(
            f"write {tokens} tokens for {batch} prompts",
            f"Transformers, {self.precision}, one by one",
            write,
            partial(self.base.write_each, tokens=tokens),
            partial(self.work.with_head, batch),
            9,
            default=partial(self.base.write_batch, tokens=tokens),
        )

    def training(self) -> Iterator[Figure]:
        yield from self._update("float32", 3.5)
        if self.is_half:
            yield from self._update("bfloat16", 2.3)

    def _update(self, dtype: Any, target: float) -> Iterator[Figure]:
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

        def with_logits(_: object) -> None:
            update(model._model(input_ids=ids, output_hidden_states=True).hidden_states[-1])

        yield from self.compare(
            f"PPO update of LoRA in the top {TRAINED_BLOCKS} blocks, {len(rows)} texts, {dtype}",
            "full re-forward, same precision",
            lambda _: update(trunk.run(rows)),
            lambda _: update(model._stack.run(ids)),
            lambda: None,
            target,
            default=with_logits if dtype == "bfloat16" else None,
            gpu_target=3 if dtype == "bfloat16" else None,
        )

    def compiled(self) -> Iterator[Figure]:
        """Compare with and without compiling, where that may reach a GPU's peak."""
        size = max(self.sizes.encoded)
        model = dragoman.load_model(
            self.source, dtype=self.precision, device=self.device, compile=True
        )
        make = partial(self.work.with_head, size)
        name = f"encode {size} such texts, compiled; of the peak 0.35 is aimed at"
        try:
            with at_most(min(COMPILE_SECONDS, self.until - time.monotonic())):
                for _ in range(USES + 1):  # a shape that comes often enough is compiled
                    model.encode(make())
        except Overrun as reason:
            self.missing.append(f"{name}: {reason}, compiling")
            return
        before = model.cost.flops
        functions = [model.encode, self.model.encode, self.base.default]
        medians, cut = self.measured(name, functions, make)
        if not medians:
            return
        ours, theirs, default = medians
        flops = (model.cost.flops - before) / ((cut or self.sizes.rounds) + 1)
        share = flops / (ours / 1000) / self.peak(self.dtype)
        yield Figure(name, "the same uncompiled", ours, theirs, None, share, cut)
        yield Figure(name, DEFAULT, ours, default, None, share, cut)

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
        times, cut = self.measured("what each technique adds", functions, make)
        return [
            Figure(f"+ {name}", before, own, earlier, cut=cut)
            for (name, _), (before, _), own, earlier in zip(
                steps[1:], steps[:-1], times[1:], times[:-1], strict=False
            )
        ]


def adapt(model: TorchModel) -> torch.optim.Optimizer:
    """Put adapters on the top blocks, and return what trains them."""
    top = list(range(model.num_layers - TRAINED_BLOCKS, model.num_layers))
    config = peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj"], layers_to_transform=top)
    peft.inject_adapter_in_model(config, model._model)
    trained = [weight for weight in model._model.parameters() if weight.requires_grad]
    return torch.optim.Adam(trained, lr=1e-5)


def save_large(device: str) -> str:
    """Write a model of 1.5 billion random weights, and return its folder."""
    folder = Path(tempfile.gettempdir()) / LARGE
    tokenizer = transformers.AutoTokenizer.from_pretrained(_resolve("smollm2-135m"))
    config = transformers.Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        dtype="bfloat16",
    )
    with torch.device(device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def page(name: str, bench: Benchmark, figures: list[Figure], steps: list[Figure]) -> str:
    """Return the page of what has been measured so far."""
    machine, sizes = describe_machine(), bench.sizes
    text = (
        "# Speed of the model runtime\n\n"
        f"{name}, {bench.precision} unless said otherwise, on {bench.device}, "
        f"{torch.get_num_threads()} threads of {machine['processor']}, {machine['platform']}, "
        f"torch {torch.__version__}. Best matrix product at the model's shapes: {bench.peaks()}. "
        f"Times in ms, medians of {sizes.rounds} rounds.\n\n{table(figures)}\n"
    )
    if bench.missing:
        text += "\nNot there:\n\n" + "".join(f"- {line}\n" for line in bench.missing)
    if steps:
        text += (
            f"\nWhat each technique adds to those above it, for {sizes.batch} texts of "
            f"{TEXT_TOKENS} tokens of which {HEAD_TOKENS} are a static head:\n\n{table(steps)}\n"
        )
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, help="texts; 16, or 512 on a GPU")
    parser.add_argument("--minutes", type=float, help="of all; no bound, or 8 on a GPU")
    parser.add_argument("--figure-seconds", type=float, help="no bound, or 60 on a GPU")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--tiny", action="store_true", help="few texts, but all that a GPU does")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args(arguments)
    on_gpu = options.device.startswith("cuda")
    sizes = LARGE_ON_GPU if options.model == LARGE else ON_GPU if on_gpu else ON_CPU
    sizes = TINY if options.tiny else sizes
    if options.batch:
        encoded = sizes.encoded if on_gpu else {options.batch: None}
        sizes = replace(sizes, batch=options.batch, encoded=encoded, ragged=2 * options.batch)
    sizes = replace(sizes, rounds=options.rounds or sizes.rounds)
    started = time.monotonic()
    bench = Benchmark(
        options.model,
        options.device,
        sizes,
        as_gpu=on_gpu or options.tiny,
        figure_seconds=options.figure_seconds or (60 if on_gpu else math.inf),
        until=started + 60 * (options.minutes or (8 if on_gpu else math.inf)),
    )
    parts = [bench.encoding, bench.scoring, bench.training, bench.remembering, bench.writing]
    parts.append(bench.compiled if bench.on_gpu else bench.resident)
    stem = f"model_runtime_{options.device.partition(':')[0]}"
    stem += "_1.5b" if options.model == LARGE else "_tiny" if options.tiny else ""
    options.out.mkdir(parents=True, exist_ok=True)
    figures: list[Figure] = []
    for part in parts:
        figures += part()
        gc.collect()
        (options.out / f"{stem}.md").write_text(page(options.model, bench, figures, []))
    text = page(options.model, bench, figures, bench.techniques())
    (options.out / f"{stem}.md").write_text(text)
    draw(figures, options.out / f"{stem}.png", "What the language model costs")
    print(text)
    if bench.failed:
        sys.exit("some figures failed")


if __name__ == "__main__":
    main()
