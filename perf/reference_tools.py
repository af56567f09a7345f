"""The generators that ours is held against: perf_analyzer, wrk and h2load, each on one prepared request."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import tritonclient

__all__ = ["Reading", "h2load", "perf_analyzer", "wrk"]

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tritonforge" / "reference"
RELEASE = "2.50.0"  # the last wheel whose perf_analyzer runs with glibc 2.36
PACKAGES = "apt-get install wrk nghttp2-client libb64-0d"
_FEW_REQUESTS = 4096
"""Of h2load, for a first look at its rate."""


@dataclass(frozen=True)
class Reading:
    """One measurement: requests a second, and µs of processors a request (`reference_cost`).

    Of perf_analyzer also latencies, and the server's side by the names of its columns; `seen_us` is what others saw of
    these (`reference_truth`).
    """

    rate: float
    p50_us: float = 0.0
    p99_us: float = 0.0
    server_us: tuple[tuple[str, float], ...] = ()
    generator_cpu_us: float = 0.0
    server_cpu_us: float = 0.0
    seen_us: tuple[tuple[str, float], ...] = ()


def perf_analyzer(url: str, model: str, *, load: list[str], seconds: float) -> Reading:
    """Run perf_analyzer with options of a load (`--concurrency-range 64`) for three windows, in `seconds` together."""
    binary = _binary()
    scheme, _, address = url.partition("://")
    table = CACHE / f"table-{os.getpid()}.csv"
    window = ["--measurement-interval", str(int(seconds * 1000 / 3))]
    window += ["--stability-percentage", "999"]  # three windows, whatever comes: the medians over rounds are compared
    command = [str(binary), "-m", model, "-u", address, "-i", scheme, *load, *window, "-f", str(table)]
    environment = os.environ | {"LD_LIBRARY_PATH": str(binary.parent)}
    said = _run(command, timeout_s=30 + 15 * seconds, env=environment)
    if not table.exists():
        raise RuntimeError(said)
    with table.open() as file:
        row = next(csv.DictReader(file))
    table.unlink()
    # It cuts µs off to whole ones, which takes half of one away in the mean.
    server = tuple((name, float(row[name]) + 0.5) for name in row if name.startswith("Server "))
    return Reading(float(row["Inferences/Second"]), float(row["p50 latency"]), float(row["p99 latency"]), server)


def wrk(request: bytes, url: str, folder: Path, *, concurrency: int, seconds: float) -> Reading:
    """Run wrk on one thread with the body of a prepared HTTP request."""
    head, _, body = request.partition(b"\r\n\r\n")
    path = head.split()[1].decode()
    script = folder / "wrk.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{body.decode()}]==]\n')
    duration = f"-d{max(1, round(seconds))}s"
    said = _run(["wrk", "-t1", f"-c{concurrency}", duration, "-s", str(script), url + path], timeout_s=seconds + 30)
    found = re.search(r"Requests/sec:\s*([\d.]+)", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    return Reading(float(found[1]))


def h2load(message: bytes, url: str, folder: Path, *, concurrency: int, seconds: float, connections: int) -> Reading:
    """Run h2load on one thread with a prepared gRPC message, its streams spread over some connections.

    It is told a number of requests, about as many as take so long: at the end of a duration it resets its streams, and
    calls that are broken off can end Triton 24.10 (its issue 8034).
    """
    body = folder / "body.bin"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    streams = [f"-c{connections}", f"-m{concurrency // connections}"]
    target = f"http://{url.partition('://')[2]}/inference.GRPCInferenceService/ModelInfer"

    def send(count: int) -> float:
        command = ["h2load", "-t1", *streams, f"-n{count}", "-d", str(body), *headers, target]
        said = _run(command, timeout_s=seconds + 30)
        found = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", said)
        if found is None or not re.search(r"0 failed, 0 errored, 0 timeout", said):
            raise RuntimeError(said)
        return float(found[1])

    return Reading(send(max(concurrency, round(send(_FEW_REQUESTS) * seconds))))


def _run(command: list[str], *, timeout_s: float, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=env)
    except FileNotFoundError as error:
        raise SystemExit(f"{command[0]} is not installed: {PACKAGES}") from error
    return done.stdout + done.stderr


def _binary() -> Path:
    """Unpack perf_analyzer of the wheel into the cache, beside the CUDA library of the embedded server's wheel."""
    binary = CACHE / "perf_analyzer"
    if binary.exists():
        return binary
    CACHE.mkdir(parents=True, exist_ok=True)
    download = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        f"tritonclient=={RELEASE}",
        "-d",
        str(CACHE),
    ]
    subprocess.run(download, check=True, timeout=600)
    with zipfile.ZipFile(next(CACHE.glob(f"tritonclient-{RELEASE}-*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("bin/perf_analyzer"))
        part = CACHE / "perf_analyzer.part"
        part.write_bytes(wheel.read(name))
    cuda = next((Path(tritonclient.__file__).parents[1] / "nvidia_pytriton.libs").glob("libcudart-*.so.12*"))
    link = CACHE / "libcudart.so.12"
    link.unlink(missing_ok=True)
    link.symlink_to(cuda)
    part.chmod(0o755)
    part.rename(binary)
    return binary
