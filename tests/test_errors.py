from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable, Iterator

import pytest

# Imported for its error: a subclass of another module is walked like the others.
import dragoman.engines.tuning  # noqa: F401
from dragoman.errors import LONGEST, ConfigError, DragomanError, MissingExtraError


def subclasses(kind: type[DragomanError]) -> Iterator[type[DragomanError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from subclasses(below)


def made(kind: type[DragomanError]) -> DragomanError:
    if issubclass(kind, MissingExtraError):
        return kind("gguf", extra="gguf", note="98 MB")
    return kind("x is 3, but must be 4", cure="set x to 4")


@pytest.mark.parametrize("kind", list(subclasses(DragomanError)), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_every_error_survives_a_copy(
    kind: type[DragomanError], copied: Callable[[DragomanError], DragomanError]
) -> None:
    error = made(kind)
    error.add_note("in worker 2")
    again = copied(error)
    assert type(again) is kind
    assert str(again) == str(error)
    assert (again.problem, again.cure) == (error.problem, error.cure)
    assert again.__notes__ == ["in worker 2"]


def refuse(x: int) -> None:
    raise ConfigError(f"x is {x}, but must be 4", cure="set x to 4")


def test_a_process_pool_reports_the_error_of_its_worker() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        asked = pool.apply_async(refuse, (3,))
        with pytest.raises(ConfigError, match="x is 3, but must be 4") as result:
            asked.get(timeout=60)
    assert result.value.cure == "set x to 4"


def test_a_very_long_value_is_named_by_its_ends() -> None:
    error = ConfigError(f"env is {'a' * 10**6}, which is too long", cure="b" * 10**6)
    assert len(str(error)) < 2 * LONGEST
    assert error.problem.startswith("env is aaa")
    assert error.problem.endswith("a, which is too long")
    assert ConfigError("x" * LONGEST, cure="y").problem == "x" * LONGEST
