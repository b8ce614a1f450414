from __future__ import annotations

from collections.abc import Sequence

from dragoman.roles.explore.recent import Recent


def test_each_key_is_computed_once_and_all_are_forgotten_where_there_are_too_many() -> None:
    recent, asked = Recent[str, int](3), []

    def lengths(keys: list[str]) -> list[int]:
        def compute(places: Sequence[int]) -> list[int]:
            asked.append([keys[i] for i in places])
            return [len(keys[i]) for i in places]

        return recent(keys, compute)

    assert lengths(["a", "bb", "a"]) == [1, 2, 1]
    assert lengths(["bb", "ccc"]) == [2, 3]
    assert lengths([]) == []
    assert lengths(["ccc", "dddd"]) == [3, 4]  # four would be too many
    recent.forget()
    assert lengths(["dddd"]) == [4]
    assert asked == [["a", "bb"], ["ccc"], ["ccc", "dddd"], ["dddd"]]
