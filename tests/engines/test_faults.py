from __future__ import annotations

import pytest

from tests.engines.resuming import Commands
from tests.faults import PAGE, Harness, rows, table_of

TABLE = table_of(PAGE.read_text("utf-8")).splitlines()[2:]


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory, by: Commands) -> Harness:
    return Harness(tmp_path_factory.mktemp("faults"), lambda: by)


def test_the_page_has_each_row_once() -> None:
    assert [tuple(line.split(" | ")[:2]) for line in TABLE] == [
        (f"| {fault}", policy) for fault, policy in rows()
    ]


@pytest.mark.parametrize("number", range(len(rows())), ids=[" ".join(row) for row in rows()])
def test_what_the_page_says_of_a_fault_is_so(number: int, harness: Harness) -> None:
    assert str(harness.row(*rows()[number])) == TABLE[number], "run tools/faults.py"
