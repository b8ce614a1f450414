"""Measurements that take long must end, and go on where they were stopped."""

from __future__ import annotations

import functools
import math
import runpy
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dragoman.models import attention, torch_model, unpadded
from tests.models import plain_attention, tiny

SCRIPT = Path(__file__).parents[1] / "benchmarks/recipes.py"
ROW = ["tidyhouse", "16,384", "1.0", "273", "0.9", "0.1"]


@pytest.fixture
def recipes() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def test_rows_that_are_there_are_kept_and_failures_are_not(
    recipes: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = {"avx2": True, "avx512_f": True, "avx512_bf16": True, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert recipes.kind() == ("avx512_bf16", "AVX-512 with bfloat16")
    file = tmp_path / "recipes_avx512_bf16.md"
    failed = ["gpt2-cartpole", "32,768", "failed: error: no hub", "", "", ""]
    # Written as they came; the table keeps to the order of the recipes.
    recipes.write(file, {"tidyhouse": ROW, "gpt2-cartpole": failed}, "AVX-512 with bfloat16")
    assert file.read_text().count("\n| ") == 3
    assert recipes.rows_of(file) == {"tidyhouse": ROW}
    # Nothing is trained where the row is there.
    monkeypatch.setattr(sys, "argv", ["recipes.py", "tidyhouse", "--out", str(tmp_path)])
    before = file.read_bytes()
    recipes.main()
    assert file.read_bytes() == before


def test_a_recipe_that_cannot_train_says_why(recipes: SimpleNamespace) -> None:
    row = recipes.measured("comparisons/rewards-written", {"steps": 16})
    assert row[2].startswith("failed: error: the program")
    assert recipes.experiment_of("acting/babyai", {}).act.policy == "score"
    assert not recipes.experiment_of("acting/babyai", {}).model.disk_cache


def test_changed_recipes_are_not_written_among_the_recipes(
    recipes: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        recipes.main(["frozenlake", "--set", "steps=1"])
    assert "give another --out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        recipes.main(["frozenlak"])


def test_minutes_are_projected_by_the_pace_after_the_first_row(recipes: SimpleNamespace) -> None:
    rows = [{"step": 100, "time/seconds": 5.0}, {"step": 300, "time/seconds": 15.0}]
    # 5 s before the first step, 5 s to the first row, and 0.05 s for each of 900 more steps.
    assert recipes.projected(rows, 1000, started=20.0) == pytest.approx(55.0)


def test_a_long_training_is_stopped_once_two_rows_are_there(recipes: SimpleNamespace) -> None:
    row = recipes.measured("frozenlake", {"observe": None, "steps": 10**8}, seconds=0.0)
    assert row[1] == "100,000,000"
    assert row[2].startswith("~")
    assert float(row[2][1:]) > 100.0


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The benchmark of a GPU, with a processor and a plain attention instead."""
    monkeypatch.setattr(attention, "_kernel", plain_attention.varlen_attn)
    monkeypatch.setattr(unpadded, "DEVICES", ("cpu",))
    monkeypatch.setattr(torch_model, "DEVICES", ("cpu",))
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    return SimpleNamespace(**runpy.run_path(str(SCRIPT.with_name("model_runtime.py"))))


def test_all_that_a_gpu_measures_is_measured_with_few_texts(
    runtime: SimpleNamespace, tmp_path: Path
) -> None:
    model = tiny.save("llama", tmp_path / "model", num_hidden_layers=4)
    runtime.main(["--tiny", "--model", str(model), "--out", str(tmp_path)])
    text = (tmp_path / "model_runtime_cpu_tiny.md").read_text()
    assert "Not there" not in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    measured = {(row[0].removeprefix("| "), row[1]): row for row in rows}
    for name, target in {
        "encode 2 new texts of 60 tokens, 40 a static head": "6",
        "encode 4 new texts of 60 tokens, 40 a static head": "4",
        "encode 4 ragged texts, 10 to 150 tokens, uniform": "3",
        "PPO update of LoRA in the top 4 blocks, 3 texts, bfloat16": "3",
    }.items():
        assert measured[name, runtime.DEFAULT][5] == target
    expanded = "score 6 actions for 3 observations with a static head"
    assert measured[expanded, "keys and values repeated an action, bfloat16"][5] == "4"
    compiled = [row for (name, _), row in measured.items() if "compiled; of the peak 0.35" in name]
    assert len(compiled) == 2
    # Transformers' default in bfloat16 stands beside every figure of the model.
    alone = {name for name, _ in measured} - {n for n, by in measured if by == runtime.DEFAULT}
    assert {n for n in alone if n not in ("figure", "---") and not n.startswith("+ ")} == {
        "PPO update of LoRA in the top 4 blocks, 3 texts, float32"
    }
    assert (tmp_path / "model_runtime_cpu_tiny.png").stat().st_size > 0


def test_a_figure_that_takes_too_long_is_cut_and_one_that_fails_is_named(
    runtime: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.save("llama", tmp_path / "model", num_hidden_layers=4)
    sizes, until = runtime.TINY, time.monotonic() + 60
    bench = runtime.Benchmark(
        str(model), "cpu", sizes, as_gpu=True, figure_seconds=0.2, until=until
    )
    assert bench.measured("slow", [lambda _: time.sleep(9)], lambda: 0) == ([], None)
    bench.figure_seconds = math.inf

    def fail(_: object) -> None:
        raise RuntimeError("no kernel\nmore")

    assert bench.measured("broken", [fail], lambda: 0) == ([], None)
    assert bench.missing == ["slow: cut after 0 s", "broken: RuntimeError: no kernel"]
    assert bench.failed
    text = runtime.page("tiny", bench, [], [])
    assert "Not there:\n\n- slow: cut after 0 s\n- broken: RuntimeError: no kernel\n" in text


@pytest.mark.parametrize(("each", "rounds"), [(0.05, 3), (0.0, 7)])
def test_where_time_is_short_there_are_fewer_rounds(
    runtime: SimpleNamespace, each: float, rounds: int
) -> None:
    medians, done = runtime.interleaved_within(
        0.22, [lambda _: time.sleep(each)], lambda: 0, rounds=7
    )
    assert done == pytest.approx(rounds, abs=1)
    assert medians[0] >= 1000 * each


def test_what_was_measured_before_the_time_was_up_is_kept(runtime: SimpleNamespace) -> None:
    naps = iter([0.0, 0.0, 9.0])
    medians, done = runtime.interleaved_within(
        0.2, [lambda _: time.sleep(next(naps))], lambda: 0, rounds=7
    )
    assert (done, len(medians)) == (1, 1)
