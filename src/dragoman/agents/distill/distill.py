"""From a run with a language model to a small network without, in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from dragoman.agents.agent import Agent
from dragoman.agents.distill.dagger import Distillation, Distilled, OnStep, teach
from dragoman.agents.distill.dataset import ValidActions
from dragoman.agents.distill.onnx_file import require_onnx, write_onnx
from dragoman.agents.distill.student import save_student, shape_of
from dragoman.describe.moment import valid_actions
from dragoman.engines.assembly import reader_of, spec_of
from dragoman.environments import make_environment
from dragoman.errors import ConfigError
from dragoman.experiment.checks import RECURRENT
from dragoman.files import refuse_taken, whole_folder, write_json
from dragoman.models.cache import without_memory
from dragoman.roles.act.observer import OptionsObserver
from dragoman.run import Run
from dragoman.types import Describer, LanguageModel


def distill(
    run: Run | str | Path,
    out: str | Path,
    settings: Distillation = Distillation(),
    *,
    episodes: int = 20,
    seed: int = 0,
    onnx: bool = True,
    model: LanguageModel | None = None,
    describer: Describer | None = None,
    trust_code: bool = False,
    on_step: OnStep = lambda what, done, total: None,
) -> Distilled:
    """Train a small network on raw observations to act as a run's greedy policy does.

    Both are then evaluated on the same episodes, which the training never saw.

    Args:
        run: The run, or its folder.
        out: Folder to make: ``student.safetensors``, ``student.json``, ``student.onnx`` and the
            report ``distilled.json``. It appears when all is written.
        settings: How the student is taught.
        episodes: How many episodes to evaluate both on.
        seed: Of environments, weights and mixture. Equal seeds give equal students.
        onnx: Write the ONNX file too.
        model: Language model to use instead of loading the experiment's.
        describer: What puts observations into words, where the training was given one from Python.
        trust_code: Run the code that the run's config names, even if this user has not trained
            it here, see `dragoman.run.trust`.
        on_step: Called after every step with how far it is.

    Raises:
        SpaceError: Raw observations are text, or actions neither named nor real.
        ConfigError: There is no episode to evaluate on, the policy remembers, or the run's config
            names code that is not trusted.
        RunError: The folder is taken, or the run has no weights.
        MissingExtraError: ONNX needs the extra ``export``.
    """
    run = run if isinstance(run, Run) else Run(run)
    run.require_trust(trust_code)
    out = Path(out)
    refuse_taken(out)
    if onnx:
        require_onnx()
    if run.experiment.algorithm.name == RECURRENT:
        raise ConfigError(
            f"the policy of {run.path} remembers what it has seen ({RECURRENT}), but a student "
            "sees the present observation alone",
            cure="distil an agent of another algorithm, or play this one as it is",
        )
    given = run.experiment.env_settings
    env = make_environment(spec_of(run.experiment), given)
    env.close()
    # Refused before a model is loaded; whether actions are masked is not known yet.
    shape_of(env.observation_space, env.action_space, settings.hidden, masked=False)
    model = model if model is not None else reader_of(run.experiment, run.seed)
    agent = Agent(run, seed=seed, model=model, describer=describer, trust_code=trust_code)
    result = teach(
        agent.act,
        agent.spec,
        given,
        settings,
        valid=_valid_of(agent, given),
        episodes=episodes,
        seed=seed,
        on_step=on_step,
    )
    with whole_folder(out) as folder:
        save_student(result.student, folder)
        if onnx:
            write_onnx(result.student, folder / "student.onnx")
        sizes = {
            "student_weights": result.student.size,
            "model_weights": _weights_of(model),
            **{f"{file.name}_bytes": file.stat().st_size for file in sorted(folder.iterdir())},
        }
        result = replace(result, path=out, sizes=sizes)
        source = {"run": str(run.path), "env": run.experiment.env, "seed": seed}
        write_json(
            folder / "distilled.json", {**source, **result.to_dict(), "settings": asdict(settings)}
        )
    return result


def _valid_of(agent: Agent, env_settings: Mapping[str, Any]) -> ValidActions | None:
    """Return what gives the valid actions, where policy and environment know of them."""
    observer = agent.observer
    if not isinstance(observer, OptionsObserver) or not observer.actions.count:
        return None
    env = make_environment(agent.spec, env_settings)
    _, info = env.reset(seed=0)
    env.close()
    says = "action_mask" in info or not all(info.get("action_texts", ()))
    return partial(valid_actions, count=observer.actions.count) if says else None


def _weights_of(model: Any) -> int | None:
    """Return the number of a language model's weights, where it is loaded here."""
    transformer = getattr(without_memory(model), "transformer", None)
    if transformer is None:
        return None
    return sum(int(weight.numel()) for weight in transformer.parameters())
