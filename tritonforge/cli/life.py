"""`tritonforge down`, `logs`, `reload`, `load`, `unload`: what becomes of a server that `up` has started."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tritonforge.cli.life_options import KeyFile, Name, Url, named, reached

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tritonforge.server.attached import AttachedServer
    from tritonforge.server.state.recorded import RecordedServer
    from tritonforge.server.state.records import ServerRecord

__all__ = ["down", "load", "logs", "reload", "unload"]

_CHUNK = 1 << 16


def down(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="The servers; not needed where only one runs.")
    ] = None,
    name: Name = "",
    everything: Annotated[bool, typer.Option("--all", help="All servers.")] = False,
    kill: Annotated[bool, typer.Option("--kill", help="Leave requests under way no time.")] = False,
) -> None:
    """Stop servers: requests under way finish, and nothing is left."""
    from tritonforge.server.state.recorded import end
    from tritonforge.server.state.records import read_records, read_unreadable

    if everything and (names or name):
        raise typer.BadParameter("it stops all servers; leave out the names, or --all", param_hint="--all")
    chosen = read_records() if everything else [_record_or_container(one) for one in _chosen(names, name)]
    for record in filter(None, chosen):
        running = record.alive()
        end(record, kill=kill)
        typer.echo(f"{record.name} {'stopped' if running else 'had ended; its record and log are removed'}")
    unreadable = read_unreadable() if everything else []
    for one in unreadable:
        typer.echo(str(one), err=True)
    raise typer.Exit(1 if unreadable else 0)


def _record_or_container(name: str) -> ServerRecord | None:
    """Find a server; where only its container is left, remove that."""
    from tritonforge.server import ServerError
    from tritonforge.server.docker.leftovers import remove_orphan
    from tritonforge.server.state.records import find_record

    try:
        return find_record(name)
    except ServerError:
        if not name or not remove_orphan(name):
            raise
    typer.echo(f"{name} had no guard left; its container is removed")
    return None


def logs(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The server; not needed where only one runs.")] = "",
    option: Name = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show what is added, until Ctrl-C.")] = False,
    model: Annotated[
        str, typer.Option("--model", "-m", help="Only its tracebacks, and lines that name it: not all that it prints.")
    ] = "",
) -> None:
    """Show a server's log, in which its models' output is too; of a detached one after its end as well.

    A log that has outgrown log_limit is in two parts, of which the older one is shown first. Of a model, places in the
    server's copy of the repository are shown as those in your own files.
    """
    from tritonforge.server.state.records import find_record

    record = find_record(named(name, option))
    path = Path(record.log)
    if not path.is_file():
        return
    with path.open("rb") as file:
        from tritonforge.server.diagnosis.follow import follow_file
        from tritonforge.server.diagnosis.model_log import at_own_files, of_model
        from tritonforge.server.state.recorded import own_sources

        pieces = chain(_older(path), follow_file(file.fileno(), ended=lambda: not (follow and record.alive())))
        lines: Iterable[str] = _lines(pieces)
        if model:
            lines = of_model(lines, model)
        if model and record.served:  # it isn't known yet while the server starts
            lines = at_own_files(lines, own_sources(record))
        shown = False
        try:
            for line in lines:
                typer.echo(line)
                shown = True
        except KeyboardInterrupt:
            raise typer.Exit(0) from None
        if model and not shown:
            typer.echo(f"no line of {path} names a model {model}", err=True)


def reload(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="The models; without one, what changed or died.")
    ] = None,
    name: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
) -> None:
    """Load what the repository now has of a model, the old version serving meanwhile; definitions are built first.

    Without names new models are loaded, too, and those that the definitions no longer have are unloaded. A model whose
    process has died is started again. Where the new one doesn't load, the old one goes on serving, the other models are
    loaded all the same, and the exit code is 1.
    """
    from tritonforge.cli.renewing import ending_survivors, reload_model, try_each
    from tritonforge.server.state.recorded import RecordedServer

    with reached(name, url, key_file) as server:
        _require_no_servers(server, models or (), command="reload")
        _rebuild(server)
        with ending_survivors(server):
            if models:
                well = try_each(server, models, reload_model)
            elif isinstance(server, RecordedServer):
                well = _reload_all(server)
            else:
                raise typer.BadParameter("name the models: what changed isn't known of this server", param_hint="MODEL")
    raise typer.Exit(0 if well else 1)


def load(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="The models.")],
    name: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
) -> None:
    """Load models of the repository.

    Where one doesn't load, the others are loaded all the same, and the exit code is 1.
    """
    from tritonforge.cli.renewing import ending_survivors, try_each

    with reached(name, url, key_file) as server, ending_survivors(server):
        _require_no_servers(server, models, command="load")
        well = try_each(server, models, _load)
    raise typer.Exit(0 if well else 1)


def _load(server: AttachedServer, model: str) -> None:
    from tritonforge.cli.renewing import ready_models, say, say_others

    before = ready_models(server)
    server.load(model)
    say(server, model, "loaded")
    say_others(server, model, before=before)


def unload(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="The models.")],
    name: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
) -> None:
    """Unload models; requests under way finish. Where one can't be, the others are, and the exit code is 1."""
    from tritonforge.cli.renewing import try_each

    with reached(name, url, key_file) as server:
        _require_no_servers(server, models, command="unload")
        taken: set[str] = set()
        well = try_each(server, models, lambda server, model: _unload(server, model, taken))
    raise typer.Exit(0 if well else 1)


