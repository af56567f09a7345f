"""Each peer's environment, made once and kept by its requirements; and its server, run for a block."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from peers import Peer

from tritonforge.server.ports import free_ports

__all__ = ["PeerFailed", "Running", "environment", "installed", "running"]

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tritonforge" / "peers"
START_S = 180.0
STOP_S = 15.0


class PeerFailed(RuntimeError):
    """A peer can't be installed, doesn't start, or answers wrongly; with the end of what it said."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: where, the process above all of its own, and how long it took to be ready."""

    url: str
    ports: tuple[int, ...]
    pid: int
    start_s: float


def environment(peer: Peer) -> Path:
    """Make a peer's environment where it is not there yet; give its folder of programs.

    A peer without requirements (tritonforge) runs in the present one. Raise PeerFailed where pip can't install it.
    """
    requirements = HERE / peer.key / "requirements.txt"
    if not requirements.exists():
        return Path(sys.executable).parent
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / f"{peer.key}-{key}"
    if not (folder / "whole").exists():
        venv: list[str | Path] = [sys.executable, "-m", "venv", "--clear", folder]
        pip: list[str | Path] = [folder / "bin" / "pip", "install", "-q", "-r", requirements]
        for command in (venv, pip):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PeerFailed(f"can't be installed: {_end(done.stderr or done.stdout)}")
        (folder / "whole").touch()
    return folder / "bin"


def installed(programs: Path, peer: Peer) -> dict[str, str]:
    """Give the versions of the packages that a peer's requirements name."""
    requirements = HERE / peer.key / "requirements.txt"
    if not requirements.exists():
        return {}
    names = {line.partition("==")[0].partition("[")[0].lower() for line in requirements.read_text().splitlines()}
    said = subprocess.run([programs / "pip", "list", "--format", "json"], capture_output=True, text=True, check=True)
    return {item["name"]: item["version"] for item in json.loads(said.stdout) if item["name"].lower() in names}


@contextmanager
def running(peer: Peer, model: str, folder: Path, *, workers: int) -> Iterator[Running]:
    """Run a peer on the files of a model for the block, with its own processes ended afterwards.

    Raise PeerFailed where it ended, or didn't answer in time.
    """
    programs, ports = environment(peer), free_ports("127.0.0.1", 3)
    url, began = f"http://127.0.0.1:{ports[0]}", time.monotonic()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True)))
        fill = {"port": ports[0], "ports": ports, "workers": workers, "scratch": scratch}
        program, *words = (word.format(**fill) for word in peer.command)
        own = {name: value.format(**fill) for name, value in peer.environment.items()}
        settings = os.environ | own | _settings(model, folder, scratch, ports, workers, programs)
        log = stack.enter_context((scratch / "log").open("w"))
        process = subprocess.Popen(
            [programs / program, *words], cwd=HERE / peer.key, env=settings, stdout=log, stderr=log
        )
        stack.callback(_stop, process)
        while not _answers(url + peer.health):
            if process.poll() is not None or time.monotonic() > began + START_S:
                raise PeerFailed(f"doesn't answer: {_end((scratch / 'log').read_text(errors='replace'))}")
            time.sleep(0.1)
        yield Running(url, tuple(ports), process.pid, time.monotonic() - began)


def _settings(
    model: str, folder: Path, scratch: Path, ports: list[int], workers: int, programs: Path
) -> dict[str, str]:
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(HERE / "common"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "PEER_MODEL": model,
        "PEER_FOLDER": str(folder),
        "PEER_SCRATCH": str(scratch),
        "PEER_PORT": str(ports[0]),
        "PEER_PORTS": ",".join(map(str, ports)),
        "PEER_WORKERS": str(workers),
    }


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a peer; then what is left of its processes, which some of them leave behind."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    process.kill()
    process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _end(text: str) -> str:
    """Give the end of what a program said, without the lines that say nothing."""
    return "\n".join(line for line in text.splitlines() if line.strip())[-1500:]
