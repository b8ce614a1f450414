"""Trainings that are killed and resumed, and what a straight one gives."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dragoman.engines.train import train
from dragoman.engines.watcher import Stop, Training, Watcher
from dragoman.experiment import Experiment
from dragoman.run import Run

LAKE = {"env": "FrozenLake-v1", "max_episode_steps": 10}
PPO = {"name": "ppo", "network": [8], "settings": {"n_steps": 8, "batch_size": 16, "n_epochs": 2}}
OFF = {"network": [8], "settings": {"learning_starts": 16, "batch_size": 16}}
LORA = {"how": "lora", "top": 1, "rank": 2, "learning_rate": 0.01, "warm_up": 3}
TUNE = {**LORA, "max_action": 64, "max_prompt": 256}
ACT = {"observe": {"pooling": ["last"]}, "act": {"policy": "score", "tune": TUNE}}

CASES: dict[str, dict[str, Any]] = {
    "ppo words": {"env": "CartPole-v1", "observe": {"model": "words"}, "algorithm": PPO},
    "dqn": {
        "env": "CartPole-v1",
        "observe": None,
        "algorithm": {
            "name": "dqn",
            "network": [8],
            # Rows of the buffer that follow one another are one episode here.
            "settings": {**OFF["settings"], "buffer_size": 300, "n_steps": 3, "tau": 0.5},
        },
    },
    "recurrent": {
        "env": "CartPole-v1",
        "observe": {"model": "words"},
        "algorithm": {**PPO, "name": "recurrent-ppo"},
    },
    "ppo lora": {**LAKE, **ACT, "algorithm": PPO},
    "credit": {
        **LAKE,
        "observe": None,
        "credit": {"use": "gigpo", "copies": 2},
        "algorithm": PPO,
    },
    "reward": {
        **LAKE,
        "observe": None,
        "reward": {"use": "goal-similarity", "goal": "row 3, column 3", "rescale": True},
        "algorithm": PPO,
    },
    "explore": {
        **LAKE,
        "observe": None,
        "explore": {"method": "noveld", "placebo": "noise"},
        "algorithm": PPO,
    },
    "goals": {
        **LAKE,
        "observe": None,
        "explore": {"method": "goals", "goals": {"given": ["row 1", "column 2"], "threshold": 0.5}},
        "algorithm": PPO,
    },
    "guide kl": {**LAKE, "observe": None, "guide": {"use": "kl", "weight": 0.5}, "algorithm": PPO},
    "guide mixture": {**LAKE, "observe": None, "guide": {"use": "mixture", "weight": 0.5}},
    "guide values": {
        **LAKE,
        "observe": None,
        "guide": {"use": "values", "weight": 0.5},
        "algorithm": {**OFF, "name": "dqn"},
    },
}
SLOW_CASES: dict[str, dict[str, Any]] = {
    "sac": {
        "env": "Pendulum-v1",
        "max_episode_steps": 10,
        "algorithm": {**OFF, "name": "sac"},
        "observe": None,
    },
    "td3": {
        "env": "Pendulum-v1",
        "max_episode_steps": 10,
        "algorithm": {**OFF, "name": "td3"},
        "observe": {"raw": True},
    },
    "a2c observe": {
        **LAKE,
        "describe": {"history": 2, "goal": "find the gift"},
        "algorithm": {"name": "a2c", "network": [8], "settings": {"n_steps": 8, "use_sde": False}},
    },
    "sde": {
        "env": "Pendulum-v1",
        "max_episode_steps": 10,
        "observe": None,
        "algorithm": {**PPO, "settings": {**PPO["settings"], "use_sde": True}},
    },
    "dqn small buffer": {
        **LAKE,
        "observe": None,
        "algorithm": {
            "name": "dqn",
            "network": [8],
            "settings": {
                **OFF["settings"],
                "buffer_size": 64,
                "optimize_memory_usage": True,
                "replay_buffer_kwargs": {"handle_timeout_termination": False},
            },
        },
    },
    "write": {
        **LAKE,
        **ACT,
        "act": {"policy": "write", "constrain": "none", "max_tokens": 2, "tune": TUNE},
        "algorithm": PPO,
    },
    "grammar": {
        **LAKE,
        **ACT,
        "act": {
            "policy": "write",
            "constrain": "grammar",
            "grammar": {"regex": "move (left|right|up|down)|[a-z]+"},
            "max_tokens": 4,
            "think": 2,
            "tune": TUNE,
        },
        "algorithm": PPO,
    },
    "match": {**LAKE, "act": {"policy": "match"}, "algorithm": PPO},
    "match lora": {**LAKE, **ACT, "act": {"policy": "match", "tune": TUNE}, "algorithm": PPO},
    "score full": {
        **LAKE,
        **ACT,
        "act": {"policy": "score", "tune": {**TUNE, "how": "full"}},
        "algorithm": PPO,
    },
    "judge": {**LAKE, "observe": None, "reward": {"use": "judge", "question": "Good?"}},
    "critique": {
        **LAKE,
        "observe": None,
        "reward": {"use": "critique", "max_tokens": 64, "critique_length": 8},
    },
    "preferences": {
        **LAKE,
        "observe": None,
        "reward": {
            "use": "preferences",
            "question": "Which?",
            "pairs": 8,
            "rollout_steps": 40,
            "epochs": 3,
        },
    },
    **{
        f"explore {method}": {**LAKE, "observe": None, "explore": method}
        for method in ("e3b", "rnd", "neighbours", "counts")
    },
}


def experiment(case: str, model: Path, steps: int = 240) -> Experiment:
    """Return a small experiment with a checkpoint every so often."""
    base = {
        "steps": steps,
        "num_envs": 2,
        "checkpoint": 48,
        "algorithm": PPO,
        "model": {"name": str(model), "threads": 1, "dtype": "float32", "disk_cache": False},
    }
    own = {**CASES, **SLOW_CASES}[case]
    return Experiment.from_dict({**base, **own})


class StopAt(Watcher):
    """Stops a training as Ctrl-C does."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def step(self, training: Training, infos: Any) -> Stop:
        if training.steps >= self.steps:
            raise KeyboardInterrupt
        return None


