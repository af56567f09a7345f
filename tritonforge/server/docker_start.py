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
    from tritonforge.server.hidden_arguments import reveal, trace_me

_VARIABLE = "TRITONFORGE_HIDDEN_ARGUMENT_"


def main(command: list[str]) -> int:
    """Run a command to its end, passing signals on; give its exit code, 128 + the signal's number if it was killed."""
    hidden = {int(name.removeprefix(_VARIABLE)): name for name in os.environ if name.startswith(_VARIABLE)}
    server = os.fork()
    if server == 0:
        _become(command, hidden)
    reveal(server, hidden)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(server, number))
    _, status = os.waitpid(server, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(command: list[str], hidden: dict[int, str]) -> None:
    trace_me()
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
