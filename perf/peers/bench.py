"""What else could serve the examples, beside tritonforge, in one run and in turns: the figures behind perf/REPORT.md.

    python perf/peers/bench.py [--peers NAME …] [--models NAME …] [--rounds N] [--seconds S] [--json FILE]

Each server computes the same model from the same numbers as JSON, with as many workers and batches as large, and must
give eager Python's answers before it is measured, and while it is. All run at once, idle unless it is their turn; our
load generator sends one prepared request over and over, and takes turns among them (A B C, C B A, …).
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from environments import PeerFailed, Running, environment, installed, running
from measure import Bench, Row, rows_of
from peers import PEERS, TRITONFORGE, Peer
from tasks import TASKS, Task, check_answers

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import describe_machine, save
from server_memory import measure as measure_memory

Figures = list[dict[str, Any]]

ATTEMPTS = 3

SECOND = ("fastapi_onnxruntime", "litserve", "torchserve", "pytriton")
"""Peers of the second model: the plain endpoint, and those that were the strongest on the first."""


def main() -> None:
    """Measure all, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--models", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are ended
    began = describe_machine()
    kept = {key: value for key, value in vars(options).items() if key != "json"}
    servers: Figures = []
    points: Figures = []
    for name in options.models:
        task = TASKS[name]()
        wanted = [PEERS[key] for key in options.peers if name in PEERS[key].tasks]
        if name != next(iter(TASKS)):
            wanted = [peer for peer in wanted if peer.key in SECOND]
        run_task(task, [TRITONFORGE, *wanted], options, servers, points)
        if options.json:
            save(options.json, {"settings": kept, "servers": servers, "points": points}, began)


def run_task(task: Task, wanted: list[Peer], options: argparse.Namespace, servers: Figures, points: Figures) -> None:
    """Start the servers of a model, measure those that are right, and add what was found."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows: list[Row] = []
        up: list[tuple[Running, dict[str, Any]]] = []
        for peer in wanted:
            known = {"key": peer.key, "name": peer.name, "settings": peer.settings}
            servers.append({"task": task.name, "title": task.title} | known)
            server = bring_up(peer, task, options.workers, servers[-1], stack)
            if server is not None:
                up.append((server, servers[-1]))
                rows += rows_of(peer, task, server, folder)
        bench = stack.enter_context(Bench(rows, options.seconds))
        first = task.name == next(iter(TASKS))
        loads = options.concurrency if first else sorted({min(options.concurrency), max(options.concurrency)})
        points += bench.run(task.name, loads, options.rounds)
        for server, found in up:
            found["memory"] = memory_of(server)


def bring_up(peer: Peer, task: Task, workers: int, found: dict[str, Any], stack: ExitStack) -> Running | None:
    """Start a server and check its answers; None where that fails, with the reason in what is found of it."""
    try:
        found["versions"] = installed(environment(peer), peer)
        server = start(peer, task, workers, stack)
        check_answers(peer, task, server)
    except PeerFailed as error:
        found["error"] = str(error)
        print(f"{task.name}: {peer.name} {error}", file=sys.stderr, flush=True)
        return None
    found["start_s"] = server.start_s
    print(f"{task.name}: {peer.name} is ready after {server.start_s:.1f} s", flush=True)
    return server


def start(peer: Peer, task: Task, workers: int, stack: ExitStack) -> Running:
    """Start a server, anew where it fails: some give their own processes only a second to meet."""
    for _ in range(ATTEMPTS - 1):
        with suppress(PeerFailed):
            return stack.enter_context(running(peer, task.name, task.folder, workers=workers))
    return stack.enter_context(running(peer, task.name, task.folder, workers=workers))


def memory_of(server: Running) -> dict[str, int]:
    """Add up the memory of all of a server's processes, in bytes."""
    processes, shared = measure_memory(server.pid)
    own, proportional = sum(process.uss for process in processes), sum(process.pss for process in processes)
    return {"processes": len(processes), "uss": own, "pss": proportional, "shm": shared}


if __name__ == "__main__":
    main()
