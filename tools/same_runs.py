"""Train a fixed set of short runs, and say whether two versions of Dragoman give equal numbers.

    python tools/same_runs.py --against HEAD    # this tree against a commit, to the last digit
    python tools/same_runs.py --write runs.json # only train, and write down what came out

Each run of the set is one algorithm, policy or reward, with a tiny random model that is made on
the spot. What is compared are metrics (without clocks), episodes, what rewards were fitted
to, evaluated returns and a digest of the saved tensors without their names, which may change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
LAKE = {"env": "FrozenLake-v1", "max_episode_steps": 20}
HOUSE = {
    "env": "dragoman/TidyHouse-v0",
    "env_settings": {"num_objects": 1},
    "describe": {"observation": "Task: tidy the house."},
}
PPO = {"name": "ppo", "network": [8], "settings": {"n_steps": 8, "batch_size": 16, "n_epochs": 2}}
LORA = {
    "how": "lora",
    "top": 1,
    "rank": 2,
    "learning_rate": 0.01,
    "warm_up": 0,
    "max_action": 64,
    "max_prompt": 512,
}
TEXT = {"pooling": ["last"]}


def off_policy(name: str) -> dict[str, Any]:
    return {"name": name, "network": [8], "settings": {"learning_starts": 16, "batch_size": 16}}


def shaped(use: str, **settings: Any) -> dict[str, Any]:
    return {**LAKE, "observe": None, "reward": {"use": use, **settings}}


RUNS: dict[str, dict[str, Any]] = {
    # Every algorithm, with raw observations and with the model's.
    "ppo raw": {"env": "CartPole-v1", "observe": None},
    "ppo observe": {"env": "CartPole-v1"},
    "ppo observe history": {**LAKE, "describe": {"goal": "find the gift", "history": 2}},
    "ppo observe raw layer": {"env": "CartPole-v1", "observe": {"layer": 1, "raw": True}},
    "a2c observe": {
        **LAKE,
        "algorithm": {"name": "a2c", "network": [8], "settings": {"n_steps": 8}},
    },
    "dqn raw": {"env": "CartPole-v1", "observe": None, "algorithm": off_policy("dqn")},
    "dqn observe": {**LAKE, "algorithm": off_policy("dqn")},
    "sac observe": {"env": "Pendulum-v1", "algorithm": off_policy("sac")},
    "td3 raw": {"env": "Pendulum-v1", "observe": None, "algorithm": off_policy("td3")},
    # Every policy over named actions, frozen and trained.
    "head": {**HOUSE, "act": {"policy": "head"}},
    "match": {**HOUSE, "act": {"policy": "match"}},
    "match dot raw": {**HOUSE, "observe": TEXT, "act": {"policy": "match", "interaction": "dot"}},
    "score": {**HOUSE, "act": {"policy": "score", "domain": "Next:", "normalisation": "sum"}},
    "hybrid": {**LAKE, "act": {"policy": "hybrid", "base": "match", "weight": 0.5}},
    "match lora": {**HOUSE, "observe": TEXT, "act": {"policy": "match", "tune": LORA}},
    "score lora": {**HOUSE, "observe": TEXT, "act": {"policy": "score", "tune": LORA}},
    "score full": {
        **LAKE,
        "observe": TEXT,
        "act": {"policy": "score", "tune": {**LORA, "how": "full"}},
    },
    "hybrid lora": {**LAKE, "observe": TEXT, "act": {"policy": "hybrid", "tune": LORA}},
    # Every reward.
    "similarity": shaped("goal-similarity", goal="row 3, column 3", rescale=True),
    "similarity bonus": shaped("goal-similarity", goal="row 3, column 3", shaping="bonus"),
    "judge": shaped("judge", question="Is this good?"),
    "preferences": shaped(
        "preferences", question="Which is nearer?", pairs=8, rollout_steps=40, epochs=3
    ),
    "critique": shaped("critique", max_tokens=64, critique_length=8),
    "written": {
        "env": "CartPole-v1",
        "observe": None,
        "reward": {"use": "written", "function": "potential"},
    },
    "similarity observe score": {
        **LAKE,
        "act": {"policy": "score"},
        "reward": {"use": "goal-similarity", "goal": "row 3, column 3"},
    },
    "constant": shaped("goal-similarity", goal="row 3", placebo="constant"),
    "noise": shaped("goal-similarity", goal="row 3", placebo="noise"),
}


PROGRAM = """
def potential(state):
    return 1.0 - abs(state["pole_angle"]) * 2.0
