"""The commands put together, and how they end. Only here is `sys.exit` called.

A command is imported when it is asked for: what is typed waits for no other, and `--help` imports all.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from tritonforge.errors import TritonForgeError, labelled

__all__ = ["app", "prepare", "run"]

_STANDARD_ERROR = 2

_COMMANDS = {
    "build": "build.build",
    "check": "check.check",
    "import": "import_repository.import_repository",
    "image": "image.image",
    "up": "up.up",
    "status": "status.status",
    "logs": "life.logs",
    "down": "life.down",
    "reload": "life.reload",
    "load": "life.load",
    "unload": "life.unload",
    "infer": "infer.infer",
    "stubs": "stubs.stubs",
    "verify": "verify.verify",
    "doctor": "doctor.doctor",
    "perf": "perf.perf",
}
"""Where each command is, below `tritonforge.cli`, in the order of `--help`."""

_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}


class _Commands(Mapping[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


def _find(name: str) -> Any:
    """Import a command's function, or its group.

    Raises:
        KeyError: there is no such command.
    """
    module, _, attribute = _COMMANDS[name].partition(".")
    return getattr(import_module(f"tritonforge.cli.{module}"), attribute)


def _make(name: str) -> Any:
    """Make of a command's function, or its group, what runs it."""
    found = _find(name)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(**_PLAIN)
        found.command(name)(function)
    command = get_command(found)
    command.name = name
    return command


class _ImportsLate(TyperGroup):
    """A group that knows the names of its commands before they are imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


app = typer.Typer(
    name="tritonforge",
    cls=_ImportsLate,
    help="Typed Python model definitions, compiled into an NVIDIA Triton model repository.",
    no_args_is_help=True,
    **_PLAIN,
)


@app.callback(invoke_without_command=True)
def _options(*, version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from tritonforge import __version__

        typer.echo(f"tritonforge {__version__}")
        raise typer.Exit


def prepare(typed: str = "--help") -> None:
    """Import what the first word of a command line takes: one command, or all of them for the help."""
    if typed in _COMMANDS:
        _find(typed)
    elif typed == "--help":
        for name in _COMMANDS:
            _find(name)


def run() -> None:
    """Run the command that was typed; a mistake of the user's ends it with its text and exit code 1."""
    _replace_closed()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as of stderr: Latin-1, say, has no …
    try:
        app()
    except TritonForgeError as error:
        from tritonforge.cli.tls_options import in_options

        sys.stderr.write(f"{in_options(labelled(error))}\n")
        sys.exit(1)
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        sys.stderr.write(f"error: {place}{error.strerror or error}\n")
        sys.exit(1)


def _replace_closed() -> None:
    """Put /dev/null in the place of standard streams that are closed (`>&-`): a file would take their number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  it stays open
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
