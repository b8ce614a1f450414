"""Data sets of Minari: play to learn from, and a run's play for others.

Nothing that a data set names is imported or made: its environment is taken by a registered id only.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from dragoman.agents.agent import Agent
from dragoman.agents.evaluate import episode_seeds
from dragoman.agents.teach.plays import MINARI, Episode, Play
from dragoman.describe.masks import MASK, TEXTS
from dragoman.describe.moment import MomentMaker
from dragoman.environments import make_environment, refuse_endless
from dragoman.environments.indices import Indices
from dragoman.errors import ConfigError, MissingExtraError, SpaceError
from dragoman.experiment import Experiment
from dragoman.files import read_json, refuse_taken
from dragoman.run import Run
from dragoman.settings import check_number

TEXT = "text"


def play_of_minari(name: str) -> Play:
    """Return the play of a data set that lies in Minari's folder.

    Args:
        name: Its id, such as ``cartpole/expert-v0``.

    Raises:
        ConfigError: Its actions are not Discrete, or its spaces are not stored.
        RunError: It is not there.
        MissingExtraError: This needs the extra ``minari``.
    """
    path = _folder(name) / "data"
    about = read_json(path / "metadata.json", cure=f"get it with 'minari download {name}'")
    spaces = [json.loads(about.get(key) or "{}") for key in ("observation_space", "action_space")]
    # Without them Minari would make the environment that the data set names.
    if not all(spaces) or spaces[1]["type"] != "Discrete":
        raise ConfigError(
            f"the data set {name!r} has actions of {spaces[1].get('type', 'an unknown space')!r}, "
            "but what is taught are the texts of Discrete actions",
            cure="name a data set with Discrete actions, whose spaces are stored",
        )

    def show(
        learner: Experiment, env: gym.Env[Any, Any], make: MomentMaker, seed: int, most: int
    ) -> Iterator[Episode]:
        from minari.dataset.minari_storage import MinariStorage

        indices = Indices(env.action_space)
        for episode in MinariStorage.read(path).get_episodes(range(about["total_episodes"])):
            count = len(episode["rewards"])
            infos = _infos(episode["infos"] or {}, count + 1)
            seen = [_at(episode["observations"], t) for t in range(min(count, most))]
            with warnings.catch_warnings():
                # Gymnasium warns of what it has to cast; what does not fit is refused here.
                warnings.simplefilter("ignore", UserWarning)
                fits = env.observation_space.contains(seen[0])
            if not fits:
                raise SpaceError(
                    f"an observation of {name!r} is {seen[0]!r}, which does not lie in "
                    f"{env.observation_space} of {learner.env}",
                    cure="teach on the environment that the data set was played in",
                )
            actions = indices.indices(np.asarray(episode["actions"])).tolist()
            pairs = zip(seen, infos, actions, strict=False)  # as many as were asked for
            steps = tuple((make(one, info), int(action)) for one, info, action in pairs)
            yield Episode(steps, float(np.sum(episode["rewards"])), count <= most)

    return Play(f"{MINARI}{name}", _task_of(about), show)


def export_minari(
    run: Run | str | Path,
    name: str,
    *,
    episodes: int = 100,
    seed: int = 0,
    sampled: bool = False,
    trust_code: bool = False,
) -> Path:
    """Play a trained agent and keep its episodes as a data set of Minari.

    Beside observations, actions and rewards stand the parts of the infos that say which actions are
    valid, what they are called (a line each) and what a language model reads.

    Args:
        run: The run, or its folder.
        name: Id of the data set, such as ``lake/taught-v0``.
        episodes: How many, the first of those that `dragoman.evaluate` plays with this seed.
        seed: Names the set of episode seeds.
        sampled: Draw actions from the policy instead of taking the likeliest.
        trust_code: Run the code that the run's config names, whoever has trained it.

    Returns:
        The folder of the data set.

    Raises:
        ConfigError: Minari takes no such id, or cannot store a space of the environment.
        RunError: There is such a data set already.
        MissingExtraError: This needs the extra ``minari``.
    """
    check_number("episodes", episodes, 1)
    folder = _folder(name)
    refuse_taken(folder)
    import minari
    from minari.serialization import serialize_space

    run = run if isinstance(run, Run) else Run(run)
    agent = Agent(run, sampled=sampled, seed=seed, trust_code=trust_code)
    refuse_endless(agent.spec)
    env = make_environment(agent.spec, run.experiment.env_settings)
    try:
        for space in (env.observation_space, env.action_space):
            serialize_space(space)
    except NotImplementedError as error:
        raise ConfigError(
            f"Minari cannot store what is in {space}", cure="wrap the environment's space"
        ) from error
    played = [_played(agent, env, one) for one in episode_seeds(episodes, seed)]
    is_registered = run.experiment.env in gym.registry
    spec = gym.spec(run.experiment.env) if is_registered else None
    if spec is not None:
        spec.kwargs = dict(run.experiment.env_settings)
    try:
        with warnings.catch_warnings():
            # Of authors and links that Minari would like to know.
            warnings.simplefilter("ignore", UserWarning)
            minari.create_dataset_from_buffers(
                name,
                played,
                env=spec,
                observation_space=env.observation_space,
                action_space=env.action_space,
                algorithm_name=run.experiment.algorithm.name,
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    env.close()
    return folder


def _folder(name: str) -> Path:
    """Return where a data set lies, or would."""
    try:
        from minari.dataset.minari_dataset import parse_dataset_id
        from minari.storage.datasets_root_dir import get_dataset_path
    except ModuleNotFoundError as error:
        raise MissingExtraError("minari", extra="minari") from error
    try:
        parse_dataset_id(name)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{name!r} is no id of a data set", cure="write it as namespace/name-v0"
        ) from error
    return Path(get_dataset_path(name))


def _task_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment of a data set, if that is a registered id, which runs no new code."""
    spec = json.loads(about.get("env_spec") or "{}")
    if spec.get("id") is None or ":" in spec["id"]:
        return {}
    return {"env": spec["id"], "env_settings": spec.get("kwargs") or {}}