"""


def tiny_model(folder: Path) -> str:
    """Make a Llama of two small blocks with random weights, and return its path."""
    import torch
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    end = "<|endoftext|>"
    tokenizer.train_from_iterator(
        ["row 0, column 1 of 4 rows and 4 columns; put the cup in the kitchen"] * 3,
        trainers.BpeTrainer(vocab_size=320, special_tokens=[end], initial_alphabet=alphabet),
    )
    names = dict.fromkeys(("eos_token", "bos_token", "pad_token"), end)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = transformers.LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return str(folder)


def digest(weights: dict[str, Any]) -> str:
    """Return a digest of tensors that does not depend on their names."""
    rows = sorted(
        hashlib.sha256(f"{array.dtype} {array.shape}".encode() + array.tobytes()).hexdigest()
        for array in map(np.ascontiguousarray, weights.values())
    )
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def train_all(only: str) -> dict[str, Any]:
    """Train every run whose name holds a word, and return what came of each."""
    import torch

    import dragoman

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = tiny_model(Path(folder, "model"))
        program = Path(folder, "potential.py")
        program.write_text(PROGRAM)
        for name, settings in RUNS.items():
            if only not in name:
                continue
            base = {"steps": 64, "num_envs": 2, "algorithm": PPO}
            model = {"name": path, "dtype": "float32", "threads": 1, "disk_cache": False}
            if name == "written":
                settings = {**settings, "reward": {**settings["reward"], "program": str(program)}}
            experiment = dragoman.Experiment.from_dict({**base, "model": model, **settings})
            run = dragoman.train(experiment, seed=3, out=Path(folder, name.replace(" ", "-")))
            result[name] = {
                "metrics": [without_clock(row) for row in run.metrics()],
                "episodes": run.episodes(),
                # Files are named by the folder of the moment.
                "rewards": json.loads(json.dumps(run.rewards()).replace(folder, "")),
                "evaluated": list(dragoman.evaluate(run, 3, seed=1).returns),
                "weights": digest(run.weights()),
            }
            print(name, result[name]["weights"][:12], result[name]["evaluated"], flush=True)
    return result


def without_clock(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.startswith("time/")}


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Return the places at which two nested values differ, NaN being equal to itself."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = list(dict.fromkeys((*ours, *theirs)))
        pairs = [(f"{where}/{key}", ours.get(key), theirs.get(key)) for key in keys]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [(f"{where}/{i}", *pair) for i, pair in enumerate(zip(ours, theirs, strict=True))]
    else:
        return [] if repr(ours) == repr(theirs) else [f"{where}: {ours!r} was {theirs!r}"]
    return [row for name, one, other in pairs for row in differences(one, other, name)]


def train_in(tree: Path, out: Path, only: str) -> dict[str, Any]:
    """Train the set with the sources of a tree, in a process of its own."""
    command = [sys.executable, __file__, "--write", str(out), "--only", only]
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True)
    result: dict[str, Any] = json.loads(out.read_text())
    return result


@contextmanager
def source_at(revision: str) -> Iterator[Path]:
    """Give the source tree of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def compare(revision: str, only: str) -> int:
    """Train the set here and at another commit; print what differs and return how much."""
    with tempfile.TemporaryDirectory() as folder, source_at(revision) as tree:
        theirs = train_in(tree, Path(folder, "theirs.json"), only)
        ours = train_in(ROOT, Path(folder, "ours.json"), only)
    result = differences(ours, theirs)
    print(*result, sep="\n")
    print(f"{len(ours)} runs, {len(result)} differences from {revision}")
    return len(result)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--against", metavar="REVISION", help="compare with this commit")
    options.add_argument("--write", type=Path, metavar="FILE", help="write what came out")
    options.add_argument("--only", default="", help="only runs whose name holds this")
    chosen = options.parse_args()
    if chosen.against:
        sys.exit(bool(compare(chosen.against, chosen.only)))
    text = json.dumps(train_all(chosen.only), indent=1)
    print(text) if chosen.write is None else chosen.write.write_text(text)


if __name__ == "__main__":
    main()
