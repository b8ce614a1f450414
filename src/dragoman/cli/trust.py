"""``--trust-code``: the option of every verb that plays a run."""

from __future__ import annotations

from typing import Annotated

import typer

TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Run code the run names.",
    ),
]
