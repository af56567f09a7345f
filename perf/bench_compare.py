"""How often `perf compare` is wrong about real servers: the same one beside itself, and one that is a tenth slower.

    python perf/bench_compare.py [--same N] [--slower N] [--pairs N] [--window S]

One embedded server holds two Python models that sleep: `even`, and `slow` a tenth longer. A comparison of `even` with
itself must call it different in at most 5 % of cases; one with `slow` must find it worse in at least 90 %, in under
60 s each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tritonforge.load import Load, ModelLoad, Session, Settings, Window
from tritonforge.report import Comparison, Rules
from tritonforge.report.compare import windows_of
from tritonforge.report.interleave import take_turns
from tritonforge.report.verdicts import compare_points
from tritonforge.server import Server

CONFIG = """
backend: "python" max_batch_size: 64
input { name: "x" data_type: TYPE_FP32 dims: [20] }
output { name: "y" data_type: TYPE_FP32 dims: [20] }
"""
MODEL = """
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        time.sleep(SLEEP_S)
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("y", request.inputs()[0].as_numpy())]) for request in requests
        ]
"""
SLEEP_S = 0.008


def main() -> None:
    """Compare, and print how often it was right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--same", type=int, default=50)
    parser.add_argument("--slower", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--window", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder), factor=1.1)
        with Server.embedded(folder, http_port=0, grpc_port=0, metrics_port=0) as server:
            same = [compare(server.http_url, "even", options, seed) for seed in range(options.same)]
            slower = [compare(server.http_url, "slow", options, seed) for seed in range(options.slower)]
    wrong = report("the same", same, ("worse", "better"))
    found = report("a tenth slower", slower, ("worse",))
    failed = (wrong > 0.05 * options.same) or (found < 0.9 * options.slower)
    sys.exit(1 if failed else 0)


def write_models(folder: Path, *, factor: float) -> None:
    """Write a model that takes about `SLEEP_S` a request, and one whose whole call takes `factor` times as long.

    A call has some 0.5 ms beside the sleep, so that the slow one sleeps for a tenth of that longer, too.
    """
    for name, seconds in {"even": SLEEP_S, "slow": SLEEP_S * factor + 0.0005 * (factor - 1)}.items():
        version = folder / name / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL.replace("SLEEP_S", repr(seconds)))
        (version.parent / "config.pbtxt").write_text(CONFIG)


def compare(url: str, new: str, options: argparse.Namespace, seed: int) -> tuple[Comparison, float]:
    """Compare `even` with another model in windows that take turns; give the seconds that it took too."""
    started = time.perf_counter()
    load = Load("concurrency", 1)
    settings = [
        Settings(url, (ModelLoad(name),), (load,), window_s=options.window, warmup_s=0.1, server_statistics=False)
        for name in ("even", new)
    ]
    with Session(settings[0]) as base, Session(settings[1]) as other:
        windows = take_turns([measurer(base, load), measurer(other, load)], rounds=options.pairs, seed=seed)
    sides = (windows_of(windows[0]), windows_of(windows[1]))
    comparison = compare_points({str(load): sides}, base="even", new=new, rules=Rules(), paired=True)
    took_s = time.perf_counter() - started
    ratios = ", ".join(f"{c.figure.name} {c.ratio.estimate:.3f} {c.verdict}" for c in comparison.points[0].figures)
    print(f"even / {new} #{seed}: {comparison.points[0].verdict} ({ratios}) in {took_s:.0f} s", flush=True)
    return comparison, took_s


def measurer(session: Session, load: Load) -> Callable[[], Window]:
    """Make the function that measures a window."""
    return lambda: session.measure(load, windows=1).windows[-1]


def report(what: str, found: list[tuple[Comparison, float]], counted: tuple[str, ...]) -> int:
    """Print how many comparisons have one of the counted verdicts, and give that number."""
    number = sum(comparison.points[0].verdict in counted for comparison, _ in found)
    longest = max((took_s for _, took_s in found), default=0.0)
    print(f"{what}: {number} of {len(found)} called {' or '.join(counted)}; the longest took {longest:.0f} s")
    return number


if __name__ == "__main__":
    main()
