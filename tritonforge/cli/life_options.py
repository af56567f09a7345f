"""What the commands about a running server have in common: which server is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tritonforge.server.attached import AttachedServer

__all__ = ["KeyFile", "Name", "Url", "check_one_server", "named", "own_name", "reached", "telling_own", "who_runs"]

Name = Annotated[str, typer.Option("--name", "-n", help="The server's name; not needed where only one runs.")]
Url = Annotated[str, typer.Option(help="A server that up didn't start: its HTTP address.")]
KeyFile = Annotated[Path | None, typer.Option(help="With --url: the file of the key to its restricted APIs.")]


def named(argument: str, option: str) -> str:
    """Take a server's name, given as an argument or with --name.

    Raises:
        BadParameter: both are given, and differ.
    """
    if argument and option and argument != option:
        raise typer.BadParameter(f"found {argument} and --name {option}; name one server", param_hint="NAME")
    return argument or option


def check_one_server(name: str, url: str) -> None:
    """Raise BadParameter where a server is named, and an address given beside."""
    if name and url:
        raise typer.BadParameter(f"found the server {name} and --url {url}; give one of them", param_hint="NAME")


def _reach(name: str, url: str, key_file: Path | None) -> AttachedServer:
    from tritonforge.server import Server
    from tritonforge.server.state.recorded import RecordedServer
    from tritonforge.server.state.records import find_record

    check_one_server(name, url)
    if url:
        return Server.attached(url, key=key_file.read_text().strip() if key_file else "")
    return RecordedServer(find_record(name))


@contextmanager
def reached(name: str, url: str, key_file: Path | None) -> Iterator[AttachedServer]:
    """Reach a server for the block, by its name or address. Where it wants a key, and `up` keeps it, its name is told.

    Raises:
        ServerError: there is no such server, or it doesn't answer.
        BadParameter: both are given.
    """
    with telling_own(url):
        yield _reach(name, url, key_file)


@contextmanager
def telling_own(url: str) -> Iterator[None]:
    """Name the server where one in the block wants a key, and `up` keeps it, which has its key.

    Raises:
        ServerError: with that name for a hint.
    """
    from tritonforge.server import ServerError
    from tritonforge.server.asking.health import KEY_HINT

    try:
        yield
    except ServerError as error:
        own = own_name(url) if KEY_HINT in str(error) else ""
        if not own:
            raise
        named = f"it is your server {own}, whose key is found by its name: --name {own} in place of --url"
        raise ServerError(str(error).replace(KEY_HINT, named)) from error


def own_name(url: str) -> str:
    """Name the server of `up` that has a URL."""
    from tritonforge.server.state.records import read_records

    address = url.rstrip("/").replace("//localhost:", "//127.0.0.1:")
    return next((record.name for record in read_records() if record.alive() and record.http_url == address), "")


def who_runs(url: str) -> str:
    """Name the servers that `up` keeps, as a hint for a call that reached none at a URL; nothing where none runs."""
    from tritonforge.server.state.records import read_records

    running = [record for record in read_records() if record.alive() and record.ready]
    if not running or any(url.rstrip("/") in (record.http_url, record.grpc_url) for record in running):
        return ""
    urls = ((record.name, filter(None, (record.http_url, record.grpc_url))) for record in running)
    addresses = ", ".join(f"{name}: {' or '.join(own)}" for name, own in urls)
    return f"\n  hint: name the server's address with --url; what runs is {addresses}"
