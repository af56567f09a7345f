"""How much longer `tritonforge up` takes than tritonserver alone, on one repository, from nothing to ready.

    .venv/bin/python perf/bench_up.py [REPOSITORY] [--runs 5]

Alone is the wheel's program with the files that it needs laid out beforehand, polled until it is ready: as it is by
default, and told to complete no configurations, as `up` tells it where all models say all, so that each Python process
is started once. All are measured from the start of their process, in turns; the medians and the differences are
printed, in seconds. The second difference is what `up` itself takes.

Both have byte code, as they do where they are installed: PYTHONDONTWRITEBYTECODE is unset. Alone serves a copy of the
repository, beside which its models' byte code stays from one run to the next; `up` serves a snapshot without any.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from figures import note

from tritonforge.resources import python_backends
from tritonforge.server.asking.health import Health
from tritonforge.server.installed.backends import assemble_backends
from tritonforge.server.installed.libpython import SONAME, choose_libpython
from tritonforge.server.installed.stub_python import make_stub_python
from tritonforge.server.launch import resolve_ports
from tritonforge.server.machine import probe
from tritonforge.server.settings.command import server_command, server_environment
from tritonforge.server.settings.server import ServerSettings

POLL_S = 0.005
DEADLINE_S = 120.0
LIMIT_S = 0.5


def main() -> None:
    """Measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", nargs="?", type=Path, default=Path("generated_repo"))
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    repository = options.repository.absolute()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    alone, terse, ours = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        environment = lay_out(folder)
        copy = shutil.copytree(repository, folder / "repository")
        for _ in range(options.runs):
            alone.append(time_alone(copy, folder, environment))
            terse.append(time_alone(copy, folder, environment, auto_complete=False))
            ours.append(time_up(repository, folder))
    middle, quick, up = statistics.median(alone), statistics.median(terse), statistics.median(ours)
    print(f"tritonserver alone          {middle:.2f} s  {[round(value, 2) for value in alone]}")
    print(f"alone, completing nothing   {quick:.2f} s  {[round(value, 2) for value in terse]}")
    print(f"tritonforge up              {up:.2f} s  {[round(value, 2) for value in ours]}")
    note("longer than tritonserver alone", up - middle, "s", at_most=LIMIT_S)
    note("longer than tritonserver alone with the same flags", up - quick, "s")
    print(f"difference                  {up - middle:.2f} s (limit {LIMIT_S:g} s); {up - quick:.2f} s to the second")
    sys.exit(0 if up - middle <= LIMIT_S else 1)


def lay_out(folder: Path) -> dict[str, str]:
    """Put the wheel's server together, and give its environment."""
    machine = probe()
    library = choose_libpython(machine.libpythons)
    assert library is not None
    assert machine.installation is not None
    version = ".".join(machine.python.split(".")[:2])
    assemble_backends(folder / "backends", machine.installation, python=version, ours=python_backends())
    (folder / "lib").mkdir()
    (folder / "lib" / SONAME).symlink_to(library.path)
    return server_environment(
        os.environ,
        python=make_stub_python(folder / "python", os.environ),
        libraries=(folder / "lib", machine.installation.libraries),
    )


def time_alone(
    repository: Path, folder: Path, environment: dict[str, str], *, auto_complete: bool | None = None
) -> float:
    """Time tritonserver from its start until it is ready."""
    installation = probe().installation
    assert installation is not None
    settings = resolve_ports(ServerSettings(http_port=0, grpc_port=0, metrics_port=0, auto_complete=auto_complete))
    command = server_command(
        installation, repository, folder / "backends", settings=settings, shared_memory=f"bench-{os.getpid()}-"
    )
    health = Health(settings.host, settings.http_port)
    started = time.perf_counter()
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while health.status() != 200:
            assert server.poll() is None, "tritonserver ended"
            assert time.perf_counter() - started < DEADLINE_S, "tritonserver is not ready"
            time.sleep(POLL_S)
        return time.perf_counter() - started
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def time_up(repository: Path, folder: Path) -> float:
    """Time `tritonforge up` from its start until it says that it is ready."""
    command = [sys.executable, "-m", "tritonforge", "up", str(repository)]
    command += ["--http-port=0", "--grpc-port=0", "--metrics-port=0"]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    started = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                took_s = time.perf_counter() - started
                process.send_signal(signal.SIGTERM)
                process.wait()
                return took_s
    raise AssertionError("tritonforge up ended before it was ready")


if __name__ == "__main__":
    main()
