"""Write the table of docs/faults.md: each fault is made to happen, and each row says what was seen.

    python tools/faults.py            # takes half a minute
    python tools/faults.py --check    # fails where the table is another one now

The tests run each row again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.engines.resuming import Commands, commands  # noqa: E402
from tests.faults import HEAD, PAGE, Harness, rows, table_of  # noqa: E402


def table() -> str:
    """Return the table as it is now."""
    with ExitStack() as closing:
        made: list[Commands] = []

        def first() -> Commands:
            if not made:
                made.append(closing.enter_context(commands()))
            return made[0]

        folder = closing.enter_context(tempfile.TemporaryDirectory())
        harness = Harness(Path(folder), first)
        return HEAD + "".join(f"{harness.row(*pair)}\n" for pair in rows())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--check", action="store_true", help="only say whether it is up to date")
    checks = options.parse_args().check
    text, now = PAGE.read_text(encoding="utf-8"), table()
    if checks:
        sys.exit(table_of(text) != now)
    PAGE.write_text(text.replace(table_of(text), now), encoding="utf-8")


if __name__ == "__main__":
    main()
