"""The process that builds for `up --watch`: it imports definitions, whatever those do, and is ended from outside.

It reads orders and writes outcomes, each a line of JSON, from and to two named pipes of its workspace.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tritonforge.build import build
from tritonforge.errors import TritonForgeError

__all__ = ["DOING", "ORDERS", "OUTCOMES", "serve"]

ORDERS, OUTCOMES, DOING = "orders", "outcomes", "doing"
"""In the workspace: the pipes, and a file that is written once a build takes long, with the place where it is."""


def serve(folder: Path, *, cwd: str, slow_s: float) -> None:
    """Build what is ordered, in the folder `cwd`, until SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    os.chdir(cwd)
    with suppress(KeyboardInterrupt), (folder / ORDERS).open() as orders, (folder / OUTCOMES).open("w") as outcomes:
        for order in orders:
            with (folder / DOING).open("w") as doing:
                # By a thread that has the interpreter's lock: dump_traceback_later looks without it, and can crash.
                timer = threading.Timer(slow_s, faulthandler.dump_traceback, kwargs={"file": doing})
                timer.daemon = True
                timer.start()
                try:
                    outcome = _outcome(**json.loads(order))
                finally:
                    timer.cancel()
                    timer.join()
            outcomes.write(json.dumps(outcome) + "\n")
            outcomes.flush()


def _outcome(sources: Sequence[str], repository: str, target: str) -> dict[str, Any]:
    try:
        report = build(sources, repository, target=target)
    except (TritonForgeError, OSError) as error:
        return {"warnings": (), "failure": str(error)}
    return {"warnings": list(map(str, report.warnings)), "failure": ""}


def _interrupt(number: int, frame: object) -> NoReturn:
    """End as Ctrl-C does: what the build has under way is put away."""
    raise KeyboardInterrupt
