"""What the texts of a rollout show of the policy that has written them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dragoman.engines.watcher import Rollout
from dragoman.maths.information import information
from dragoman.roles.act.readers import rows_of
from dragoman.roles.act.written import WrittenPolicy


def signs_of(policy: nn.Module, rollout: Rollout, sample: int) -> dict[str, float]:
    """Return how long texts are, and by a sample how much they say of their prompts.

    Args:
        policy: An engine's own module; nothing is returned where it does not write.
        rollout: Its steps.
        sample: Prompts that are compared, each with the texts of all.
    """
    writers = [part for part in policy.modules() if isinstance(part, WrittenPolicy)]
    seen = rollout.observations
    if not writers or not isinstance(seen, dict):
        return {}
    (writer,) = writers
    ids = torch.as_tensor(rollout.actions).long().reshape(-1, rollout.actions.shape[-1])
    prompts = torch.as_tensor(seen["prompt"]).reshape(len(ids), -1)
    result = {"tokens": float((ids >= 0).sum(dim=1).float().mean())}
    # Of a policy that thinks, its thoughts.
    part = ids[:, : writer.settings.think] if writer.settings.think else ids
    pairs = dict(zip(rows_of(prompts), rows_of(part), strict=True))
    places = np.unique(np.linspace(0, len(pairs) - 1, sample).astype(int))
    chosen: list[int] = places.tolist()
    if len(chosen) < 2:
        return result
    from dragoman.models.tuned import Text

    every = [list(pairs.items())[i] for i in chosen]
    texts = tuple(text for _, text in every)
    with torch.no_grad():
        own = [Text(prompt, texts) for prompt, _ in every]
        # A thought is under no grammar.
        grammar = None if writer.settings.think else writer.settings.kept_grammar
        _, sums = writer.reader.model(own, grammar=grammar)
    log_probs = torch.stack(sums, dim=1).double().cpu().numpy()
    result["conditional_entropy"], result["information"] = information(log_probs)
    return result
