from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest

from dragoman.describe import describe_env
from dragoman.errors import RewardError
from dragoman.testing import ScriptedModel, check_describer, check_model, check_reward


def features(text: str) -> list[float]:
    return [len(text), text.count("e"), 1.0]


class Broken(ScriptedModel):
    """A good model until a subclass breaks one promise."""

    def __init__(self) -> None:
        super().__init__(features)


class NeighboursLeak(Broken):
    def encode(self, texts, **arguments):
        got = super().encode(texts, **arguments)
        return got + 0.01 * len(max(texts, key=len, default="")) * got


class OrderMatters(Broken):
    def encode(self, texts, **arguments):
        got = super().encode(texts, **arguments)
        # A text alone is first as well, so only the order of several tells.
        return got * np.where(np.arange(len(texts)) > 3, 1.1, 1.0)[:, None].astype(np.float32)


class DoublePrecision(Broken):
    def encode(self, texts, **arguments):
        return super().encode(texts, **arguments).astype(np.float64)


class NotANumber(Broken):
    def encode(self, texts, **arguments):
        return super().encode(texts, **arguments) * np.float32(np.nan)


class AnyLayer(Broken):
    def encode(self, texts, *, layer=None, pooling=("last",)):
        return super().encode(texts, pooling=pooling)


class OnePooling(Broken):
    def encode(self, texts, *, layer=None, pooling=("last",)):
        got = super().encode(texts, layer=layer, pooling=pooling)
        return got * np.float32(len(pooling))


def test_a_good_model_passes() -> None:
    check_model(ScriptedModel(features))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (NeighboursLeak, "alone must equal"),
        (OrderMatters, "alone must equal|order of texts"),
        (DoublePrecision, "float64 instead of float32"),
        (NotANumber, "NaN or infinite"),
        (AnyLayer, "accepted {'layer': 3}"),
        (OnePooling, "side by side"),
    ],
)
def test_a_broken_promise_is_named(broken: type[Broken], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_model(broken())


class Wrong:
    """Describes CartPole well until a subclass breaks one promise."""

    def __init__(self) -> None:
        self.good = describe_env(gym.make("CartPole-v1"))
        self.count = 0

    def observation(self, observation, info):
        return self.good.observation(observation, info)

    def action(self, action):
        return self.good.action(action)


class Silent(Wrong):
    def observation(self, observation, info):
        return " "


class Bytes(Wrong):
    def observation(self, observation, info):
        return b"bytes"


class Remembers(Wrong):
    def observation(self, observation, info):
        self.count += 1
        return f"step {self.count}"


class OneAction(Wrong):
    def action(self, action):
        return "push"


class DescribesNaN(Wrong):
    def observation(self, observation, info):
        return f"cart at {observation[0]:.2f}"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Silent, "by an empty text"),
        (Bytes, "by bytes, not by a string"),
        (Remembers, "described in two ways"),
        (OneAction, r"two actions have one text: \['push', 'push'\]"),
        (DescribesNaN, "an observation with NaN was described"),
    ],
)
def test_a_describer_that_breaks_a_promise_is_named(wrong: type[Wrong], message: str) -> None:
    check_describer(Wrong(), gym.make("CartPole-v1"))
    with pytest.raises(AssertionError, match=message):
        check_describer(wrong(), gym.make("CartPole-v1"))


def test_scripted_model_remembers_what_it_was_asked() -> None:
    model = ScriptedModel(features, num_layers=4)
    np.testing.assert_array_equal(
        model.encode(["be", "see"], layer=2), [[1, 0.5, 0.5], [1.5, 1, 0.5]]
    )
    assert model.calls == [["be", "see"]]
    assert model.cost.tokens == 2


def constant_noise(texts, counter=[]):  # noqa: B006
    counter.append(1)
    return [float(len(counter)) for _ in texts]


def relative(texts):
    return [len(text) - max(map(len, texts)) for text in texts]


@dataclass(frozen=True)
class Remembers:
    def __call__(self, texts, *, memory, model):
        for own in memory:
            own["seen"] = own.get("seen", 0) + 1
        return [float(own["seen"]) for own in memory]


def test_rewards_are_checked() -> None:
    texts = ["a", "three words here", "two words"]
    check_reward(lambda texts: [len(text) for text in texts], texts)
    check_reward(Remembers(), texts, Broken())
    with pytest.raises(AssertionError, match="equal calls must give equal numbers"):
        check_reward(constant_noise, texts)
    with pytest.raises(AssertionError, match="a text alone must be worth"):
        check_reward(relative, texts)
    with pytest.raises(RewardError, match="gave nan for the text 'a'"):
        check_reward(lambda texts: [np.nan] * len(texts), texts)
