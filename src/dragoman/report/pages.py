"""Self-contained HTML pages from the templates in this package."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

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
