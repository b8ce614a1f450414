"""Trainings whose texts a server writes, with the adapters that are trained here."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dragoman.agents.evaluate import evaluate
from dragoman.engines.served import ServerWatch
from dragoman.engines.state import given, taken
from dragoman.engines.train import train
from dragoman.engines.watcher import Rollout, Training, Watcher
from dragoman.errors import BudgetError, ConfigError, DragomanError, ModelError
from dragoman.experiment import Experiment
from dragoman.generation import Sampling
from dragoman.models.remote import Connection, RemoteModel
from dragoman.models.tuned import TunedModel
from dragoman.roles.act.served import ServedWriter
from dragoman.roles.act.stamps import ServerWarning
from dragoman.run import Run
from dragoman.run.checkpoint import read_checkpoint
from tests.engines.resuming import Commands, assert_same, killed_and_resumed, stopped
from tests.models import tiny
from tests.models.remote.adapter_server import AdapterServer
from tests.writing import experiment


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tiny.save("llama", tmp_path_factory.mktemp("tiny") / "llama")
    return {"name": str(folder), "dtype": "float32", "threads": 1}


@pytest.fixture
def server() -> Iterator[AdapterServer]:
    with AdapterServer() as made:
        yield made


def writing(llama: dict[str, Any], **more: Any) -> Experiment:
    """Return an experiment of three rollouts of 16 texts."""
    settings = {"n_steps": 4, "batch_size": 16, "n_epochs": 2}
    return experiment(constrain="none", max_tokens=2).replaced(
        {
            "model": llama,
            "num_envs": 4,
            "steps": 48,
            **{f"algorithm.settings.{key}": value for key, value in settings.items()},
            **more,
        }
    )


def served(what: Experiment, server: AdapterServer, folder: Path, **more: Any) -> Experiment:
    """Return the same experiment, with texts that a server writes."""
    own = {"name": "tiny", "server": server.url, "adapters": str(folder / "adapters")}
    return what.replaced({"act.writer": {**own, "retries": 1, "concurrency": 32, **more}})


class Rows(Watcher):
    """Keeps the rollouts."""

    def __init__(self) -> None:
        self.kept: list[Rollout] = []

    def rollout(self, training: Training, rollout: Rollout | None) -> None:
        assert rollout is not None
        stamps = [None if one is None else one.copy() for one in (rollout.versions, rollout.gaps)]
        self.kept.append(Rollout(rollout.actions.copy(), None, *stamps))


WAYS: dict[str, dict[str, Any]] = {
    "critic": {"act.think": 2, "act.ratio": "token"},
    "groups": {
        "credit": {"use": "grpo", "copies": 2},
        "env_settings.length": 2,
        "max_episode_steps": 3,
        "act.invalid": "penalty",
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_server_writes_what_would_be_written_here(
    way: str, llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    here, there = Rows(), Rows()
    what = writing(llama, **WAYS[way])
    local = train(what, out=tmp_path / "here", watchers=[here])
    run = train(served(what, server, tmp_path), out=tmp_path / "there", watchers=[there])
    assert len(there.kept) >= 3
    rows = run.metrics()
    for row, ours, theirs in zip(rows, here.kept, there.kept, strict=True):
        np.testing.assert_array_equal(theirs.actions, ours.actions)
        assert theirs.versions is not None
        assert theirs.gaps is not None
        assert theirs.versions.shape == theirs.gaps.shape == theirs.actions.shape[:2]
        assert (theirs.versions == row["server/version"]).all()
        assert theirs.gaps.max() < 1e-4
        assert ours.versions is None
    assert run.episodes() == local.episodes()
    for name, weight in local.weights().items():
        np.testing.assert_allclose(run.weights()[name], weight, atol=1e-5)
    updates = [row["train/first_ratio"] for row in rows if "train/first_ratio" in row]
    assert rows[-1]["server/version"] == len(updates) > 0
    assert {row["server/age_0"] for row in rows} == {1.0}
    assert max(row["server/log_prob_gap"] for row in rows) < 1e-4
    assert max(abs(ratio - 1) for ratio in updates) < 1e-4
    # Each version had a name of its own, and none of them is left.
    assert len(server.loaded) == len(set(server.loaded)) == 1 + len(updates)
    assert (server.held, list((tmp_path / "adapters").iterdir())) == ({}, [])


def test_a_toy_is_learnt_through_a_server(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    settings = {"n_steps": 1, "batch_size": 32, "n_epochs": 4}
    what = writing(
        llama,
        num_envs=32,
        steps=480,
        **{"act.max_tokens": 1, "act.invalid": "end", "act.tune.learning_rate": 0.05},
        **{f"algorithm.settings.{key}": value for key, value in settings.items()},
    )
    run = train(served(what, server, tmp_path), out=tmp_path / "run")
    returns = [episode["return"] for episode in run.episodes()]
    assert np.mean(returns[:96]) < 0.3
    assert np.mean(returns[-96:]) > 0.45
    assert run.last_metrics()["server/log_prob_gap"] < 1e-4
    # A run is played without the server.
    asked = len(server.bodies)
    assert evaluate(run, 40, sampled=True).mean > 0.35
    assert len(server.bodies) == asked


def test_an_old_adapter_under_a_new_name_is_found(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    server.stale = True
    with pytest.warns(ServerWarning, match="after 32 steps, the server's log-probs are"):
        run = train(served(writing(llama), server, tmp_path), out=tmp_path / "run")
    first, *later = [row["server/log_prob_gap"] for row in run.metrics()]
    assert first < 1e-4
    assert min(later) > 0.01


def test_rows_of_an_older_version_are_stamped_as_such(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    def older(answer: Any) -> Any:
        # One answer of four is the first version's, and says so.
        calls[0] += 1
        return {**answer, "model": server.loaded[0] if calls[0] % 4 == 0 else answer["model"]}

    calls, rows = [0], Rows()
    server.change = older
    run = train(served(writing(llama), server, tmp_path), out=tmp_path / "run", watchers=[rows])
    assert run.last_metrics()["server/age_2"] == pytest.approx(0.25)
    assert run.last_metrics()["server/age_0"] == pytest.approx(0.75)
    last = rows.kept[-1].versions
    assert last is not None
    assert sorted(np.unique(last, return_counts=True)[1].tolist()) == [4, 12]


@pytest.mark.slow
def test_a_killed_training_goes_on_with_an_adapter_of_its_own(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path, by: Commands
) -> None:
    what = writing(llama, steps=160, checkpoint=16, max_episode_steps=1)
    straight = train(served(what, server, tmp_path), 3, out=tmp_path / "straight")
    before = len(server.loaded)
    draws = random.Random(1)
    run = killed_and_resumed(straight, tmp_path, 1, by, draws)
    assert_same(straight, run)
    names = server.loaded[before:]
    assert len(names) == len(set(names))
    assert len({name.rpartition("-")[0] for name in names}) == 2
    # What was killed could not tidy up, and nobody else loads what it has left.
    assert len(server.held) == len(list((tmp_path / "adapters").iterdir())) <= 1


def test_a_stopped_training_leaves_no_adapter(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    what = served(writing(llama, checkpoint=16, max_episode_steps=1), server, tmp_path)
    straight = train(what, 3, out=tmp_path / "straight")
    run = stopped(what, 40, tmp_path / "run")
    assert (server.held, list((tmp_path / "adapters").iterdir())) == ({}, [])
    found = read_checkpoint(run.path)
    assert found is not None
    (spend,) = found.state["spends"]  # which the cap goes on from
    assert spend["prompt_tokens"] > 0
    loaded = len(server.loaded)
    assert_same(straight, train(resume=run))
    assert len(set(server.loaded)) == len(server.loaded) > loaded


def test_after_a_time_out_the_answer_is_that_of_the_new_request(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    what = writing(llama, steps=32)
    straight = train(what, out=tmp_path / "straight")

    class Stalls(Watcher):
        def step(self, training: Training, infos: Any) -> None:
            server.faults += ["stall"] if training.steps == 20 else []

    run = train(
        served(what, server, tmp_path, timeout=2), out=tmp_path / "run", watchers=[Stalls()]
    )
    assert run.episodes() == straight.episodes()
    for name, weight in straight.weights().items():
        np.testing.assert_allclose(run.weights()[name], weight, atol=1e-5)


def without(*keys: str) -> Callable[[Any], Any]:
    """Return what takes keys out of the choice of an answer."""

    def change(answer: Any) -> Any:
        (choice,) = answer["choices"]
        return {**answer, "choices": [{k: v for k, v in choice.items() if k not in keys}]}

    return change


def refusing(server: AdapterServer) -> None:
    server.loads = False


def changing(change: Callable[[Any], Any]) -> Callable[[AdapterServer], None]:
    return lambda server: setattr(server, "change", change)


UNABLE: dict[str, tuple[Callable[[AdapterServer], None], str, str]] = {
    "no hot swap": (refusing, "status 404", "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
    "no ids": (changing(without("token_ids")), "gave no token ids and 1 log-probs", "return_token"),
    "no log-probs": (changing(without("logprobs")), "gave 1 token ids and no log-probs", "vLLM"),
    "no name": (changing(lambda one: {**one, "model": "tiny"}), "model 'tiny'", "no proxy"),
}


@pytest.mark.parametrize("case", UNABLE)
def test_a_server_that_cannot_is_refused_before_anything_begins(
    case: str, llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    make, problem, cure = UNABLE[case]
    make(server)
    with pytest.raises(ModelError, match=problem) as caught:
        train(served(writing(llama), server, tmp_path), out=tmp_path / "run")
    assert cure in caught.value.cure
    assert not (tmp_path / "run").exists()
    assert (server.held, list((tmp_path / "adapters").iterdir())) == ({}, [])


def test_tokens_of_a_run_are_capped_and_counted(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    run = train(served(writing(llama, steps=16), server, tmp_path), out=tmp_path / "run")
    read = sum(len(body["prompt"]) for body in server.bodies if "prompt" in body)
    assert run.last_metrics()["model/tokens"] > read
    with pytest.raises(BudgetError, match="could exceed the budget"):
        train(served(writing(llama), server, tmp_path, tokens=read), out=tmp_path / "capped")
    assert Run(tmp_path / "capped").steps > 0
    assert (server.held, list((tmp_path / "adapters").iterdir())) == ({}, [])


@pytest.fixture
def writer(server: AdapterServer, tmp_path: Path) -> Iterator[ServedWriter]:
    quick = Connection(timeout=5, retries=1, backoff=0)
    with RemoteModel("tiny", server.url, connection=quick) as remote:
        made = ServedWriter(TunedModel(tiny.make("llama")), remote, tmp_path / "adapters", None)
        made.publish(0)
        yield made
        made.close()


def writes(ids: list[int]) -> Callable[[Any], Any]:
    def change(answer: Any) -> Any:
        (choice,) = answer["choices"]
        log_probs = {"tokens": [""] * len(ids), "token_logprobs": [-1.0] * len(ids)}
        return {**answer, "choices": [{**choice, "token_ids": ids, "logprobs": log_probs}]}

    return change


@pytest.mark.parametrize("case", ["unknown", "cut", "goes on", "goes on behind a line", "too long"])
def test_what_this_model_could_not_have_written_is_refused(
    case: str, writer: ServedWriter, server: AdapterServer
) -> None:
    model = tiny.make("llama")
    ((line,), (end,)) = model.bare_ids("\n"), model.end_tokens
    ids = {
        "unknown": [5, 10_000, 6],
        "cut": [5, 6],
        "goes on": [end, 5, 6],
        "goes on behind a line": [line, 5, 6],
        "too long": [5, 6, 7, 8],
    }[case]
    server.change = writes(ids)
    draw = Sampling(3, temperature=1.0, stop=("\n",))
    with pytest.raises(ModelError, match="the server wrote") as caught:
        writer.write([(5, 6)], draw, [0])
    assert "hold the model that is trained here" in caught.value.cure
    for whole in ([5, end], [5, line], [5, 6, 7]):
        server.change = writes(whole)
        assert writer.write([(5, 6)], draw, [0])[0].tokens == tuple(whole)


def test_a_server_that_has_forgotten_an_adapter_is_told_of(
    writer: ServedWriter, server: AdapterServer, tmp_path: Path
) -> None:
    server.held.clear()
    with pytest.warns(ServerWarning, match="may stay on the server"):
        writer.publish(1)
    assert writer.version == 1
    assert len(list((tmp_path / "adapters").iterdir())) == 1


def test_a_command_is_not_given_twice_where_it_may_have_been_carried_out(
    server: AdapterServer, tmp_path: Path
) -> None:
    quick = Connection(timeout=5, retries=2, backoff=0)
    with RemoteModel("tiny", server.url, connection=quick) as remote:
        for fault, times in (("status 503 in HTML", 3), ("cut", 1)):
            server.faults, asked = [fault] * 3, len(server.paths)
            with pytest.raises(ModelError):
                remote.load_adapter("new", tmp_path)
            assert server.paths[asked:] == ["/v1/load_lora_adapter"] * times
        assert remote.spend.tokens == 0


WRITER = {"name": "tiny", "server": "http://127.0.0.1:1/v1", "adapters": "somewhere"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"act.writer": "tiny"}, "no server"),
        ({"act.writer": {**WRITER, "adapters": None}}, "no adapters"),
        ({"act.constrain": "texts"}, "constrain 'texts'"),
        ({"act.constrain": "grammar", "act.grammar": {"regex": "[a-z]"}}, "constrain 'grammar'"),
        ({"act.tune.how": "full"}, "act.tune.how is 'full'"),
        ({"model.weights": "random"}, "model.weights is 'random'"),
        ({"act.writer": None, "model.adapters": "x"}, "no weights|adapters is set"),
    ],
)
def test_settings_that_cannot_be_served_are_refused(changes: dict[str, Any], problem: str) -> None:
    fine = experiment(constrain="none", writer=WRITER)
    assert Experiment.from_dict(fine.to_dict()) == fine
    with pytest.raises(ConfigError, match=problem):
        fine.replaced(changes)


def test_controls_change_the_model_and_so_write_for_themselves() -> None:
    fine = experiment(constrain="none", writer=WRITER)
    assert fine.act is not None
    assert {control.name for control in fine.act.controls} == {"random-weights", "shuffled-texts"}
    for control in fine.act.controls:
        changed = fine.replaced(control.overrides)
        assert changed.act is not None
        assert changed.act.writer is None


def test_a_folder_that_cannot_be_written_is_told(
    llama: dict[str, Any], server: AdapterServer, tmp_path: Path
) -> None:
    (tmp_path / "adapters").write_text("a file")
    with pytest.raises(DragomanError, match="cannot be written"):
        train(served(writing(llama), server, tmp_path), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Told:
    """A training of which a watcher sees no more than rows."""

    steps = 64

    def __init__(self) -> None:
        self.row: dict[str, Any] = {"server/version": 3}

    def record(self, name: str, value: Any) -> None:
        self.row[name] = value


def told(watch: ServerWatch, gap: float, versions: list[int]) -> dict[str, Any]:
    """Return the columns after a rollout whose rows have this gap."""
    training: Any = Told()
    stamps = np.array([versions]), np.full((1, len(versions)), gap, np.float32)
    watch.rollout(training, Rollout(np.zeros((1, len(versions))), None, *stamps))
    return {name: value for name, value in training.row.items() if name != "server/version"}


@pytest.mark.parametrize(
    ("first", "fine", "much"), [(1e-6, 0.009, 0.011), (0.02, 0.07, 0.09), (0.06, 0.09, 0.11)]
)
def test_what_numerics_explain_is_not_worth_a_word(first: float, fine: float, much: float) -> None:
    watch = ServerWatch()
    for gap in (first, fine):
        row = told(watch, gap, [3, 3, 1, 3])
        assert row.pop("server/log_prob_gap") == pytest.approx(gap)
        assert row == {"server/age_0": 0.75, "server/age_2": 0.25}
    again = ServerWatch()  # of a resumed training
    given(again, taken(watch))
    for one in (watch, again):
        with pytest.warns(ServerWarning, match="they were"):
            told(one, much, [3])
    told(watch, much, [3])  # once is enough


def test_another_model_is_found_at_once() -> None:
    with pytest.warns(ServerWarning, match=r"are 0\.3 nats a token .* more than 0\.1"):
        told(ServerWatch(), 0.3, [3])
