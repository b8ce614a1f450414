"""Policies that write their actions, with a tiny model, as tests make them."""

from __future__ import annotations

from typing import Any

import torch

from dragoman.engines.policies.make import make_policy
from dragoman.experiment import Experiment
from dragoman.models.tuned import TunedModel
from tests.models import tiny

PROMPTS = ["left", "right pole", "left"]


def trained_a_little(top: int | None = None) -> TunedModel:
    """Return a model whose adapters are no longer what they began as."""
    model = TunedModel(tiny.make("llama"), rank=4, top=top)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return model


def prompts_of(model: TunedModel) -> list[tuple[int, ...]]:
    return [tuple(ids) for ids in model.inner.token_ids(PROMPTS)]


def experiment(**act: Any) -> Experiment:
    settings = {"n_steps": 24, "batch_size": 192, "n_epochs": 4, "learning_rate": 0.003}
    tune = {"learning_rate": 0.01, "alpha": 32, "max_prompt": 64, "max_action": 8}
    return Experiment.from_dict(
        {
            "env": "tests.text_tasks:Alphabet",
            "num_envs": 8,
            "steps": 192,
            "observe": {"pooling": ["last"]},
            "algorithm": {"name": "ppo", "settings": settings, "network": [16]},
            "act": {"policy": "write", "question": "so", "tune": tune, **act},
            "checkpoint": None,
        }
    )


def learning_whole(what: Experiment, model: dict[str, Any], steps: int, **more: Any) -> Experiment:
    """Return an experiment in which 96 copies train all weights after every text."""
    settings = {"n_steps": 1, "batch_size": 96, "ent_coef": 0.01}
    return what.replaced(
        {
            "model": model,
            "num_envs": 96,
            "steps": steps,
            "act.tune.how": "full",
            "act.tune.learning_rate": 0.002,
            **{f"algorithm.settings.{key}": value for key, value in settings.items()},
            **more,
        }
    )


def untrained(what: Experiment, model: Any) -> tuple[Any, Any]:
    """Return the policy of an experiment as it begins, and what it sees first."""
    from dragoman.engines.assembly import moments_of, observer_of, spec_of
    from dragoman.environments.vector import make_vector
    from dragoman.models.cache import CachedModel
    from dragoman.roles.role import Models

    cached = CachedModel(model)
    env = make_vector(spec_of(what), 1)
    observer = observer_of(what, env, Models(cached, 0))
    moments = moments_of(what, env)
    observation, info = env.envs[0].reset(seed=1)
    batch = observer([moments(observation, info)])
    return make_policy(what, observer.feature_space, env.single_action_space, cached), batch


def policy_and_prompts(what: Experiment, names: list[str]) -> tuple[Any, dict[str, torch.Tensor]]:
    """Return the policy of an experiment with a trained model, and prompts as it sees them."""
    wrapped, _ = untrained(what, tiny.make("llama"))
    policy = wrapped.module
    rows = policy.reader.model.inner.token_ids(names)
    ids = torch.full((len(rows), 64), -1)
    for row, own in zip(ids, rows, strict=True):
        row[: len(own)] = torch.tensor(own)
    return policy, {"prompt": ids}