def _played(agent: Agent, env: gym.Env[Any, Any], seed: int) -> Any:
    from minari.data_collector import EpisodeBuffer

    observation, info = env.reset(seed=seed)
    agent.begin()
    observations, infos = [observation], [info]
    actions: list[Any] = []
    rewards: list[float] = []
    endings: list[tuple[bool, bool]] = []
    while not endings or not any(endings[-1]):
        action = agent.act([observation], [info])[0]
        observation, reward, ended, cut, info = env.step(action)
        observations.append(observation)
        infos.append(info)
        actions.append(action)
        rewards.append(float(reward))
        endings.append((bool(ended), bool(cut)))
    return EpisodeBuffer(
        seed=seed,
        observations=_together(env.observation_space, observations),
        actions=_together(env.action_space, actions),
        rewards=rewards,
        terminations=[ended for ended, _ in endings],
        truncations=[cut for _, cut in endings],
        infos=_kept(infos),
    )


def _together(space: gym.Space[Any], values: Sequence[Any]) -> Any:
    """Return values of a space as Minari keeps them: by part, and of each part a list."""
    if isinstance(space, gym.spaces.Dict):
        return {key: _together(space[key], [one[key] for one in values]) for key in space.spaces}
    if isinstance(space, gym.spaces.Tuple):
        parts = enumerate(space.spaces)
        return tuple(_together(part, [one[i] for one in values]) for i, part in parts)
    return list(values)


def _at(values: Any, step: int) -> Any:
    """Return what `_together` was given, of one step."""
    if isinstance(values, Mapping):
        return {key: _at(part, step) for key, part in values.items()}
    if isinstance(values, tuple):
        return tuple(_at(part, step) for part in values)
    return values[step]


def _kept(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return of infos what says which actions are valid, and what is read."""
    writes: dict[str, Callable[[Any], Any]] = {
        MASK: lambda mask: np.asarray(mask, np.int8),
        TEXTS: lambda texts: "\n".join(map(str, texts)),
        TEXT: str,
    }
    return {
        key: [write(info[key]) for info in infos]
        for key, write in writes.items()
        if all(key in info for info in infos)
    }


def _infos(kept: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Return infos of each of ``count`` moments; empty where a data set has none for all."""
    result: list[dict[str, Any]] = [{} for _ in range(count)]
    for key in (MASK, TEXTS, TEXT):
        for info, value in zip(result, kept.get(key, ()), strict=len(kept.get(key, ())) == count):
            text = value.decode("utf-8") if isinstance(value, bytes) else value
            info[key] = text.split("\n") if key == TEXTS else text
    return result
