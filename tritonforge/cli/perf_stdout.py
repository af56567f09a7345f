"""Tables on standard output, which a file may take for itself, and whose reader may have read enough."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

from tritonforge.cli.perf_stderr import dispensable

__all__ = ["has_a_file", "printed"]


def has_a_file(paths: Iterable[Path]) -> bool:
    """Tell whether one of some files is standard output: `/dev/stdout`."""
    from tritonforge.load.exports.replacement import is_standard_output

    return any(map(is_standard_output, paths))


@contextmanager
def printed(*, aside: bool = False) -> Iterator[None]:
    """Have the block print on standard output, or `aside`, on standard error.

    A reader that has closed standard output (`| head -1`) gets no more of it. What was measured is none the worse, so
    that nothing ends for that, and the exit code is the figures'.

    Raises:
        OSError: standard output can't be written for another reason, as on a full disk.
    """
    if aside:
        with dispensable(), redirect_stdout(sys.stderr):
            yield
        return
    try:
        yield
    except BrokenPipeError:
        # What the stream keeps goes there, too: Python would try once more at its exit, and end with 120.
        with suppress(OSError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
