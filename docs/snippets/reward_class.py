from dataclasses import dataclass

import numpy as np

import dragoman
from dragoman.testing import ScriptedModel, check_reward


@dataclass(frozen=True)
class Mentions:
    """Pays when a state begins to mention a word, once an episode."""

    word: str

    def __call__(self, texts, *, previous, memory):
        paid = np.zeros(len(texts))
        for i, (text, before, own) in enumerate(zip(texts, previous, memory, strict=True)):
            if self.word in text and self.word not in before and not own.get("paid"):
                paid[i] = own["paid"] = 1.0
        return paid


check_reward(Mentions("key"), ["a door", "a door and a key"], ScriptedModel(lambda text: [0.0]))
role = dragoman.Reward.of(Mentions("key"), shaping="bonus", weight=0.1)
print(role.terms["mentions"].use)
