"""How often `perf compare` is wrong about real servers: the same one beside itself, and one that is a tenth slower.

    python perf/bench_compare.py [--same N] [--slower N] [--pairs N] [--window S] [--results FILE] [--minutes M]

One embedded server holds two Python models that sleep: `even`, and `slow` a tenth longer. A comparison of `even` with
itself must call it different in at most 5 % of cases; one with `slow` must find it worse in at least 90 %, in under
60 s each. A comparison takes 48 windows of 0.1 s and 0.07 s before each, some 8 s: all 70 are done in 10 minutes.

With --results each comparison is a line of a file, and those that are there aren't measured again: a run that was
stopped, or that ended after --minutes, goes on where it was. The last table draws comparisons of fewer and more pairs
from all pairs that were measured, and says how often those would have been right.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from compare_records import Record, draw, read_records, rounds_of, verdict_of, write_record
from figures import note

from tritonforge.load import Load, ModelLoad, Session, Settings, Window
from tritonforge.report.compare import windows_of
from tritonforge.report.interleave import take_turns
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


LOAD = Load("concurrency", 1)
COUNTED = {"even": ("worse", "better"), "slow": ("worse",)}
DRAWS = 2000


def main() -> None:
    """Compare, and print how often it was right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--same", type=int, default=50)
    parser.add_argument("--slower", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--window", type=float, default=0.1)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    records = read_records(options.results, options.pairs, options.window)
    wanted = [("even", seed) for seed in range(options.same)] + [("slow", seed) for seed in range(options.slower)]
    missing = [case for case in wanted if case not in {(record.new, record.seed) for record in records}]
    end = time.monotonic() + options.minutes * 60
    if missing:
        with tempfile.TemporaryDirectory() as folder:
            write_models(Path(folder), factor=1.1)
            with (
                Server.embedded(folder, http_port=0, grpc_port=0, metrics_port=0) as server,
                sessions(server.http_url, options.window) as found,
            ):
                for new, seed in itertools.takewhile(lambda _: time.monotonic() < end, spread(missing)):
                    records.append(compare(found, new, seed, options))
                    write_record(options.results, records[-1])
    kept = [record for record in records if (record.new, record.seed) in wanted]
    sys.exit(summarize(kept, wanted))


def spread(cases: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Put the cases in an order in which both kinds are met from the start."""
    return sorted(cases, key=lambda case: (case[1] / sum(other[0] == case[0] for other in cases), case))


def summarize(records: list[Record], wanted: list[tuple[str, int]]) -> int:
    """Print how often it was right, and would be with other numbers of pairs; give the exit code."""
    failed = False
    for new, what, limit in (("even", "the same", 0.05), ("slow", "a tenth slower", 0.9)):
        found = [record for record in records if record.new == new]
        if not found:
            continue
        number, asked = sum(verdict_of(record) in COUNTED[new] for record in found), sum(new == w for w, _ in wanted)
        longest = max(record.took_s for record in found)
        share, least = number / len(found), new == "slow"
        print(
            f"{what}: {number} of {len(found)} called {' or '.join(COUNTED[new])}; wanted: "
            f"{'at least' if least else 'at most'} {limit:.0%}; {asked - len(found)} not measured; "
            f"the longest took {longest:.0f} s"
        )
        note(f"compare: {what}, called {' or '.join(COUNTED[new])}", share * 100, "%",
             **{"at_least" if least else "at_most": limit * 100})  # fmt: skip
        failed |= (share < limit if least else share > limit) or longest >= 60 or len(found) < asked
        for pairs in (10, 12, 14, 20, 30):
            rate = sum(verdict_of(each) in COUNTED[new] for each in draw(found, pairs, DRAWS)) / DRAWS
            print(f"  of {DRAWS} drawn with {pairs} pairs each: {rate:.1%}")
    return int(failed)


def write_models(folder: Path, *, factor: float) -> None:
    """Write a model that takes about `SLEEP_S` a request, and one whose whole call takes `factor` times as long.

    A call has some 0.5 ms beside the sleep, so that the slow one sleeps for a tenth of that longer, too.
    """
    for name, seconds in {"even": SLEEP_S, "slow": SLEEP_S * factor + 0.0005 * (factor - 1)}.items():
        version = folder / name / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text(MODEL.replace("SLEEP_S", repr(seconds)))
        (version.parent / "config.pbtxt").write_text(CONFIG)


@contextlib.contextmanager
def sessions(url: str, window_s: float) -> Iterator[dict[str, Session]]:
    """Open a session for the base and one for each that is compared with it."""
    with contextlib.ExitStack() as stack:
        found = {}
        for name, model in (("base", "even"), ("even", "even"), ("slow", "slow")):
            settings = Settings(
                url, (ModelLoad(model),), (LOAD,), window_s=window_s, warmup_s=0.02, server_statistics=False
            )
            found[name] = stack.enter_context(Session(settings))
        yield found


def compare(found: dict[str, Session], new: str, seed: int, options: argparse.Namespace) -> Record:
    """Compare the base with another in windows that take turns."""
    started = time.perf_counter()
    measures = [measurer(found["base"]), measurer(found[new])]
    windows = take_turns(measures, rounds=options.pairs, seed=seed)
    took_s = time.perf_counter() - started
    sides = (windows_of(windows[0]), windows_of(windows[1]))
    record = Record(new, seed, options.window, took_s, rounds_of(*sides))
    print(f"even / {new} #{seed}: {verdict_of(record)} in {took_s:.1f} s", flush=True)
    return record


def measurer(session: Session) -> Callable[[], Window]:
    """Make the function that measures a window."""
    return lambda: session.measure(LOAD, windows=1).windows[-1]


if __name__ == "__main__":
    main()
