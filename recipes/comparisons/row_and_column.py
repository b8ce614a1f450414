"""Features of the open lake by hand, in the form of programs that models write."""


def features(state: dict[str, float]) -> dict[str, float]:
    """Return the row and the column of a square, each from 0 to 1."""
    return {"row": state["value"] // 12 / 11, "column": state["value"] % 12 / 11}
