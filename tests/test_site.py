"""The documentation site is built from the pages as they are, and no link of it leads nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import dragoman

ROOT = Path(__file__).parent.parent


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="needs the extra 'docs'")
    options = ["--quiet", "--fail-on-warning", "--fresh-env", "-c", "docs/site"]
    build = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, ".", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr
    reference = (tmp_path / "docs/reference.html").read_text()
    assert all(f"dragoman.{name}" in reference for name in dragoman.__all__)
    assert "Quickstart" in (tmp_path / "docs/index.html").read_text()
    assert "docs/glossary" in (tmp_path / "llms.txt").read_text()
