from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from dragoman.errors import ConfigError
from dragoman.roles.reward.call import Caller
from dragoman.roles.reward.critique import Critic
from dragoman.testing import ScriptedModel
from tests.models import tiny


def writing(answer: str) -> ScriptedModel:
    return ScriptedModel(lambda text: [0.0], write=lambda prompt, seed: answer)


def test_a_score_is_read_and_the_critique_kept() -> None:
    def write(prompt: str, seed: int) -> str:
        score = 7 if "Observation: near" in prompt else 2
        return json.dumps({"critique": f"I say\n {score}.", "score": score})

    model = ScriptedModel(lambda text: [0.0], write=write)
    critic = Critic(task="Reach the door.")
    assert critic(["near", "far"], model=model).tolist() == [0.7, 0.2]
    assert critic.critique("near", model=model) == "I say 7. (7 of 10)"
    assert model.calls[0][0].startswith("Reach the door.\nObservation: near\n")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("It is fine.", "the model wrote 'It is fine.', which is no critique with a score"),
        ('{"critique": "cut off', "no critique with a score"),
        ('{"critique": "no score"}', "no critique with a score"),
        ("[1, 2]", "no critique with a score"),
        ('{"critique": "a", "score": 11}', "gave the score 11, not one of 0 to 10"),
        ('{"critique": "a", "score": -1}', "gave the score -1"),
        ('{"critique": "a", "score": 7.5}', "gave the score 7.5"),
        ('{"critique": "a", "score": true}', "gave the score True"),
        ('{"critique": "a", "score": "7"}', "gave the score '7'"),
    ],
)
def test_what_does_not_parse_is_an_error_of_its_text(answer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Critic()(["a text"], model=writing(answer))
    caller = Caller.of("critic", Critic())
    given = {"texts": ["a text"], "model": writing(answer)}
    assert caller(given, 1, "skip")[1].tolist() == [True]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("It stands well. Score: 7", "It stands well. Score: 7 (7 of 10)"),
        (
            "Score: 1? No, it stands well. Score: 7",
            "Score: 1? No, it stands well. Score: 7 (7 of 10)",
        ),
        ("<think>From 0 to 10, a score of 2?</think>Score: 7", "Score: 7 (7 of 10)"),
        ("Score: 7\nObservation: far\nIt is lost. Score: 1", "Score: 7 (7 of 10)"),
        ("The answer is 7.", "The answer is 7 (7 of 10)"),
        ("Near row 3. My score is **7** of 10", "Near row 3. My score is **7 (7 of 10)"),
    ],
)
def test_a_free_text_is_read_too(answer: str, said: str) -> None:
    critic = Critic(form="text")
    assert critic(["a text"], model=writing(answer)).tolist() == [0.7]
    assert critic.critique("a text", model=writing(answer)) == said
    for bad in ("It stands at row 3 of 10.", "Score: 11", "Score: -1", "Score: 7-8", "Score: 70%"):
        with pytest.raises(ValueError, match="the model"):
            critic(["a text"], model=writing(bad))


def test_a_score_that_may_be_cut_off_is_none() -> None:
    class Cut(ScriptedModel):
        def generate(self, prompts, **given):
            return [replace(item, finish="length") for item in super().generate(prompts, **given)]

    def scored(text: str) -> float:
        model = Cut(lambda text: [0.0], write=lambda prompt, seed: text)
        return float(Critic(form="text")(["a text"], model=model)[0])

    assert scored("Score: 1.\nIt is lo") == 0.1
    with pytest.raises(ValueError, match="cut off"):
        scored("It stands well. Score: 1")


def test_decimals_are_read_in_free_text() -> None:
    assert Critic(form="text")(["a"], model=writing("Score: 7.5")).tolist() == [0.75]
    assert Critic(form="text").critique("a", model=writing("Score: 8.0")) == "Score: 8.0 (8 of 10)"


def test_json_is_found_behind_a_thought_and_in_a_fence() -> None:
    fenced = '<think>{"score": 1}?</think>Here:\n```json\n{"critique": "fine", "score": 7}\n```'
    assert Critic()(["a"], model=writing(fenced)).tolist() == [0.7]


def test_the_constraint_is_what_is_read() -> None:
    schema = json.loads(Critic(most=3, critique_length=9).constraint.schema)
    jsonschema.validate({"critique": "123456789", "score": 3}, schema)
    for bad in ({"critique": "1234567890", "score": 3}, {"critique": "a", "score": 4}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
    with pytest.raises(ConfigError, match="most of the critic is 0"):
        Critic(most=0)


def test_a_model_on_this_machine_keeps_to_it() -> None:
    # Untrained and free to ramble: only the constraint makes this parse.
    critic = Critic("?", critique_length=2, max_tokens=33)
    (score,) = critic(["a text"], model=tiny.make("gpt2"))
    assert 0 <= score <= 1
