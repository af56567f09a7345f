"""`tritonforge status`: what runs, and how each model is doing."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tritonforge.cli.life_options import KeyFile, Name, Url, check_one_server, named, reached

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, Group

    from tritonforge.server import ModelStatus

__all__ = ["status"]

_INTERVAL_S = 1.0
_COLUMNS = ("model", "version", "kind", "state", "instances", "queue", "requests", "failed", "mean", "p50", "p99")


@dataclass(frozen=True)
class _Seen:
    """A server at one moment; `state` is running, starting, ended, unreachable or unreadable; `reason` says more."""

    name: str
    state: str
    http_url: str
    reason: str
    models: tuple[ModelStatus, ...]
    runtime: str = ""
    pid: int = 0
    repository: str = ""
    grpc_url: str = ""
    metrics_url: str = ""

    @property
    def addresses(self) -> str:
        """Where it is reached, as far as that is known."""
        return " ".join(filter(None, (self.http_url, self.grpc_url, self.metrics_url)))

    @property
    def healthy(self) -> bool:
        return self.state == "running" and not self.amiss

    @property
    def amiss(self) -> list[ModelStatus]:
        """The models' versions that call for a mend."""
        from tritonforge.server.asking.status import amiss

        return amiss(self.models)


def status(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The server; all of them by default.")] = "",
    option: Name = "",
    url: Url = "",
    key_file: KeyFile = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew each second, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the servers that run, and of each model its state, processes, queue, requests and times.

    The exit code is 1 where a server has ended or its record can't be read, a model or a process of one isn't there, or
    a model's newest version failed to load, also where an older one goes on serving.
    """
    server = named(name, option)
    check_one_server(server, url)

    def look() -> list[_Seen]:
        return _look(server, url, key_file)

    if watch:
        _watch(look, as_json=as_json)
        return
    seen = look()
    if as_json:
        typer.echo(_json(seen))
    elif sys.stdout.isatty():
        from rich.console import Console

        console = Console()
        console.print(_tables(seen, console))
    else:
        _print_plain(seen)
    if not seen:
        typer.echo("no server runs; start one with: tritonforge up", err=True)
    raise typer.Exit(0 if all(each.healthy for each in seen) else 1)


def _look(name: str, url: str, key_file: Path | None) -> list[_Seen]:
    from tritonforge.server.state.records import find_record, read_records, read_unreadable

    if url:
        with reached("", url, key_file) as server:
            return [_Seen(url, "running", url, "", tuple(server.status()), "attached")]
    if name:
        return [_look_at(find_record(name))]
    unreadable = [_Seen(record.name, "unreadable", "", str(record), ()) for record in read_unreadable()]
    return [*map(_look_at, read_records()), *unreadable]


def _look_at(record: Any) -> _Seen:
    from tritonforge.server import ServerError
    from tritonforge.server.asking.status import amiss
    from tritonforge.server.state.recorded import RecordedServer

    def seen(state: str, reason: str = "", models: tuple[ModelStatus, ...] = ()) -> _Seen:
        pid = record.server_pid if state != "ended" else 0
        return _Seen(
            record.name,
            state,
            record.http_url,
            reason,
            models,
            record.runtime,
            pid,
            record.repository,
            record.grpc_url,
            record.metrics_url,
        )

    if not record.alive():
        record = _anew(record)
        killed = f"its launcher (process {record.launcher.pid}) was killed, or the machine restarted"
        return seen("ended", f"{record.end or killed}; its log: tritonforge logs {record.name}")
    if not record.ready:
        return seen("starting")
    try:
        server = RecordedServer(record)
        models = tuple(server.status())
        return seen("running", server.shortage() if amiss(models) else "", models)
    except ServerError as error:
        return seen("unreachable", str(error))


def _anew(record: Any) -> Any:
    """Read the record of a server that has ended again: how it did may have been written since."""
    from tritonforge.server import ServerError
    from tritonforge.server.state.records import find_record

    try:
        written = find_record(record.name)
    except ServerError:  # it is gone
        return record
    return written if written.launcher == record.launcher else record


def _watch(look: Any, *, as_json: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    try:
        if as_json or not sys.stdout.isatty():
            while True:
                typer.echo(_json(look(), indent=None)) if as_json else _print_plain(look())
                time.sleep(_INTERVAL_S)
        console = Console()
        with Live(_tables(look(), console), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(_INTERVAL_S)
                live.update(_tables(look(), console), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _json(seen: list[_Seen], indent: int | None = 2) -> str:
    found = [asdict(each) | {"healthy": each.healthy} for each in seen]
    return json.dumps(found, indent=indent)


def _print_plain(seen: list[_Seen]) -> None:
    """Print a line for each server and model, for tools that read lines."""
    for server in seen:
        typer.echo(_line("server", server.name, server.state, server.addresses, server.reason))
        for model in server.models:
            typer.echo(_line("model", _figures(model), _reason(model, server)))


def _figures(model: ModelStatus) -> str:
    """Name a model, with its figures."""
    cells = (f"{name}={cell}" for name, cell in zip(_COLUMNS[3:], _cells(model)[3:], strict=True) if cell)
    return _line(model.name, model.version, *cells)


def _line(*words: str) -> str:
    """Put together what there is: a model that never loaded has no version, one that serves no reason."""
    return " ".join(filter(None, words))


def _tables(seen: list[_Seen], console: Console) -> Group:
    """Make a table of each server's models; where the terminal is too narrow for that, some words for each model."""
    from rich.console import Group
    from rich.table import Column, Table
    from rich.text import Text

    parts: list[Text | Table] = []
    for server in seen:
        style = "green" if server.healthy else "yellow" if server.state in {"running", "starting"} else "red"
        pid = f", process {server.pid}" if server.pid else ""
        rest = f"  {server.addresses}{pid}  {server.reason}"
        parts.append(Text.assemble((server.name, "bold"), "  ", (server.state, style), rest))
        table = Table(*(Column(name, no_wrap=True) for name in _COLUMNS), box=None, pad_edge=False)
        styles = ["red" if model in server.amiss else "" if model.healthy else "dim" for model in server.models]
        for model, style in zip(server.models, styles, strict=True):
            table.add_row(*(Text(cell) for cell in _cells(model)), style=style)
        if console.measure(table, options=console.options.update(width=10_000)).maximum <= console.width:
            parts.append(table)
        else:
            parts += [Text(_figures(model), style=style) for model, style in zip(server.models, styles, strict=True)]
        for model, style in zip(server.models, styles, strict=True):
            if reason := _reason(model, server):
                parts.append(Text(f"{_line(model.name, model.version)}: {reason}", style=style))
    return Group(*parts)


def _cells(model: ModelStatus) -> tuple[str, ...]:
    instances = "" if model.instances is None else str(model.instances)
    if model.alive is not None and model.instances is not None and model.alive < model.instances:
        instances = f"{model.alive}/{model.instances}"
    waiting = "" if model.waiting is None else str(model.waiting)
    times = (_time(value) for value in (model.mean_us, model.p50_us, model.p99_us))
    state = model.state or "UNAVAILABLE"
    numbers = (str(model.requests), str(model.failures), *times)
    return (model.name, model.version, model.kind, state, instances, waiting, *numbers)


def _reason(model: ModelStatus, server: _Seen) -> str:
    """Say in a line what is the matter with a model, if something is, and what serves in its place."""
    from tritonforge.server.asking.status import served_beside

    if model.reason:
        beside = served_beside(model, server.models)
        reason = model.reason.partition("\n")[0]
        return f"{reason} (version {beside.version} serves)" if beside else reason
    if model.healthy or model.state != "READY":
        return ""
    where = f"--url {server.http_url}" if server.runtime == "attached" else f"--name {server.name}"
    reload = f"tritonforge reload {model.name} {where}"
    if any(other.name == model.name and other.state == "UNAVAILABLE" for other in server.amiss):
        return f"a process of it has died; mend what fails to load, then start it again with: {reload}"
    return f"a process of it has died; start it again with: {reload}"


def _time(value_us: float | None) -> str:
    """Write a time with the unit that fits."""
    if value_us is None:
        return ""
    return f"{value_us / 1000:.2f}ms" if value_us >= 1000 else f"{value_us:.0f}us"
