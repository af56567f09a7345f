"""The example classifier on what a user would pick instead, beside tritonforge: writes perf/REPORT.md.

    python perf/peers/bench.py [--peers NAME …] [--rounds N] [--seconds S] [--workers N] [--concurrency N …]

Each peer computes the same two steps (scale, boosted trees) from the same JSON of 30 numbers, in as many processes,
and must give the known answers first. All servers run at once, idle unless it is their turn; wrk takes turns among
them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from environments import running
from peers import PEERS, TRITON, Peer
from wrk_json import Figures, load_json

from tritonforge.build import build
from tritonforge.report import Table, markdown
from tritonforge.report.charts.frame import WIDE
from tritonforge.report.charts.lines import LinePlot, Series, draw_lines
from tritonforge.report.charts.numbers import compact, duration, plain
from tritonforge.report.picture import standalone_svg
from tritonforge.server import Server

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples" / "breast_cancer"
REPORT = HERE.parent / "REPORT.md"

Found = dict[tuple[str, int], list[Figures]]


def main() -> None:
    """Measure, and write the report and its plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    chosen = [TRITON, *(PEERS[name] for name in options.peers)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        urls = {TRITON.name: stack.enter_context(triton(Path(folder), options.workers))}
        for peer in chosen[1:]:
            urls[peer.name] = stack.enter_context(running(peer, EXAMPLE, workers=options.workers))
        for peer in chosen:
            check_answers(peer, urls[peer.name])
        found = measure(chosen, urls, Path(folder), options)
    write(chosen, found, options)


@contextmanager
def triton(folder: Path, workers: int) -> Iterator[str]:
    """Serve the example's steps as one Python model of as many instances as the peers have processes."""
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("train.py", "__pycache__"))
    definitions = (HERE / "definitions.py").read_text()
    (source / "fused.py").write_text(definitions.replace("cpu=2", f"cpu={workers}"))
    build([source / "fused.py"], folder / "model_repository")
    with Server.embedded(folder / "model_repository", http_port=0, grpc_port=0, metrics_port=0) as server:
        yield server.http_url


def rows() -> tuple[list[list[float]], list[int]]:
    """Give the example's rows that training hasn't seen, and what they truly are."""
    held = dict(np.load(EXAMPLE / "holdout.npz"))
    return held["features"].tolist(), held["label"].tolist()


def check_answers(peer: Peer, url: str, count: int = 40) -> None:
    """Ask for rows whose label is known; nine in ten answers must be right, as the classifier's are.

    Raises:
        RuntimeError: it doesn't.
    """
    right = 0
    features, labels = rows()
    for row, label in zip(features[:count], labels[:count], strict=True):
        body = json.dumps(peer.body(row)).encode()
        request = urllib.request.Request(url + peer.path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            right += peer.label(json.loads(response.read())) == label
    if right < 0.9 * count:
        raise RuntimeError(f"{peer.name}: {right} of {count} answers are right")


def measure(chosen: list[Peer], urls: dict[str, str], folder: Path, options: argparse.Namespace) -> Found:
    """Load each server in turn, A B B A, after a round that doesn't count."""
    row = rows()[0][0]
    found: Found = {}
    for concurrency in options.concurrency:
        order = list(chosen)
        for number in range(options.rounds + 1):
            for peer in order:
                load = partial(load_json, urls[peer.name] + peer.path, json.dumps(peer.body(row)), folder)
                figures = load(concurrency=concurrency, seconds=options.seconds)
                if number:
                    found.setdefault((peer.name, concurrency), []).append(figures)
            order.reverse()
        for peer in chosen:
            print(
                f"concurrency {concurrency}: {peer.name} {median(found, peer, concurrency, 'rate'):.0f}/s", flush=True
            )
    return found


def median(found: Found, peer: Peer, concurrency: int, name: str) -> float:
    """Give the median over rounds of a figure."""
    return statistics.median(getattr(figures, name) for figures in found[peer.name, concurrency])


def write(chosen: list[Peer], found: Found, options: argparse.Namespace) -> None:
    """Write the report and its plot."""
    REPORT.with_name("peers.svg").write_text(standalone_svg(draw_lines(plot(chosen, found, options), WIDE)))
    words = (
        f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"Python {platform.python_version()}; load average at the end {os.getloadavg()[0]:.1f}"
    )
    REPORT.write_text(
        "# The example classifier, beside what else could serve it\n\n"
        "Written by `make bench`; not by hand. Breast cancer: 30 numbers in, label and probability out, as JSON over "
        "HTTP; tritonforge's is the fused pipeline. The estimator is ONNX, or scikit-learn's own where a peer's name "
        f"says so. {options.workers} processes each; the generator (wrk, one thread) on the same cores; medians of "
        f"{options.rounds} rounds of {options.seconds} s, in turns.\n\n"
        f"{words}.\n\n{markdown(table(chosen, found, options))}\n\n![p99 over throughput](peers.svg)\n"
    )
    print(f"wrote {REPORT}")


def table(chosen: list[Peer], found: Found, options: argparse.Namespace) -> Table:
    """Give a row for each server and concurrency, with what tritonforge makes of it."""
    made = []
    for concurrency in options.concurrency:
        ours = median(found, TRITON, concurrency, "rate")
        for peer in chosen:
            rate = median(found, peer, concurrency, "rate")
            made.append(
                (
                    str(concurrency),
                    peer.name,
                    compact(rate),
                    duration(median(found, peer, concurrency, "p50_us")),
                    duration(median(found, peer, concurrency, "p99_us")),
                    "" if peer is TRITON else f"{plain(ours / rate)}×",
                )
            )
    return Table(("concurrency", "server", "requests/s", "p50", "p99", "tritonforge makes"), tuple(made), words=2)


def plot(chosen: list[Peer], found: Found, options: argparse.Namespace) -> LinePlot:
    """Draw p99 over throughput, a line for each server."""
    series = tuple(
        Series(
            peer.name.split(", ")[-1],
            style,
            tuple((median(found, peer, c, "rate"), median(found, peer, c, "p99_us")) for c in options.concurrency),
            tuple(f"concurrency {c}" for c in options.concurrency),
            tuple(str(c) for c in options.concurrency),
        )
        for style, peer in enumerate(chosen, start=1)
    )
    title = "p99 over throughput"
    return LinePlot("peers", title, "A line for each server.", "requests a second", "p99", series, y_is_time=True)


if __name__ == "__main__":
    main()
