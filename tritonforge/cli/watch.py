"""`tritonforge up --watch`: what is saved is built and served, the old version serving until the new one is ready."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from tritonforge.errors import TritonForgeError

if TYPE_CHECKING:
    from tritonforge.build import Project
    from tritonforge.cli.served_repository import Chosen
    from tritonforge.server import EmbeddedServer, ServerSettings
    from tritonforge.server.docker.server import DockerServer
    from tritonforge.server.watching.build_process import BuildProcess, Outcome
    from tritonforge.server.watching.watch import SourceWatch

__all__ = ["refuse_watching", "serve_watching"]

_POLL_S = 0.2
_PATIENCE_S = 6.0
_LONGEST_PATIENCE_S = 48.0
"""What a build has before a save ends it, where those before it were ended by saves."""
_LOG = "build.log"
"""What imported modules write, beside the server's log."""
_MENDED = "mended: what is saved is served again"
_GOES_ON = "what was served before goes on serving; save again to mend it"


def refuse_watching(chosen: Chosen, settings: ServerSettings, *, detached: bool, runtime: str) -> None:
    """Refuse --watch where nothing can be watched, or nothing reloaded.

    Raises:
        BadParameter: with what to do instead.
    """
    reason = ""
    if chosen.repository is not None:
        reason = f"{chosen.repository} is a model repository; name the file or folder of definitions to watch"
    elif detached:
        reason = "it shows its diagnostics in this terminal: leave out --detach"
    elif runtime != "embedded":
        reason = f"it serves with the embedded server only: leave out --runtime {runtime}"
    elif settings.model_control != "explicit":
        reason = f"it reloads models, which model_control={settings.model_control} doesn't allow: make it explicit"
    if reason:
        raise typer.BadParameter(reason, param_hint="--watch")


def serve_watching(server: EmbeddedServer | DockerServer, chosen: Chosen, project: Project) -> int:
    """Serve what is saved, until the server ends by itself; give its exit code."""
    from tritonforge.cli.follow import following
    from tritonforge.server.watching.build_process import BuildProcess
    from tritonforge.server.watching.watch import SourceWatch

    watch = SourceWatch(chosen.sources, server.repository)
    log = server.log_path.with_name(_LOG)
    with following(log), BuildProcess(chosen.sources, server.repository, target=project.target, log=log) as builds:
        fine = _renew(server, watch, builds)  # what was saved while it started; further builds begin at once then
        typer.echo("watching; what is saved is built and served")
        while (code := server.wait(_POLL_S)) is None:
            if watch.changed():
                before, fine = fine, _renew(server, watch, builds)
                if fine and not before:
                    typer.echo(_MENDED)
    return code


def _renew(server: EmbeddedServer | DockerServer, watch: SourceWatch, builds: BuildProcess) -> bool:
    """Build, and load what that changed; tell what is wrong, and whether all is well."""
    from tritonforge.cli.renewing import try_reload, unload_gone

    outcome = _build(server, watch, builds)
    if outcome.failure:
        typer.echo(f"{outcome.failure}\n{_GOES_ON}", err=True)
        watch.follow(everything=True)
        return False
    watch.follow()
    for warning in outcome.warnings:
        typer.echo(warning, err=True)
    failed: set[str] = set()
    # Asked again each time: an ensemble takes its changed members along.
    while changed := [name for name in server.changed_models() if name not in failed]:
        if not try_reload(server, changed[0], otherwise=_GOES_ON):
            failed.add(changed[0])
    return unload_gone(server, server.served.left_over()) and not failed


def _build(server: EmbeddedServer | DockerServer, watch: SourceWatch, builds: BuildProcess) -> Outcome:
    """Build into the folder that is served; again, if something was saved meanwhile.

    What was built the second time is served all the same, and each build that is given up leaves the next more time:
    whoever saves more often than a build takes is served too.
    """
    patience_s = 0.0
    while True:
        outcome = _one_build(server, watch, builds, patience_s)
        if outcome is not None and ((patience_s and not outcome.failure) or not watch.changed()):
            return outcome
        patience_s = min(2 * patience_s or _PATIENCE_S, _LONGEST_PATIENCE_S)


def _one_build(
    server: EmbeddedServer | DockerServer, watch: SourceWatch, builds: BuildProcess, patience_s: float
) -> Outcome | None:
    """Build once; None where that took long, and more than `patience_s`, and was given up as something was saved."""
    from tritonforge.server.watching.build_process import Outcome

    try:
        watch.check()
        builds.start()
    except (TritonForgeError, OSError) as error:
        return Outcome(failure=str(error))
    told, given_up_from = "", time.monotonic() + patience_s
    while (outcome := builds.poll(_POLL_S)) is None:
        if server.wait(0) is not None:
            return Outcome(failure="the server ended amid the build")
        if told and time.monotonic() >= given_up_from and watch.changed():
            typer.echo("given up; building what is saved now", err=True)
            builds.give_up()
            return None
        if not told and (told := builds.doing()):
            after = f"after {patience_s:g} s " if patience_s else ""
            typer.echo(f"still {told} …; {after}it is given up once something is saved", err=True)
    return outcome
