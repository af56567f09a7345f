"""Each peer's server: in an environment of its own, made once and kept."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers import Peer

from tritonforge.server.ports import free_ports

__all__ = ["environment", "running"]

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tritonforge" / "peers"
START_S = 120.0


def environment(peer: Peer) -> Path:
    """Make a peer's environment where it is not there yet, by its requirements; give its folder of programs."""
    requirements = HERE / peer.folder / "requirements.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = CACHE / f"{peer.folder}-{key}"
    if not (folder / "whole").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", "-r", requirements], check=True)
        (folder / "whole").touch()
    return folder / "bin"


@contextmanager
def running(peer: Peer, model: Path, *, workers: int) -> Iterator[str]:
    """Run a peer on the files of a model for the block; give its URL once it answers.

    Raises:
        RuntimeError: it ended, or didn't answer in time; with the end of what it said.
    """
    programs, port = environment(peer), free_ports("127.0.0.1", 1)[0]
    program, *words = peer.start(port, workers)
    settings = {**os.environ, "PEER_MODEL": str(model), "OMP_NUM_THREADS": "1"}
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [programs / program, *words], cwd=HERE / peer.folder, env=settings, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + START_S
            while not _answers(url + peer.health):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{peer.name} doesn't answer:\n{log.read()[-2000:]}")
                time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
