"""Names of the tensors of Stable-Baselines3's policies, and what they are called here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

OURS = {
    # The act role's own module, within a policy of the library.
    r"policy\.": "",
    # PPO and A2C.
    r"mlp_extractor\.policy_net\.": "actor.",
    r"mlp_extractor\.value_net\.": "critic.",
    r"action_net\.": "action.",
    r"value_net\.": "value.",
    r"log_std$": "noise.log_std",
    r"features_extractor\.": "features.",
    r"vf_features_extractor\.": "critic_features.",
    # Recurrent PPO; the critic that has no LSTM has a layer in its place.
    r"lstm_actor\.": "memory.",
    r"(lstm_)?critic\.(?=weight|bias)": "critic_memory.",
    # DQN.
    r"q_net\.features_extractor\.": "features.",
    r"q_net\.q_net\.": "network.",
    # SAC; with noise that depends on the state, its mean is the first part of a sequence.
    r"actor\.latent_pi\.": "actor.",
    r"actor\.mu\.(?=weight|bias)": "mean.",
    r"actor\.log_std\.": "log_std.",
    r"actor\.log_std$": "log_std.log_std",
    # SAC and TD3.
    r"actor\.features_extractor\.": "features.",
    r"critic\.features_extractor\.": "critic_features.",
    r"critic\.qf(\d+)\.": r"critics.\1.",
}
"""Beginnings of names. What is not here is left out: targets, and what stands there twice."""

CONVOLUTIONS = (
    (r"extractors\.(.+)\.cnn\.", r"parts.\1."),
    (r"extractors\.(.+)\.linear\.0\.", r"parts.\1.7."),
)


def our_names(state: Mapping[str, T]) -> dict[str, T]:
    """Return the tensors that a policy is played with, under the names of our own policies.

    Args:
        state: What ``state_dict`` of a policy of Stable-Baselines3 returns.
    """
    table = dict(OURS)
    numbers = [int(name.split(".")[2]) for name in state if re.match(r"actor\.mu\.\d", name)]
    if numbers:
        # Of TD3 the mean is the last layer of a sequence; of SAC the only one.
        table[rf"actor\.mu\.{max(numbers)}\."] = "mean."
        table[r"actor\.mu\."] = "actor."
    result = {}
    for name, tensor in state.items():
        for theirs, ours in table.items():
            renamed, count = re.subn("^" + theirs, ours, name)
            if count:
                for theirs, ours in CONVOLUTIONS:
                    renamed = re.sub(theirs, ours, renamed)
                result[renamed] = tensor
                break
    return result
