"""What the commands that load models anew do to a running server, and say of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from tritonforge.server import EmbeddedServer, Server
    from tritonforge.server.attached import AttachedServer
    from tritonforge.server.docker.server import DockerServer
    from tritonforge.server.state.recorded import RecordedServer

__all__ = [
    "ending_survivors",
    "ready_models",
    "reload_model",
    "say",
    "say_others",
    "try_each",
    "try_reload",
    "unload_gone",
]

Control = TypeVar("Control", bound="Server")

_UNCHANGED = "no file of it that the server sees has changed"


def reload_model(server: Server, model: str) -> None:
    """Load what the repository now has of a model, and say so, with its version, the time that it took, and notices.

    Raises:
        ModelLoadError: it failed to load, with the reason; the old version goes on serving.
        ServerError: the server doesn't answer, its model control is not explicit, or there is no such model; by its
            address a server of `up` was meant, which saw no change.
    """
    from tritonforge.cli.notices import show_notices

    served = ready_models(server)
    word = "reloaded" if model in served else "loaded"
    before = _requests(server, model) if _keeps_unchanged(server) else {}
    written, started = len(server.log_text()), time.perf_counter()
    server.reload(model)
    if before:
        _say_whether_loaded(server, model, before)
        return
    say(server, model, f"{word} in {time.perf_counter() - started:.2f} s")
    say_others(server, model, before=served)
    show_notices(server, model, after=written)


def _keeps_unchanged(server: Server) -> bool:
    """Tell a server that was reached by its address: there Triton loads nothing anew of which no file has changed."""
    return server.runtime == "attached" and not server.name


def _say_whether_loaded(server: Server, model: str, before: Mapping[str, int]) -> None:
    """Say of a model that served whether it was loaded anew, as far as its requests `before` tell, by version.

    Raises:
        ServerError: nothing was, as it is a server of `up`, which sees what changed once it is reloaded by its name.
    """
    from tritonforge.cli.life_options import own_name
    from tritonforge.server import ServerError

    after = _requests(server, model)
    if after.keys() != before.keys() or any(after[version] < count for version, count in before.items()):
        say(server, model, "reloaded")
    elif own := own_name(server.http_url):
        hint = f"it is your server {own}, which is shown what changed by its name: --name {own} in place of --url"
        raise ServerError(f"{model}: nothing was loaded: {_UNCHANGED}\n  hint: {hint}")
    elif any(before.values()):
        say(server, model, f"serves on; nothing was loaded: {_UNCHANGED}")
    else:
        say(server, model, f"serves; nothing was loaded if {_UNCHANGED}: by its address a server doesn't tell")


def _requests(server: Server, model: str) -> dict[str, int]:
    """Count what each version of a model has been asked since it was loaded."""
    return {each.version: each.requests + each.failures for each in server.statistics() if each.name == model}


def try_reload(server: Server, model: str, *, otherwise: str = "") -> bool:
    """Reload a model as `try_each` changes several; say whether it went well."""
    return try_each(server, [model], reload_model, otherwise=otherwise)


def try_each(
    server: Control, models: Iterable[str], change: Callable[[Control, str], None], *, otherwise: str = ""
) -> bool:
    """Change one model after another, though one can't be, and tell why it can't; say whether all went well.

    Raises:
        Uncontrolled: no model of the server can be.
    """
    from tritonforge.cli.life_options import telling_own
    from tritonforge.errors import TritonForgeError, labelled
    from tritonforge.server.errors import Uncontrolled

    well = True
    for model in dict.fromkeys(models):
        try:
            with telling_own(server.http_url):
                change(server, model)
        except Uncontrolled:
            raise
        except (TritonForgeError, OSError) as error:
            typer.echo("\n".join(filter(None, (labelled(error), otherwise))), err=True)
            well = False
    return well


def unload_gone(
    server: EmbeddedServer | DockerServer | RecordedServer,
    models: Iterable[str],
    *,
    why: str = "the definitions no longer have it",
) -> bool:
    """Unload those of some models that still serve, and say so, and why; all of them are loaded if they come back.

    Triton takes an ensemble away with the first of its members. One that is to serve all the same is told with what it
    lacks, and loaded once it lacks nothing. Say whether there was none.
    """
    gone, before = sorted(models), ready_models(server)
    lost: list[str] = []
    for model in gone:
        if model in (ready := ready_models(server)):
            server.unload(model)
        if model in before:
            typer.echo(f"{model} unloaded: {why}")
        server.served.forget(model)
        if others := sorted(ready - ready_models(server) - {*gone}):
            typer.echo(f"  and what is made of it: {', '.join(others)}")
            lost += others
    for model in lost:
        server.served.miss(model)
    tried = [try_reload(server, model) for model in lost]  # which tells what it lacks, and has status show it
    return all(tried)


@contextmanager
def ending_survivors(server: AttachedServer) -> Iterator[None]:
    """End what Triton keeps of models that had lost a process before the block, which loads them again.

    That is known of a server of `up` alone. Requests under way on them have the exit timeout.
    """
    from tritonforge.server.state.recorded import RecordedServer

    if not isinstance(server, RecordedServer):
        yield
        return
    survivors = server.survivors()
    yield
    if not survivors.stubs:
        return
    statuses, time_s = server.status(), server.record.exit_timeout_s
    for model, count in Counter(stub.model for stub in survivors.left(statuses)).items():
        number = f"{count} process{'es' if count > 1 else ''}"
        typer.echo(f"{model}: {number} of the version before, which Triton would keep for ever: ended in {time_s:g} s")
    survivors.end(statuses, after_s=time_s)


def say(server: Server, model: str, what: str) -> None:
    """Say what became of a model, with the versions of it that serve."""
    versions = [state.version for state in server.models() if state.name == model and state.state == "READY"]
    typer.echo(f"{model} {', '.join(versions)} {what}")


def say_others(server: Server, model: str, *, before: set[str]) -> None:
    """Name the models that serve now, and didn't `before` this one was loaded: members, or what is made of it."""
    if others := sorted(ready_models(server) - before - {model}):
        typer.echo(f"  and with it: {', '.join(others)}")


def ready_models(server: Server) -> set[str]:
    """Name the models that serve."""
    return {state.name for state in server.models() if state.state == "READY"}
