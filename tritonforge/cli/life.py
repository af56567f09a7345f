"""`tritonforge down`, `logs`, `reload`, `load`, `unload`: what becomes of a server that `up` has started."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonforge.cli.life_options import KeyFile, Name, Url, reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tritonforge.server.attached import AttachedServer

__all__ = ["down", "load", "logs", "reload", "unload"]


def down(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The servers; not needed where only one runs.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All servers.")] = False,
    kill: Annotated[bool, typer.Option("--kill", help="Leave requests under way no time.")] = False,
) -> None:
    """Stop servers: requests under way finish, and nothing is left."""
    from tritonforge.server.recorded import end
    from tritonforge.server.records import find_record, read_records

    records = read_records() if everything else [find_record(name) for name in names or [""]]
    for record in records:
        running = record.alive()
        end(record, kill=kill)
        typer.echo(f"{record.name} {'stopped' if running else 'had ended; its record and log are removed'}")


def logs(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The server; not needed where only one runs.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what is added, until Ctrl-C.")] = False,
    model: Annotated[str, typer.Option("--model", "-m", help="Only lines that name this model.")] = "",
) -> None:
    """Show a server's log, in which its models' output is too; of a detached one after its end as well."""
    from tritonforge.server.records import find_record

    record = find_record(name)
    path = Path(record.log)
    if not path.is_file():
        return
    with path.open("rb") as file:
        from tritonforge.server.follow import follow_file

        pieces = follow_file(file.fileno(), ended=lambda: not (follow and record.alive()))
        try:
            for line in _lines(pieces):
                if not model or _names(line, model):
                    typer.echo(line)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def reload(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="The models; without one, all that changed.")
    ] = None,
    name: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
) -> None:
    """Load what the repository now has of a model, the old version serving meanwhile; definitions are built first.

    A model whose process has died is started again. Where the new one doesn't load, the old one goes on serving, and
    the exit code is 1.
    """
    server = reach(name, url, key_file)
    _rebuild(server)
    chosen = list(models or ()) or _changed(server)
    if not chosen:
        typer.echo("nothing has changed")
    for model in chosen:
        started = time.perf_counter()
        server.reload(model)
        _say(server, model, f"reloaded in {time.perf_counter() - started:.2f} s")


def load(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="The models.")],
    name: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
) -> None:
    """Load models of the repository."""
    server = reach(name, url, key_file)
    for model in models:
        server.load(model)
        _say(server, model, "loaded")


def unload(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="The models.")],
    name: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
) -> None:
    """Unload models; requests under way finish."""
    server = reach(name, url, key_file)
    for model in models:
        server.unload(model)
        typer.echo(f"{model} unloaded")


def _rebuild(server: AttachedServer) -> None:
    """Build again what the server's repository was built from, if up did that."""
    from tritonforge.server.recorded import RecordedServer

    if isinstance(server, RecordedServer) and server.record.sources:
        from tritonforge.build import build

        sources = [Path(source) for source in server.record.sources]
        for warning in build(sources, Path(server.record.repository), target=server.record.target).warnings:
            typer.echo(str(warning), err=True)


def _changed(server: AttachedServer) -> list[str]:
    from tritonforge.server.recorded import RecordedServer

    if isinstance(server, RecordedServer):
        return server.changed_models()
    raise typer.BadParameter("name the models: what changed isn't known of this server", param_hint="MODEL")


def _say(server: AttachedServer, model: str, what: str) -> None:
    versions = [state.version for state in server.models() if state.name == model and state.state == "READY"]
    typer.echo(f"{model} {', '.join(versions)} {what}")


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Put pieces of text together to lines."""
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from lines
    if rest:
        yield rest


def _names(line: str, model: str) -> bool:
    """Tell whether a line of the log names a model: 'echo', echo:1, echo_0_1, /echo/1/model.py."""
    import re

    return re.search(rf"(?<![\w.-]){re.escape(model)}(?![\w.-])|(?<![\w.-]){re.escape(model)}_\d", line) is not None
