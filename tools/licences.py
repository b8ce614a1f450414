"""Write the licences of everything that Dragoman needs, by extra, into docs/licences.md.

    python tools/licences.py            # from what is installed in this environment
    python tools/licences.py --check    # fails where the page is out of date

What an extra needs is followed through the metadata of installed packages. Those that are not
installed here are named as such, so install all extras first.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """# Licences of what is needed

Written by `python tools/licences.py` from the packages' own metadata; no legal advice. Each extra
lists what it adds to `pip install dragoman`. Copyleft licences are in **bold**: read them before
you ship a product with that extra.
"""
COPYLEFT = ("GPL", "GNU", "MPL", "Mozilla", "EUPL", "CC-BY-SA")
LONGEST = 60


def licence_of(package: str) -> str:
    """Return what the metadata of a package says of its licence, in few words."""
    data = importlib.metadata.metadata(package)
    said = data.get("License-Expression")
    classified = [
        line.rpartition(" :: ")[2]
        for line in data.get_all("Classifier") or ()
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    first = (data.get("License") or "").strip().split("\n")[0]
    text = said or " / ".join(classified) or (first if len(first) <= LONGEST else "") or "not said"
    return f"**{text}**" if any(word in text for word in COPYLEFT) else text


def needs(package: str, extra: str = "") -> Iterator[Requirement]:
    """Yield what a package needs, with one of its extras."""
    for line in importlib.metadata.requires(package) or ():
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            yield needed


def tree(package: str, extra: str = "") -> dict[str, bool]:
    """Return all packages below one, by whether they are installed."""
    found: dict[str, bool] = {}
    waiting = list(needs(package, extra))
    while waiting:
        needed = waiting.pop()
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name in found:
            continue
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = False
            continue
        found[name] = True
        for own in ("", *needed.extras):
            waiting += needs(name, own)
    return found


def extras_of(package: str) -> list[str]:
    """Return the names of a package's extras."""
    return sorted(importlib.metadata.metadata(package).get_all("Provides-Extra") or ())


def page() -> str:
    """Return the page."""
    base = tree("dragoman")
    parts = [HEAD, *_table("Without extras", base)]
    for extra in extras_of("dragoman"):
        own = {n: there for n, there in tree("dragoman", extra).items() if n not in base}
        parts += _table(f"dragoman[{extra}]", own)
    return "\n".join(parts) + "\n"


def _table(title: str, packages: dict[str, bool]) -> list[str]:
    rows = [
        f"| {name} | {licence_of(name) if there else 'not installed where this was written'} |"
        for name, there in sorted(packages.items())
    ]
    return [f"## {title}", "", "| package | licence |", "|---|---|", *rows, ""]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--check", action="store_true", help="only say whether it is up to date")
    if options.parse_args().check:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