def stopped(what: Experiment, steps: int, out: Path, **settings: Any) -> Run:
    """Return a run that was stopped after so many steps."""
    with contextlib.suppress(KeyboardInterrupt):
        train(what, 3, out=out, watchers=[StopAt(steps)], **settings)
    return Run(out)


def without_clock(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of the metrics that two runs may share."""
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def assert_same(straight: Run, resumed: Run) -> None:
    """Compare all that a training leaves, to the last bit."""
    assert without_clock(resumed.metrics()) == without_clock(straight.metrics())
    assert resumed.episodes() == straight.episodes()
    assert resumed.critiques() == straight.critiques()
    assert len(straight.episodes()) > 4
    ours, theirs = resumed.weights(), straight.weights()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor, err_msg=name)
    assert resumed.status == "finished"
    assert not (resumed.path / "checkpoints").exists()


class Commands:
    """Runs ``dragoman`` in processes that can be killed, of which each is there at once.

    One process has loaded the libraries, and copies itself for each command.
    """

    def __init__(self) -> None:
        source = (
            "import os, sys, shlex\n"
            "import dragoman.cli, dragoman.engines.train, dragoman.engines.progress\n"
            "import dragoman.engines.sb3.algorithms, torch._dynamo, torch.utils.tensorboard\n"
            "import dragoman.engines.sb3.training, dragoman.models.tuned, peft\n"
            "import dragoman.models.torch_model, dragoman.roles.reward.rewarder\n"
            "import transformers.models.gpt2.modeling_gpt2, transformers.models.gpt2\n"
            "for line in sys.stdin:\n"
            "    child = os.fork()\n"
            "    if not child:\n"
            "        sys.argv = ['dragoman', *shlex.split(line)]\n"
            "        os._exit(dragoman.cli.main() or 0)\n"
            "    print(child, flush=True)\n"
            "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, command: str) -> int:
        """Start a command, and return the number of its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._line())

    def code(self) -> int:
        """Wait for the end of the command, and return its exit code."""
        return int(self._line())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.strip().lstrip("-").isdigit():
                return line
        raise AssertionError("the process has ended")


@contextlib.contextmanager
def commands() -> Iterator[Commands]:
    """Give `Commands`, and end them."""
    made = Commands()
    try:
        yield made
    finally:
        made.close()


def killed_and_resumed(
    straight: Run,
    folder: Path,
    kills: int,
    by: Commands,
    draws: random.Random,
    options: str = "",
    tries: int = 5,
) -> Run:
    """Train as a run by the command line, kill the process at random moments, and resume it.

    Args:
        straight: The run that was never killed.
        folder: Where to put the run.
        kills: How often.
        by: Runs the commands.
        draws: Chooses the moments.
        options: Of the command that begins it.
        tries: So often it begins anew where a process has ended before it could be killed.
    """
    file, out = folder / "experiment.yaml", folder / "killed"
    file.write_text(straight.experiment.to_yaml())
    begin, resume = f"train {file} --seed 3 --out {out} {options}", f"train --resume {out}"
    # Not in the last fifth: starting the kill takes some time too.
    rows, most = out / "episodes.jsonl", 0.8 * len(straight.episodes())
    for number in range(kills):
        process = by.start(resume if (out / "status.json").is_file() else begin)
        # As many more episodes, and then anywhere between two of them.
        wanted = (number + draws.random()) * most / kills
        while lines(rows) < wanted and Path(f"/proc/{process}/exe").exists():
            time.sleep(0.001)
        time.sleep(draws.random() * 0.01)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        if by.code() != -signal.SIGKILL:
            assert tries, f"the process has ended before kill {number + 1} in each try"
            shutil.rmtree(out)
            return killed_and_resumed(straight, folder, kills, by, draws, options, tries - 1)
    by.start(resume)
    assert by.code() == 0
    return Run(out)


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.is_file() else 0
