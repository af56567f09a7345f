"""What the commands that load models anew do to a running server, and say of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tritonforge.server import EmbeddedServer, Server
    from tritonforge.server.docker import DockerServer
    from tritonforge.server.recorded import RecordedServer

__all__ = ["ready_models", "reload_model", "say", "try_reload", "unload_gone"]


def reload_model(server: Server, model: str) -> None:
    """Load what the repository now has of a model, and say so, with its version, the time that it took, and notices.

    Raises:
        ModelLoadError: it failed to load, with the reason; the old version goes on serving.
        ServerError: the server doesn't answer, its model control is not explicit, or there is no such model.
    """
    from tritonforge.cli.notices import show_notices

    word = "reloaded" if model in ready_models(server) else "loaded"
    written, started = len(server.log_text()), time.perf_counter()
    server.reload(model)
    say(server, model, f"{word} in {time.perf_counter() - started:.2f} s")
    show_notices(server, model, after=written)


def try_reload(server: Server, model: str, *, otherwise: str = "") -> bool:
    """Do the same, and tell what went wrong, and what is so `otherwise`; say whether it went well."""
    from tritonforge.cli.life_options import telling_own
    from tritonforge.errors import TritonForgeError

    try:
        with telling_own(server.http_url):
            reload_model(server, model)
    except (TritonForgeError, OSError) as error:
        typer.echo("\n".join(filter(None, (str(error), otherwise))), err=True)
        return False
    return True


def unload_gone(
    server: EmbeddedServer | DockerServer | RecordedServer,
    models: Iterable[str],
    *,
    why: str = "the definitions no longer have it",
) -> None:
    """Unload those of some models that still serve, and say so, and why; all of them are loaded if they come back.

    Triton takes an ensemble away with the first of its members.
    """
    before = ready_models(server)
    for model in sorted(models):
        if model in ready_models(server):
            server.unload(model)
        if model in before:
            typer.echo(f"{model} unloaded: {why}")
        server.served.forget(model)


def say(server: Server, model: str, what: str) -> None:
    """Say what became of a model, with the versions of it that serve."""
    versions = [state.version for state in server.models() if state.name == model and state.state == "READY"]
    typer.echo(f"{model} {', '.join(versions)} {what}")


def ready_models(server: Server) -> set[str]:
    """Name the models that serve."""
    return {state.name for state in server.models() if state.state == "READY"}
