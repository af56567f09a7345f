"""Run in a container, by its own python3: start a server some of whose arguments nobody sees, and be it to Docker.

`hidden_arguments` lies beside it there. The arguments come in the environment, which only Docker's own users can read.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    from hidden_arguments import reveal, trace_me  # type: ignore[import-not-found]  # mounted beside it
else:
    from tritonforge.server.guard.hidden_arguments import reveal, trace_me

_VARIABLE = "TRITONFORGE_HIDDEN_ARGUMENT_"
_NOT_FOUND = 127
"""The exit code, as shells have it, where there is no such program."""


def main(command: list[str]) -> int:
    """Run a command to its end, passing signals on; give its exit code, 128 + the signal's number if it was killed."""
    hidden = {int(name.removeprefix(_VARIABLE)): name for name in os.environ if name.startswith(_VARIABLE)}
    server = os.fork()
    if server == 0:
        _become(command)
    try:
        reveal(server, hidden)
    except ChildProcessError:
        return _NOT_FOUND
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(server, number))
    _, status = os.waitpid(server, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(command: list[str]) -> None:
    trace_me()
    try:
        os.execvp(command[0], command)
    except OSError as error:  # in the words of Docker's init, which starts what has nothing to hide
        os.write(2, f"exec {command[0]} failed: {error.strerror}\n".encode())
        os._exit(_NOT_FOUND)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
