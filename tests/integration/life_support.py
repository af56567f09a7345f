"""Running the command line on servers of its own, with a state folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repositories import DEADLINE_S, Trace

PROGRAM = """\
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
from tritonforge.cli import main
main()
"""
"""The command line, to be started where SIGINT is blocked (`block_interruptions`): one that comes as Python itself
starts waits for this. Python (3.11) would drop it now and then, as what it imports then has callbacks in which a
KeyboardInterrupt is lost."""

PORTS = ("--http-port=0", "--grpc-port=0", "--metrics-port=0")


def block_interruptions() -> None:
    """Have SIGINT wait in this thread, and in what is started from it until that takes it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


@dataclass(frozen=True)
class CommandLine:
    """`tritonforge` in a folder, with the servers of a state folder."""

    state: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "XDG_STATE_HOME": str(self.state),
            "TRITONFORGE_EXIT_TIMEOUT_S": "5",
        }

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end; check its exit code; give what it says, on both its outputs."""
        done = subprocess.run(
            [sys.executable, "-m", "tritonforge", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=2 * DEADLINE_S,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "tritonforge", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def record(self, name: str) -> dict[str, Any]:
        """Read a server's record."""
        record: dict[str, Any] = json.loads((self.folder_of(name) / "record.json").read_text())
        return record

    def folder_of(self, name: str) -> Path:
        """Give the folder of a server's record."""
        return self.state / "tritonforge" / "servers" / name

    def key(self, name: str) -> str:
        """Read the key to a server's restricted APIs."""
        return (self.folder_of(name) / "key").read_text().strip()

    def status(self, name: str, *, code: int = 0) -> dict[str, Any]:
        """Ask for a server's status."""
        found: list[dict[str, Any]] = json.loads(self.run("status", name, "--json", code=code))
        return found[0]

    def trace(self, name: str) -> Trace:
        """Find what a server has on the machine."""
        record = self.record(name)
        workspace = Path(record["served"]).parent
        ports = tuple(int(re.findall(r":(\d+)", record[url])[0]) for url in ("http_url", "grpc_url", "metrics_url"))
        return Trace(os.getsid(record["server_pid"]), f"{workspace.name}-", str(workspace), ports)
