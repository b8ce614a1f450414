"""``dragoman cache``: what is kept on disk between runs."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dragoman.cli.options import AsJson
from dragoman.models.catalog import cache_folder
from dragoman.models.store import Store

app = typer.Typer(help="See and clear what is kept between runs.", no_args_is_help=True)


@app.command("ls")
def show(as_json: AsJson = False) -> None:
    """Show what is kept and how large it is."""
    folder = cache_folder()
    size = Store(folder).size()
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **asdict(size)}))
        return
    table = Table(title=str(folder))
    table.add_column("what")
    table.add_column("entries", justify="right")
    table.add_column("MB", justify="right")
    table.add_row("answers of models", f"{size.entries:,}", f"{size.size_bytes / 1e6:,.1f}")
    for model in sorted((folder / "models").glob("*/")):
        used = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        table.add_row(f"model {model.name}", "", f"{used / 1e6:,.1f}")
    Console().print(table)


@app.command("clear")
def clear(
    models: Annotated[bool, typer.Option(help="Remove converted models as well.")] = False,
) -> None:
    """Forget every answer; they are computed again when they are needed."""
    folder = cache_folder()
    store = Store(folder)
    forgotten = store.size()
    store.clear()
    typer.echo(f"forgot {forgotten.entries:,} answers, {forgotten.size_bytes / 1e6:,.1f} MB")
    if models and (folder / "models").is_dir():
        shutil.rmtree(folder / "models")
        typer.echo("removed the converted models")