def _unload(server: AttachedServer, model: str, taken: set[str]) -> None:
    """Unload a model, unless it was `taken` along with another."""
    from tritonforge.cli.renewing import ready_models

    if model in taken:
        return
    before = ready_models(server)
    server.unload(model)
    typer.echo(f"{model} unloaded")
    if others := sorted(before - ready_models(server) - {model}):
        typer.echo(f"  and what is made of it: {', '.join(others)}")
        taken.update(others)


def _require_no_servers(server: AttachedServer, models: Iterable[str], *, command: str) -> None:
    """Raise BadParameter where a server is named in the place of a model; a model may have the name of one."""
    from tritonforge.server.state.recorded import RecordedServer
    from tritonforge.server.state.records import read_records

    named = {record.name for record in read_records()}.intersection(models)
    if named and isinstance(server, RecordedServer):
        named = {name for name in named if not (server.served.repository / name).is_dir()}
    if named := named and named - {state.name for state in server.models()}:
        mend = f"tritonforge {command} --name {min(named)} {'[MODEL]' if command == 'reload' else 'MODEL'}"
        raise typer.BadParameter(f"{min(named)} is a server: {mend}", param_hint="MODEL")


def _rebuild(server: AttachedServer) -> None:
    """Build again what the server's repository was built from, if up did that."""
    from tritonforge.server.state.recorded import RecordedServer

    if isinstance(server, RecordedServer) and server.record.sources:
        from tritonforge.build import build

        sources = [Path(source) for source in server.record.sources]
        for warning in build(sources, Path(server.record.repository), target=server.record.target).warnings:
            typer.echo(str(warning), err=True)


def _chosen(names: list[str] | None, option: str) -> list[str]:
    """Name each server once; the only one by the empty name."""
    return list(dict.fromkeys([*(names or ()), *([option] if option else [])])) or [""]


def _reload_all(server: RecordedServer) -> bool:
    """Load what changed or died, unload what is gone, name what is left out; say whether all went well."""
    from tritonforge.cli.renewing import ready_models, try_reload, unload_gone

    changed, gone = _changed(server), server.served.gone(ready_models(server))
    if not (changed or gone):
        typer.echo("nothing has changed")
    # Asked again each time: an ensemble takes its changed members along.
    tried = [try_reload(server, model) for model in changed if model in _changed(server)]
    whose = "definitions no longer have" if server.record.sources else "repository no longer has"
    tried.append(unload_gone(server, gone, why=f"the {whose} it"))
    for model in sorted({*server.left_out()} - {*server.served.failed()}):
        typer.echo(f"{model} stays unloaded: tritonforge load {model} --name {server.name}")
    return all(tried)


def _changed(server: RecordedServer) -> list[str]:
    """Name the models that changed, and those that have lost a process."""
    changed = server.changed_models()
    died = {status.name for status in server.status() if status.state == "READY" and not status.healthy}
    return [*changed, *sorted(died - set(changed))]


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Put pieces of text together to lines."""
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        yield from lines
    if rest:
        yield rest


def _older(log: Path) -> Iterator[str]:
    """Give the part of a log that was put aside, if there is one."""
    older = log.with_name(f"{log.name}.1")
    if older.is_file():
        with older.open(errors="replace", newline="") as file:
            yield from iter(partial(file.read, _CHUNK), "")
