#!/usr/bin/env python3
"""Run a command with a Docker daemon: `scripts/with_docker.py COMMAND …`.

Where no daemon answers, docker.io comes from Debian's packages, and a daemon is started for the command alone, with
data and a socket of its own. The image that tests build on is made by debootstrap, from the mirror of this machine's
apt, and kept in the user's cache, and so are a registry and a Prometheus, which are unpacked, not installed: Debian
would start them as services. Where none of this can be (no root, not Debian), it says so, and runs the command
without: tests that need Docker then skip.

Ctrl-C, SIGTERM and SIGHUP end the command, then the daemon, and take its folder away; the exit code is 128 and the
signal's number.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE = "tritonforge-test-base:bookworm"
SUITE, PACKAGES = "bookworm", "python3.11,libpython3.11"
GPU_HOOK = "nvidia-container-runtime-hook"
"""What a daemon calls to give a container GPUs; by its being there it takes that it can."""
NEEDED = {"dockerd": "docker.io", "iptables": "iptables"}
"""What a daemon takes: programs, each with its package."""
UNPACKED = ("docker-registry", "prometheus")
"""Packages of one program each, of the same name."""

START_S, STOP_S = 60.0, 30.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NoDockerError(Exception):
    """Why there can be no Docker here."""


def main(command: list[str]) -> int:
    """Run the command, with Docker if there can be one; give its exit code."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, end)
    try:
        with daemon() as environment:
            make_base(environment)
            add_programs(environment)
            return follow(command, environment)
    except NoDockerError as error:
        print(f"!! NO DOCKER: {error}\n!! The tests of containers are SKIPPED.", flush=True)
        return follow(command, dict(os.environ))


def end(number: int, frame: object) -> None:
    """End this script by a signal, with all that it has started; the ending itself isn't interrupted."""
    for other in SIGNALS:
        signal.signal(other, lambda number, frame: None)  # not SIG_IGN, which children would inherit
    raise SystemExit(128 + number)


def follow(command: list[str], environment: dict[str, str]) -> int:
    """Run the command to its end, and give its exit code; it ends with this script."""
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait for that; nothing if it has ended."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def daemon() -> Iterator[dict[str, str]]:
    """Give the environment in which a daemon is reached: one that is there, or a new one for the block."""
    environment = dict(os.environ)
    if shutil.which("docker") and answers(environment):
        yield environment
        return
    if os.geteuid() != 0:
        raise NoDockerError("no daemon answers, and starting one takes root")
    for program, package in NEEDED.items():
        install(program, package)
    with alone():
        yield from started(environment)


@contextmanager
def alone() -> Iterator[None]:
    """Let one daemon of ours run at a time: two would publish each other's ports (they share a bridge's addresses)."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with (cache_folder() / "daemon.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for the end of another daemon of this script", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def started(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start a daemon, and give the environment in which it is reached, until it is to end."""
    with tempfile.TemporaryDirectory(prefix="tritonforge-docker-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        environment["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
        options = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
        path = f"{add_gpu_hook(folder / 'hooks')}{os.pathsep}{environment.get('PATH', os.defpath)}"
        with (folder / "log").open("wb") as log:
            command = ["dockerd", *options, "-H", environment["DOCKER_HOST"]]
            process = subprocess.Popen(
                command, env={**environment, "PATH": path}, stdout=log, stderr=log, start_new_session=True
            )
        try:
            deadline = time.monotonic() + START_S
            while not answers(environment):
                if process.poll() is not None or time.monotonic() > deadline:
                    last = (folder / "log").read_text(errors="replace")[-2000:]
                    raise NoDockerError(f"dockerd doesn't start on this machine; the end of its log:\n{last}")
                time.sleep(0.2)
            yield environment
        finally:
            stop(process)


def add_gpu_hook(folder: Path) -> Path:
    """Write a stand-in for the hook of NVIDIA's toolkit: containers are told their GPUs, and get none."""
    folder.mkdir()
    hook = folder / GPU_HOOK
    hook.write_text("#!/bin/sh\nexec cat >/dev/null\n")
    hook.chmod(0o755)
    return folder


def answers(environment: dict[str, str]) -> bool:
    """Tell whether a daemon answers."""
    return subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False).returncode == 0


