"""Every family of `families.yaml` is exact or refused, and the page in docs/ says which."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from dragoman.errors import ModelError
from dragoman.models.torch_model import TorchModel
from tests.models import families
from tests.models.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
# One of each kind of trouble; the others are as quick a minute later.
QUICK = [
    "GPT-2",
    "OPT, narrow embeddings",
    "Falcon, ALiBi",
    "Llama",
    "Mistral, window of 400",
    "Gemma 2",
    "LFM2",
    "XLNet",
    "BART, shallow decoder",
    "FNet",
]
# How architectures of old speak of themselves as they are loaded.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def listed(title: str) -> str:
    result = [
        line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(f"| {title} |")
    ]
    assert len(result) == 1, f"{title} has {len(result)} lines in {PAGE}"
    return result[0]


@pytest.mark.parametrize("title", QUICK)
def test_a_family_is_as_the_page_says(title: str) -> None:
    assert families.row(title, families.judge(title)) == listed(title)


@pytest.mark.slow
@pytest.mark.parametrize("title", [title for title in FAMILIES if title not in QUICK])
def test_every_family_is_as_the_page_says(title: str) -> None:
    test_a_family_is_as_the_page_says(title)


def test_the_page_has_every_family_and_no_other() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0].strip("| ") for line in lines[1:]] == list(FAMILIES)


@pytest.mark.parametrize(
    "title", [title for title, family in FAMILIES.items() if family.context is not None]
)
def test_a_text_may_fill_the_context_and_no_more(title: str) -> None:
    model, context = TorchModel(*families.make_parts(title), name=title), FAMILIES[title].context
    # What the architecture reads, and where it fails by itself.
    for length, reads in ((context, True), (context + 1, False)):
        ids = torch.full((1, length), 7)
        stack = model.transformer.get_encoder() if model.is_seq2seq else model.transformer
        try:
            with torch.no_grad():
                stack(input_ids=ids)
            assert reads
        except (IndexError, RuntimeError):
            assert not reads
    with pytest.raises(ModelError, match=f"longer than the context of {context} tokens"):
        model.encode(["push " * (context + 1)])


def test_a_candidate_that_the_decoder_cannot_hold_is_refused() -> None:
    model = TorchModel(*families.make_parts("BART"), name="BART")
    with pytest.raises(ModelError, match="longer than the 768 tokens that the decoder"):
        model.token_log_probs(["push"], [["push " * 800]])


def test_a_model_of_more_than_texts_is_one_error() -> None:
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    tokenizer = families.make_parts("BERT")[1]
    with pytest.raises(ModelError, match="does not read texts"):
        TorchModel(transformers.ViTModel(config), tokenizer, name="images")
