"""The command line: parse, one call of the library, render.

Nothing is imported here until it is asked for, so that Ctrl-C ends the program quietly while all that is, too.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonforge.cli.commands import app

__all__ = ["app", "end_start", "main"]

_INTERRUPTED = 128 + signal.SIGINT
_SERVES, _MEASURES = "up", "perf"
_NOT_YET = b"interrupted: nothing was measured yet\n"


def main() -> None:
    """Run the command line; a mistake of the user's ends it with its text and exit code 1."""
    serves = sys.argv[1:2] == [_SERVES]
    # Where a shell has SIGINT ignored (`&`) it is not heeded, but by `up`, which scripts end so.
    heeded = serves or signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if serves:
        gc.disable()  # until all is imported, which is no garbage: `up` turns it on again
    else:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # grpcio's own lines say less than the errors that come of them
    if heeded:
        signal.signal(signal.SIGINT, end_start)
    from tritonforge.cli.commands import prepare, run

    prepare(*sys.argv[1:2])
    # `up` and `perf` have a way of their own, and Python may drop a KeyboardInterrupt.
    if heeded and not serves and sys.argv[1:2] != [_MEASURES]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run()
    except KeyboardInterrupt:  # before the command itself
        os._exit(_INTERRUPTED)


def end_start(number: int, frame: object) -> None:
    """End this process at once, as an import might change a KeyboardInterrupt; of a measurement, say so."""
    if sys.argv[1:2] == [_MEASURES]:
        with suppress(OSError):
            os.write(2, _NOT_YET)
    os._exit(_INTERRUPTED)


def __getattr__(name: str) -> object:
    if name != "app":
        raise AttributeError(f"module 'tritonforge.cli' has no attribute '{name}'")
    from tritonforge.cli.commands import app

    return app


def __dir__() -> list[str]:
    return __all__
