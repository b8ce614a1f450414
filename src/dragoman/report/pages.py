"""Self-contained HTML pages from the templates in this package."""

from __future__ import annotations

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
        version=metadata.version("dragoman"), style=_files, script=_files, **values
    )


def _files(*names: str) -> Markup:
    """Return files of the package as they are, so that a page needs no other file."""
    assert _PAGES.loader is not None
    return Markup("\n").join(Markup(_PAGES.loader.get_source(_PAGES, name)[0]) for name in names)
