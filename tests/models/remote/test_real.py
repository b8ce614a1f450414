"""A remote model against a real server: `transformers serve`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import transformers

from dragoman import evaluate_frozen
from dragoman.errors import ModelError
from dragoman.generation import Choice, Integer, Sampling
from dragoman.models.catalog import _resolve, load_model
from dragoman.models.remote import Budget, Connection, RemoteModel, ServerFeatures
from dragoman.roles.act.frozen import Written
from tests.models import tiny
from tests.models.remote.real_server import serve
from tests.writing import experiment

PATIENT = Connection(timeout=120, retries=1, backoff=0.1)
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
PROMPTS = ["the pole leans 3.2 degrees to the", "one two three"]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny.save("llama", tmp_path_factory.mktemp("serving") / "llama")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_url(tiny_folder: Path):
    with serve(tiny_folder) as url:
        yield url


def write_here(folder: str | Path, prompt: str, *, chat: bool, max_tokens: int) -> tuple[str, int]:
    """Return the greedy text and the number of prompt tokens, by Transformers itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    if chat:
        messages = [{"role": "user", "content": prompt}]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=not chat)
    with torch.inference_mode():
        result = model.generate(**inputs, do_sample=False, max_new_tokens=max_tokens)
    count = inputs["input_ids"].shape[1]
    return tokenizer.decode(result[0, count:], skip_special_tokens=True), count


def check_greedy(folder: str | Path, url: str, *, chat: bool, prompts: list[str]) -> None:
    sampling = Sampling(max_tokens=12)
    with RemoteModel(
        str(folder),
        url,
        connection=PATIENT,
        offers=ServerFeatures(chat=chat),
        budget=Budget(tokens=10_000),
    ) as model:
        result = model.generate(prompts, sampling=sampling)
        here = [write_here(folder, prompt, chat=chat, max_tokens=12) for prompt in prompts]
        assert [item.text for item in result] == [text for text, _ in here]
        assert model.spend.prompt_tokens == sum(count for _, count in here)
        assert model.spend.completion_tokens == sum(len(item.log_probs) for item in result)
        assert model.cost.tokens == model.spend.tokens > 0


@pytest.mark.parametrize("chat", [True, False])
def test_greedy_texts_equal_those_written_here(
    tiny_folder: Path, tiny_url: str, chat: bool
) -> None:
    check_greedy(tiny_folder, tiny_url, chat=chat, prompts=PROMPTS)


def test_a_frozen_writer_acts_as_it_does_here(tiny_folder: Path, tiny_url: str) -> None:
    what = experiment(constrain="none", max_tokens=3, invalid="end")
    what = what.replaced({"env": "tests.text_tasks:Letters"})
    texts: list[list[tuple[str, str]]] = []
    returns = []
    local = load_model(str(tiny_folder), dtype="float32")
    offers = ServerFeatures(chat=False)
    with RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT, offers=offers) as remote:
        for model in (remote, local):
            own: list[tuple[str, str]] = []

            def keep(written: Sequence[Written], own: list[tuple[str, str]] = own) -> None:
                own += [(one.prompt, one.answer.text) for one in written]

            played = evaluate_frozen(what, 6, model=model, sampled=False, on_written=keep)
            returns.append(played.returns)
            texts.append(own)
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 2
    assert returns[0] == returns[1]


def test_a_temperature_needs_sampling_to_be_switched_on(tiny_folder: Path, tiny_url: str) -> None:
    """The server takes a temperature and ignores it, which docs/remote.md tells."""
    on = {"generation_config": json.dumps({"do_sample": True})}
    texts = {}
    for name, extra in (("off", {}), ("on", on)):
        offers = ServerFeatures(chat=False, extra_body=extra)
        # One at a time: the seed is the whole server's.
        with RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT, offers=offers) as model:
            texts[name] = [
                model.generate(["one"], sampling=sampling)[0].text
                for sampling in (Sampling(max_tokens=8, temperature=1.0, seed=s) for s in (1, 2, 1))
            ]
    assert len(set(texts["off"])) == 1
    assert texts["on"][0] == texts["on"][2] != texts["on"][1]


