"""The loss of a teaching, against Transformers' own."""

from __future__ import annotations

import pytest
import torch

from dragoman.agents.teach.fitting import Teaching, loss_of
from dragoman.errors import ConfigError
from dragoman.models.tuned import Text, TunedModel
from tests.models import tiny

TEXTS = (
    Text((5, 9, 7, 12, 30), ((8, 11),)),
    Text((5, 9, 14), ((21, 22, 23, 24),)),
    Text((40, 41, 42, 43, 44, 45, 46, 47), ((9,),)),
)


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_loss_is_the_cross_entropy_of_the_tokens_of_actions_alone(architecture: str) -> None:
    model = tiny.make(architecture)
    ids = torch.zeros(len(TEXTS), 9, dtype=torch.long)
    labels = torch.full_like(ids, -100)  # which Transformers leaves out
    is_real = torch.zeros_like(ids)
    for i, text in enumerate(TEXTS):
        start, whole = len(text.prompt), [*text.prompt, *text.candidates[0]]
        ids[i, : len(whole)] = torch.tensor(whole)
        labels[i, start : len(whole)] = ids[i, start : len(whole)]
        is_real[i, : len(whole)] = 1
    plain = model.transformer(input_ids=ids, attention_mask=is_real, labels=labels).loss
    tuned = TunedModel(model, how="lora")
    torch.testing.assert_close(loss_of(tuned, TEXTS), plain, atol=1e-5, rtol=0)
    # And in pieces that are computed again on the way back.
    pieces = TunedModel(model, how="lora", tokens=8)
    torch.testing.assert_close(loss_of(pieces, TEXTS), plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps is 0, but must be at least 1"),
        ({"epochs": 0}, "epochs is 0, but must be at least 1"),
        ({"patience": 0}, "patience is 0"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0"),
        ({"batch_size": "many"}, "batch_size is 'many'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Teaching(**settings)
