"""Self-contained HTML pages from the templates in this package."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from importlib import metadata
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

_NORMAL = [
    (107, 114, 128),  # black, and so on in the order of the terminal
    (208, 59, 59),
    (46, 143, 79),
    (160, 120, 0),
    (59, 125, 214),
    (176, 79, 184),
    (26, 140, 146),
    (138, 148, 158),
]
_TERMINAL = TerminalTheme((253, 253, 251), (29, 33, 38), _NORMAL, _NORMAL)
"""Colours of the terminal that can be read on light and on dark paper."""

_PAGES = Environment(
    loader=PackageLoader("dragoman.report"),
    autoescape=lambda name: name is not None and name.endswith(".html"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, **values: Any) -> str:
    """Return a template filled in; what goes into ``.html`` is escaped unless it is `Markup`.

    Args:
        template: Name of a file in ``templates/``.
        values: What the template names.
    """
    return _PAGES.get_template(template).render(
        version=metadata.version("dragoman"),
        style=_files,
        script=_files,
        policy=_policy,
        **values,
    )


def breakable(text: object) -> Markup:
    """Return a name or value that a line may end in behind its separators, and nowhere else."""
    parts = re.split(r"(?<=[./:=,])(?=\w)", str(text))
    return Markup("<wbr>").join(escape(part) for part in parts)


def download(text: str, kind: str) -> str:
    """Return a link that holds a file, for an element with ``download``.

    Args:
        text: What the file holds.
        kind: Its media type, as ``text/csv``.
    """
    return f"data:{kind};charset=utf-8,{quote(text)}"


def coloured(text: str) -> Markup:
    """Return what an environment has drawn in letters, with the colours of the terminal."""
    # They carry meaning: FrozenLake marks the agent by one.
    console = Console(record=True, file=io.StringIO(), width=200, color_system="standard")
    line = Text.from_ansi(text.strip("\n"))
    # A link of the terminal would become one of the page, to wherever an environment likes.
    line.spans = [
        span._replace(style=console.get_style(span.style).update_link(None)) for span in line.spans
    ]
    console.print(line)
    html = console.export_html(theme=_TERMINAL, inline_styles=True, code_format="{code}")
    return Markup("\n").join(Markup(one.rstrip()) for one in html.splitlines())


def _policy(*scripts: str) -> Markup:
    """Return the content security policy of a page that runs these scripts and nothing else.

    Styles are allowed inline: curves and colours of the terminal carry theirs in attributes.
    """
    # The text of the element, with the line breaks that the templates put around it.
    text = f"\n{_files(*scripts)}\n".encode()
    digest = base64.b64encode(hashlib.sha256(text).digest()).decode("ascii")
    rules = {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Markup("; ").join(Markup(f"{name} {value}") for name, value in rules.items())


def _files(*names: str) -> Markup:
    """Return files of the package as they are, so that a page needs no other file."""
    assert _PAGES.loader is not None
    return Markup("\n").join(Markup(_PAGES.loader.get_source(_PAGES, name)[0]) for name in names)


_PAGES.filters |= {"breakable": breakable, "coloured": coloured, "download": download}