def test_a_stop_string_ends_a_text(tiny_folder: Path, tiny_url: str) -> None:
    with RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT) as model:
        (whole,) = model.generate(PROMPTS[:1], sampling=Sampling(max_tokens=12))
        stop = whole.text[3:5]
        (cut,) = model.generate(PROMPTS[:1], sampling=Sampling(max_tokens=12, stop=(stop,)))
    assert cut.text == whole.text[: whole.text.index(stop)]
    assert cut.finish == "stop"


@pytest.mark.parametrize(
    ("offers", "problem"),
    [
        (ServerFeatures(log_probs=True), "gave no log-probs, though it was asked"),
        (ServerFeatures(chat=False, log_probs=True), "gave no log-probs, though it was asked"),
    ],
)
def test_log_probs_that_the_server_has_not(
    tiny_folder: Path, tiny_url: str, offers: ServerFeatures, problem: str
) -> None:
    with (
        RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT, offers=offers) as model,
        pytest.raises(ModelError, match=problem),
    ):
        model.generate(["one"], sampling=Sampling(max_tokens=3))


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("echo", "did not give the log-probs of the prompt"),
        ("vllm", "status 422: .*prompt_logprobs"),
    ],
)
def test_prompt_log_probs_that_the_server_has_not(
    tiny_folder: Path, tiny_url: str, kind, problem: str
) -> None:
    offers = ServerFeatures(prompt_log_probs=kind)
    with (
        RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT, offers=offers) as model,
        pytest.raises(ModelError, match=problem),
    ):
        model.token_log_probs(["one"], [[" two"]])


def test_embeddings_that_the_server_has_not(tiny_folder: Path, tiny_url: str) -> None:
    with (
        RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT) as model,
        pytest.raises(ModelError, match="status 404"),
    ):
        model.encode(["one"])


def test_a_choice_is_checked_here(tiny_folder: Path, tiny_url: str) -> None:
    sampling = Sampling(max_tokens=12)
    with RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT) as model:
        (free,) = model.generate(["one"], sampling=sampling)
        options = Choice(("other", free.text.strip()))
        (one,) = model.generate(["one"], sampling=sampling, constraint=options)
        assert one.text == free.text.strip()
        with pytest.raises(ModelError, match="does not fit"):
            model.generate(["one"], sampling=sampling, constraint=Choice(("other",)))


def test_a_schema_that_the_server_ignores(tiny_folder: Path, tiny_url: str) -> None:
    offers = ServerFeatures(json_schema=True)
    with (
        RemoteModel(str(tiny_folder), tiny_url, connection=PATIENT, offers=offers) as model,
        pytest.raises(ModelError, match=r"was asked 2 times, and at last wrote .* does not fit"),
    ):
        model.generate(["one"], sampling=Sampling(max_tokens=3), constraint=Integer(1, 9))


def test_another_model_than_the_served_one(tiny_url: str) -> None:
    with (
        RemoteModel("other", tiny_url, connection=PATIENT) as model,
        pytest.raises(ModelError, match=r"'other' was asked once, .* status 400: .*pinned"),
    ):
        model.generate(["one"])


@pytest.fixture(scope="session")
def smollm2_folder() -> str:
    return _resolve("smollm2-135m")


@pytest.fixture(scope="session")
def smollm2_url(smollm2_folder: str):
    with serve(smollm2_folder) as url:
        yield url


@pytest.mark.slow
@pytest.mark.real_model
@pytest.mark.parametrize("chat", [True, False])
def test_greedy_texts_of_the_default_model(
    smollm2_folder: str, smollm2_url: str, chat: bool
) -> None:
    prompts = ["What is a key for?", "The capital of France is"]
    check_greedy(smollm2_folder, smollm2_url, chat=chat, prompts=prompts)
