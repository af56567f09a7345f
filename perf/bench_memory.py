"""The memory of an instance of a NumPy model, beyond what the user's own code takes.

    python perf/bench_memory.py [--instances N]

Serves a NumPy model of N instances, asks it 400 times, and reads each stub's own memory (USS: Private_Clean +
Private_Dirty) and its proportional share (PSS) from /proc/PID/smaps_rollup. `hand` is the same model written by hand,
which is what Triton's stub, CPython and NumPy take by themselves; the difference is what tritonforge's runtime adds.
The user's own here is nothing but two vectors of 20 numbers, so that the whole figure is beyond it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_runtime import BY_HAND, MODEL, ROW, write
from figures import note
from server_memory import MIB, Memory, measure

from tritonforge.client import Client
from tritonforge.server import Server

MODELS = (MODEL, "hand")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--instances", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        repository = write(Path(folder))
        add_by_hand(repository)
        for file in repository.glob("*/config.pbtxt"):
            file.write_text(file.read_text().replace("count: 1", f"count: {options.instances}"))
        with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
            ask(server)
            processes, shared = measure(server.pid)
    print(f"/dev/shm of all {len(processes) - 1} stubs together: {shared / MIB:.1f} MiB")
    for name in MODELS:
        report(name, [process for process in processes if process.name == name])


def add_by_hand(repository: Path) -> None:
    """Put the model by hand beside the generated one, with the same config.pbtxt."""
    config = (repository / MODEL / "config.pbtxt").read_text()
    (repository / "hand" / "1").mkdir(parents=True)
    (repository / "hand" / "config.pbtxt").write_text(config.replace(f'"{MODEL}"', '"hand"'))
    (repository / "hand" / "1" / "model.py").write_text(f"{BY_HAND}\n\nTritonPythonModel = ByHand\n")


def ask(server: Server) -> None:
    """Keep each instance busy for a moment."""
    for name in MODELS:
        with Client(server.http_url) as client, ThreadPoolExecutor(8) as threads:
            for _ in threads.map(lambda _, name=name, client=client: client.infer(name, x=ROW), range(400)):
                pass


def report(name: str, stubs: list[Memory]) -> None:
    """Print a model's figures, of one instance."""
    uss, pss, rss = (statistics.median(getattr(stub, kind) for stub in stubs) / MIB for kind in ("uss", "pss", "rss"))
    note(f"{name}: USS of an instance", uss, "MiB", at_most=60 if name == MODEL else None)
    print(f"{name:>10}: {len(stubs)} instances, each USS {uss:.1f} MiB, PSS {pss:.1f} MiB, RSS {rss:.1f} MiB")


if __name__ == "__main__":
    main()