def add_programs(environment: dict[str, str]) -> None:
    """Have docker-compose, and the unpacked programs on PATH; what can't be had is told, and its tests skip."""
    folder = cache_folder() / "programs"
    environment["PATH"] = f"{folder / 'usr/bin'}{os.pathsep}{environment.get('PATH', os.defpath)}"
    try:
        install("docker-compose", "docker-compose")
        for name in UNPACKED:
            if not shutil.which(name, path=environment["PATH"]):
                unpack(name, folder)
    except NoDockerError as error:
        print(f"!! Tests that need this are SKIPPED: {error}", flush=True)


def unpack(package: str, folder: Path) -> None:
    """Unpack a Debian package into a folder."""
    with tempfile.TemporaryDirectory(prefix="tritonforge-package-") as scratch:
        os.chmod(scratch, 0o755)  # apt downloads as a user of its own
        run(["apt-get", "update", "-q"])
        run(["apt-get", "download", "-q", package], folder=scratch)
        for archive in Path(scratch).glob("*.deb"):
            run(["dpkg-deb", "-x", str(archive), str(folder)])


def make_base(environment: dict[str, str]) -> None:
    """Have the base image in the daemon: Debian with its Python, and nothing more."""
    if subprocess.run(
        ["docker", "image", "inspect", IMAGE], env=environment, capture_output=True, check=False
    ).returncode:
        cache = cache_folder() / f"{SUITE}-python3.11.tar"
        if not cache.is_file():
            bootstrap(cache)
        run(["docker", "import", str(cache), IMAGE], environment)


def cache_folder() -> Path:
    """Give the folder in which things are kept from run to run."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tritonforge"


def bootstrap(target: Path) -> None:
    """Write the base image's files into an archive."""
    if os.geteuid() != 0:
        raise NoDockerError("making the tests' base image takes root")
    install("debootstrap", "debootstrap")
    print(f"making the tests' base image, {target}", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tritonforge-base-") as scratch:
        root = Path(scratch) / "root"
        try:
            run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(root), mirror()])
        finally:
            unmount(root)
        for cached in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / cached, ignore_errors=True)
        new = target.with_suffix(".new")
        run(["tar", "-C", str(root), "-cf", str(new), "."])
        new.rename(target)


def unmount(root: Path) -> None:
    """Take away what debootstrap has mounted there, and leaves where it fails: it isn't ours to archive or remove."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for folder in sorted((path for path in mounted if Path(path).is_relative_to(root)), reverse=True):
        run(["umount", "--lazy", folder])


def mirror() -> str:
    """Give the Debian mirror of this machine's apt."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Identifier: Packages"]
    if shutil.which("apt-get"):
        for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
            uri, codename, component = line.split()
            if codename == SUITE and component == "main" and uri.rstrip("/").endswith("debian"):
                return uri
    raise NoDockerError(f"the tests' base image is Debian's {SUITE}, and this machine's apt has no mirror of that")


def install(program: str, package: str) -> None:
    """Install a program's Debian package if it is missing."""
    if shutil.which(program):
        return
    if not shutil.which("apt-get"):
        raise NoDockerError(f"{program} is missing, and there is no apt-get to install it")
    run(["apt-get", "update", "-q"])
    options = ["--yes", "--quiet", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
    run(["apt-get", "install", *options, package], {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def run(command: list[str], environment: dict[str, str] | None = None, *, folder: str | None = None) -> None:
    """Run a step, in a folder; its output is shown only if it fails."""
    done = subprocess.run(
        command,
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise NoDockerError(f"{' '.join(command[:3])} … fails:\n{done.stdout[-2000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
