"""Play with what a frozen model writes, here or behind a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dragoman.agents.evaluate import Evaluation, play
from dragoman.describe.moment import moments_in
from dragoman.engines.assembly import load_of, moments_of, spec_of
from dragoman.environments import make_environment
from dragoman.environments.indices import Indices
from dragoman.errors import ConfigError
from dragoman.experiment.source import Source, read_experiment
from dragoman.models.spec import ModelSpec
from dragoman.roles.act.frozen import FrozenWriter, Written
from dragoman.settings import check_number, from_plain


def evaluate_frozen(
    experiment: Source,
    episodes: int = 20,
    *,
    model: Any = None,
    sampled: bool = True,
    seed: int = 0,
    env_settings: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    on_written: Callable[[Sequence[Written]], None] = lambda written: None,
) -> Evaluation:
    """Play what a model that nobody trains writes, on the episodes that `evaluate` plays.

    Args:
        experiment: A file, ``recipe:NAME``, a run, plain data or an object, whose act role has
            ``policy: write`` and ``constrain: none``.
        episodes: How many episodes to play.
        model: A model that writes, such as a `dragoman.RemoteModel`, or its settings, such as
            ``{"name": "Qwen/Qwen3-8B", "server": "http://127.0.0.1:8000/v1"}``; the experiment's
            by default.
        sampled: Draw tokens by the model's probabilities instead of taking the likeliest.
        seed: Names the set of episode seeds, and the draws.
        env_settings: What of the environment's settings differs.
        max_steps: Most steps of an episode, as in `evaluate`.
        on_written: Called in every step with what was written in the episodes that still run,
            with token ids and log-probs where the model says them: to keep it, or to look at it.

    Raises:
        ConfigError: The act role writes no free texts, or the model does not write.
    """
    check_number("episodes", episodes, 1)
    experiment = read_experiment(experiment)
    if experiment.act is None:
        raise ConfigError(
            "the experiment has no act role, so its model writes nothing",
            cure="set act: {policy: write, constrain: none, tune: {how: lora}}",
        )
    spec = spec_of(experiment)
    settings = {**experiment.env_settings, **(env_settings or {})}
    env = make_environment(spec, settings)
    moments, indices = moments_of(experiment, env), Indices(env.action_space)
    env.close()
    if model is None:
        model = load_of(experiment)
    elif isinstance(model, str | Mapping | ModelSpec):
        model = from_plain(ModelSpec, {"name": model} if isinstance(model, str) else model, "model")
        model = model.load()
    write = FrozenWriter(experiment.act, indices.space, model, sampled=sampled, seed=seed)

    def act(observations: Sequence[Any], infos: Sequence[Mapping[str, Any]]) -> list[Any]:
        written = write(moments_in(observations, infos, moments))
        on_written(written)
        return [indices.actions(own.action) for own in written]

    return play(spec, settings, act, episodes=episodes, seed=seed, max_steps=max_steps)
