"""The commands put together, and how they end. Only here is `sys.exit` called."""

from __future__ import annotations

import io
import os
import sys

import typer

from tritonforge.cli.build import build
from tritonforge.cli.check import check
from tritonforge.cli.doctor import doctor
from tritonforge.cli.image import image
from tritonforge.cli.import_repository import import_repository
from tritonforge.cli.infer import infer
from tritonforge.cli.life import down, load, logs, reload, unload
from tritonforge.cli.perf import perf
from tritonforge.cli.status import status
from tritonforge.cli.stubs import stubs
from tritonforge.cli.up import up
from tritonforge.cli.verify import verify
from tritonforge.errors import TritonForgeError

__all__ = ["app", "run"]

_STANDARD_ERROR = 2

app = typer.Typer(
    name="tritonforge",
    help="Typed Python model definitions, compiled into an NVIDIA Triton model repository.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(build)
app.command()(check)
app.command("import")(import_repository)
app.command()(image)
app.command()(up)
app.command()(status)
app.command()(logs)
app.command()(down)
app.command()(reload)
app.command()(load)
app.command()(unload)
app.command()(infer)
app.command()(stubs)
app.command()(verify)
app.add_typer(perf, name="perf")
app.command()(doctor)


@app.callback(invoke_without_command=True)
def _options(*, version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from tritonforge import __version__

        typer.echo(f"tritonforge {__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command that was typed; a mistake of the user's ends it with its text and exit code 1."""
    _replace_closed()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as of stderr: Latin-1, say, has no …
    try:
        app()
    except TritonForgeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'error'}: {error.strerror or error}\n")
        sys.exit(1)


def _replace_closed() -> None:
    """Put /dev/null in the place of standard streams that are closed (`>&-`): a file would take their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  it stays open
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
