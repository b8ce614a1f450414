"""Runs on the Hugging Face hub: text and safetensors out, text and safetensors in.

The token comes from where the hub's own client looks for it: ``$HF_TOKEN`` or its login. What comes
from the hub is untrusted: code that its config names runs on the user's word alone, and files of
other kinds are neither sent nor taken.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from huggingface_hub import EvalResult, HfApi, ModelCard, ModelCardData
from huggingface_hub.errors import HfHubHTTPError

from dragoman.comparison.folder import RETURNS
from dragoman.errors import RunError
from dragoman.files import read_json, refuse_taken, whole_folder
from dragoman.run.reader import Run
from dragoman.run.trust import code_of

SENT = (".yaml", ".json", ".jsonl", ".safetensors", ".md", ".txt")
"""Endings of the files of a run that are sent and taken; the events of TensorBoard stay here."""


def push(run: Run, name: str, *, code: bool = False, private: bool = False) -> str:
    """Send a run to the hub, with a card that says what it earns and what that means.

    Args:
        run: The run.
        name: ``user/name``.
        code: The user knows that the run names code, which is not sent.
        private: Make a private repository.

    Returns:
        Its address.

    Raises:
        RunError: The run names code and ``code`` is false, or the hub refuses.
    """
    named = code_of(run.experiment)
    if named and not code:
        raise RunError(
            f"{run.path} names {', '.join(named)}, which is not sent: who pulls the run needs it",
            cure="publish that code too, and give --code (in Python code=True)",
        )
    run.weights()  # refuses a run that has none, or a damaged file
    api = HfApi()
    try:
        address = api.create_repo(name, exist_ok=True, private=private)
        with TemporaryDirectory() as folder:
            card = Path(folder, "README.md")
            card.write_text(str(card_of(run, name)), encoding="utf-8")
            api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=name)
        allowed = [f"*{ending}" for ending in SENT]
        api.upload_folder(
            repo_id=name,
            folder_path=run.path,
            allow_patterns=allowed,
            ignore_patterns=["wandb/*", "checkpoints/*"],
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _refused(name, error) from error
    return str(address)


def pull(name: str, out: str | Path) -> Run:
    """Take a run from the hub. Nothing of it is executed, and nothing that could be is taken.

    Args:
        name: ``user/name``.
        out: Folder to make.

    Raises:
        RunError: There is no such run, it holds a file that could run code, or ``out`` is taken.
    """
    out = Path(out)
    refuse_taken(out)
    api = HfApi()
    try:
        files = api.list_repo_files(name)
        foreign = [file for file in files if not _is_plain(file)]
        if foreign:
            raise RunError(
                f"{name} holds {', '.join(foreign[:3])}, which no run of Dragoman has",
                cure="pull runs that dragoman push has sent; they hold text and safetensors only",
            )
        with whole_folder(out) as folder:
            for file in files:
                if not file.startswith("."):
                    api.hf_hub_download(name, file, local_dir=folder)
            shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the hub's client
            Run(folder)
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise _refused(name, error) from error
    return Run(out)


def card_of(run: Run, name: str) -> ModelCard:
    """Return the card of a run: how it was trained, what it earns, and whether a model helped."""
    experiment = run.experiment
    verdict, results = _judged(run)
    model = experiment.model.name if experiment.uses_model else "none"
    data = ModelCardData(
        library_name="dragoman",
        license="other",
        tags=["reinforcement-learning", "dragoman", experiment.env.replace("/", "-")],
        model_name=name.rpartition("/")[2],
        eval_results=results,
    )
    lines = [
        f"# {name}",
        f"An agent for `{experiment.env}`, trained with [Dragoman](https://pypi.org/project/dragoman).",
        "| | |\n|---|---|",
    ]
    rows = {
        "environment": experiment.env,
        "algorithm": experiment.algorithm.name,
        "steps": f"{run.steps:,}",
        "seed": run.seed,
        "language model": model,
        "licence": "of the weights: yours to choose; of the language model: its own, see its card",
    } | verdict
    lines[-1] += "".join(f"\n| {key} | {value} |" for key, value in rows.items())
    lines.append(f"    dragoman pull {name} --out run\n    dragoman eval run")
    lines.append(f"```yaml\n{experiment.to_yaml()}```")
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(lines) + "\n")


def _judged(run: Run) -> tuple[dict[str, str], list[EvalResult]]:
    """Return what evaluation and comparison say of a run, where they lie around it."""
    rows: dict[str, str] = {}
    results = []
    for way, mean, episodes in _evaluated(run):
        rows[f"return, {way}"] = f"{mean:.4g} over {episodes} unseen episodes"
        results.append(_result(run, f"return ({way})", mean))
    file = run.path.parents[1] / "results.json"
    if not file.is_file():
        rows["verdict"] = "none: this run belongs to no comparison"
        return rows, results
    found = read_json(file, cure="run the comparison again")
    arm = found["arms"].get(run.path.parent.name, {})
    best = found["reference"]["best_known"]
    rows["chance"] = str(found["random"])
    rows["best known"] = "unknown" if best is None else str(best)
    rows["arm and seeds"] = f"{run.path.parent.name}, {len(arm.get('scores', ()))} seeds"
    judged = arm.get("verdict")
    said = "an arm that is compared with" if judged is None else judged["reason"]
    rows["verdict"] = said if judged is None else f"{judged['outcome']}: {said}"
    return rows, results


def _evaluated(run: Run) -> Iterator[tuple[str, float, int]]:
    """Yield each way to act with its mean return and the number of episodes."""
    file = run.path / "evaluation.json"
    played = read_json(file, cure="evaluate it again") if file.is_file() else {}
    for way, key in RETURNS.items():
        if played.get(key):
            yield way, float(np.mean(played[key])), len(played[key])


def _result(run: Run, metric: str, value: float) -> EvalResult:
    return EvalResult(
        task_type="reinforcement-learning",
        dataset_type=run.experiment.env,
        dataset_name=run.experiment.env,
        metric_type="mean_reward",
        metric_name=metric,
        metric_value=value,
    )


def _is_plain(file: str) -> bool:
    inside = not Path(file).is_absolute() and ".." not in Path(file).parts
    return inside and (file.endswith(SENT) or file == ".gitattributes")


def _refused(name: str, error: Exception) -> RunError:
    return RunError(
        f"the hub refuses {name!r}: {error}".split("\n")[0],
        cure="check the name (user/name) and the network, and set HF_TOKEN to a token that may",
    )
