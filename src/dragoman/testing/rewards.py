"""What every reward of texts must keep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dragoman.roles.reward.call import Caller
from dragoman.types import LanguageModel, RewardFunction


def check_reward(
    reward: RewardFunction, texts: Sequence[str], model: LanguageModel | None = None
) -> None:
    """Check that a reward of texts keeps the promises of `dragoman.types.RewardFunction`.

    >>> check_reward(lambda texts: [len(text) for text in texts], ["one", "a second"])

    A potential must also say the same of a text whatever stands beside it.

    Args:
        reward: The reward to check. Of what it may take, observations and raw actions are not
            given.
        texts: At least two different texts of states.
        model: The language model, if it takes one.

    Raises:
        AssertionError: A promise is broken.
        RewardError: It fails, or gives what is no finite number for each text.
        ConfigError: It takes an argument that is never given.
    """
    caller = Caller.of("checked", reward)

    def ask(asked: Sequence[str]) -> list[float]:
        given = {
            "texts": list(asked),
            "previous": [texts[0]] * len(asked),
            "actions": ["act"] * len(asked),
            "memory": [{} for _ in asked],
            "model": model,
        }
        values: list[float] = caller(given, len(asked))[0].tolist()
        return values

    together = ask(texts)
    assert ask(texts) == together, "equal calls must give equal numbers, also with a new memory"
    if caller.is_potential:
        alone = [ask([text])[0] for text in texts]
        assert np.allclose(alone, together, rtol=1e-4, atol=1e-6), (
            f"a text alone must be worth what it is worth in a batch: {alone} and {together}"
        )
        assert np.allclose(ask(texts[::-1])[::-1], together, rtol=1e-4, atol=1e-6), (
            "the order of texts must not matter"
        )
