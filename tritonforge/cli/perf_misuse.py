"""What a measurement that can't be made, or not to its end, ends with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from tritonforge.cli.perf_stderr import say
from tritonforge.errors import TritonForgeError

__all__ = ["ENDED_EARLY", "MISUSED", "misused", "say_unwritten"]

MISUSED, ENDED_EARLY = 2, 4
"""The exit codes."""


@contextmanager
def misused() -> Iterator[None]:
    """End with exit code 2, and the error's words, where nothing could be measured; 4 where the server went away.

    So it does where the load generator went.
    """
    from tritonforge.load import GeneratorGone, InvalidLoad, ServerGone
    from tritonforge.report.options import in_options

    try:
        yield
    except InvalidLoad as error:
        say(in_options(str(error)))
        raise typer.Exit(MISUSED) from error
    except (ServerGone, GeneratorGone) as error:
        say(f"{error}; there are no figures, as no window was over before; shorter ones (--window) lose less")
        raise typer.Exit(ENDED_EARLY) from error
    except (TritonForgeError, OSError) as error:
        about_file = isinstance(error, OSError) and error.filename is not None
        say(f"{error.filename}: {error.strerror}" if about_file else str(error))  # type: ignore[union-attr]
        raise typer.Exit(MISUSED) from error


def say_unwritten(option: str, path: Path, error: Exception) -> None:
    """Say that a result couldn't be written, and that what is there is an older one, whole."""
    from tritonforge.load.exports.replacement import is_replaced

    older = path.is_file() and path.stat().st_size and is_replaced(path)
    kept = "; what is there is of an earlier run" if older else ""
    say(f"--{option}: {path} is not written: {error}{kept}")
