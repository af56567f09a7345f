"""Our load generator beside perf_analyzer, wrk and h2load: in one run, against one embedded server, taking turns.

    python perf/reference.py [--rounds N] [--seconds S] [--rate R] [--apart] [--stall]

The model is the breast-cancer example fused into one Python model, one row a request. perf_analyzer sends binary
tensors (it has no JSON without base64) and runs as its user would run it, with its defaults, and with --async. Three
tables: the ceilings at concurrency 64, with the µs of processors that each request took of the generator and of the
server; latency and the server's figures at half of perf_analyzer's ceiling as a fixed rate, with 16 connections, binary
tensors and by the same definition of latency (from the actual send); and, with --stall, what a server that stalls for
1 s shows at 100/s in 20 s.

Generator and server share two cores here, and batches are smaller at a fixed rate than with 64 in flight, so that half
of the ceiling takes nearly all of both ("cores busy"): whose generator takes less of them has a quicker server. The
second table therefore has a column "as dear": ours, with what it takes less than perf_analyzer burnt beside it
(`reference_burden`). And it is also made at an eighth of the ceiling, where about half is idle, and there what each
generator says is held against what the wire and the server's counters saw of the same run (as root; --no-witness
leaves it out). With --apart the server has the first core and the generator
the second, in further tables: what then remains between two generators is their own.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from figures import note
from reference_burden import burdened
from reference_cores import apart
from reference_cost import Meter, cost_of
from reference_tools import Reading, h2load, perf_analyzer, wrk
from reference_truth import LATENCY_WITHIN, SERVER, SERVER_WITHIN, show_truth, watched

from tritonforge.build import build
from tritonforge.load import Data, Load, ModelLoad, Point, Session, Settings
from tritonforge.load.address import parse_address
from tritonforge.load.input.prepare import Wanted, prepare
from tritonforge.server import Server

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "breast_cancer"
MODEL = "example_fused"
DEFINITIONS = f"""
from breast_cancer import breast_cancer
from tritonforge import pipeline

{MODEL} = pipeline(lowering="fused")(breast_cancer)
"""
STALL_CONFIG = """
name: "stall" backend: "python"
input { name: "x" data_type: TYPE_FP32 dims: [1] }
output { name: "y" data_type: TYPE_FP32 dims: [1] }
"""
STALL_MODEL = """
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.seen = 0

    def execute(self, requests):
        self.seen += len(requests)
        if self.seen == 1000:
            time.sleep(1)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", r.inputs()[0].as_numpy())]) for r in requests]
"""
ROW = {"features": ("FP32", np.random.default_rng(0).random((1, 30), np.float32))}
CONCURRENCY = 64
SHARES = (2, 8)
"""Parts of the ceiling that are fixed rates."""
FLOORS = {
    ("http", "perf_analyzer"): 1.6,
    ("http", "wrk"): 0.75,
    ("grpc", "perf_analyzer"): 1.2,
    ("grpc", "h2load"): 0.85,
}
Measure = Callable[[], Reading]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=int, help="the fixed rate; the ceilings are left out")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--no-witness", action="store_true")
    parser.add_argument("--stall", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = write_repository(folder)
        with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
            meter = Meter(server.http_url, MODEL)
            for protocol, url in (("http", server.http_url), ("grpc", server.grpc_url)):
                rates = [options.rate] if options.rate else []
                if not rates:
                    ceiling = compare_ceilings(protocol, url, folder, meter, options.rounds, options.seconds)
                    rates = [round(ceiling / share) for share in SHARES]
                for rate in rates:
                    witness = rate == rates[-1] and not options.no_witness
                    compare_latency(protocol, url, rate, meter, options, witness=witness)
                if options.apart:
                    with apart(meter.server_pid):
                        compare_latency(protocol, url, rates[-1], meter, options, how=", apart")
            if options.stall:
                show_stall(server.http_url)


def write_repository(folder: Path) -> Path:
    """Build the fused example, and a model that stalls."""
    source = folder / "source"
    shutil.copytree(EXAMPLE, source)
    (source / "reference_models.py").write_text(DEFINITIONS)
    build([source / "reference_models.py"], folder / "model_repository")
    version = folder / "model_repository" / "stall" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(STALL_MODEL)
    (version.parent / "config.pbtxt").write_text(STALL_CONFIG)
    return folder / "model_repository"


def compare_ceilings(protocol: str, url: str, folder: Path, meter: Meter, rounds: int, seconds: float) -> float:
    """Print requests a second at concurrency 64; give perf_analyzer's."""
    with contextlib.ExitStack() as stack:
        measures: dict[str, Measure] = {}
        for body in ("JSON", "binary") if protocol == "http" else ("binary",):
            session = stack.enter_context(Session(settings(url, seconds, body=body.lower())))
            measures[f"ours, {body}"] = lambda session=session: measure_ceiling(session)  # type: ignore[misc]
        for name, tool in reference_tools(protocol, url, folder, seconds).items():
            measures[name] = lambda tool=tool: meter.run(tool)  # type: ignore[misc]
        readings = take_turns(measures, rounds)
    show_ceilings(protocol, readings)
    return median(readings["perf_analyzer"], "rate")


def measure_ceiling(session: Session) -> Reading:
    """Measure one window of ours."""
    point = session.measure(Load("concurrency", CONCURRENCY), windows=1)
    generator, server = cost_of(point)
    return Reading(point.request_rate.value, generator_cpu_us=generator, server_cpu_us=server)


def reference_tools(protocol: str, url: str, folder: Path, seconds: float) -> dict[str, Measure]:
    """Name the tools to hold ours against, at concurrency 64."""
    at = ["--concurrency-range", str(CONCURRENCY)]
    found: dict[str, Measure] = {
        "perf_analyzer": lambda: perf_analyzer(url, MODEL, load=at, seconds=seconds),
        "perf_analyzer --async": lambda: perf_analyzer(url, MODEL, load=[*at, "--async"], seconds=seconds),
    }
    body = "json" if protocol == "http" else "binary"
    request = prepare(Wanted(parse_address(url), MODEL, body=body), ROW).data  # type: ignore[arg-type]
    if protocol == "http":
        found["wrk, JSON"] = lambda: wrk(request, url, folder, concurrency=CONCURRENCY, seconds=seconds)
    else:
        for connections in (1, CONCURRENCY):
            found[f"h2load -c{connections}"] = lambda c=connections: h2load(  # type: ignore[misc]
                request, url, folder, concurrency=CONCURRENCY, seconds=seconds, connections=c
            )
    return found


def show_ceilings(protocol: str, readings: dict[str, list[Reading]]) -> None:
    """Print each tool's rate and cost, what ours are of it, and what two busy cores could give at most."""
    rounds = len(next(iter(readings.values())))
    ours = [name for name in readings if name.startswith("ours")]
    print(f"\n{protocol}, concurrency {CONCURRENCY}: medians of {rounds} rounds; µs of processors a request")
    print(f"  {'':24}{'requests/s':>12}{'generator':>12}{'server':>10}")
    for name, found in readings.items():
        costs = median(found, "generator_cpu_us"), median(found, "server_cpu_us")
        line = f"  {name:24}{median(found, 'rate'):12.0f}{costs[0]:12.1f}{costs[1]:10.1f}"
        floor = FLOORS.get((protocol, name.partition(" ")[0].rstrip(",")))
        for mine in ours if floor else ():
            ratio = statistics.median(our.rate / its.rate for our, its in zip(readings[mine], found, strict=True))
            note(f"{protocol}, concurrency {CONCURRENCY}: {mine} over {name}", ratio, "×", at_least=floor)
            line += f"   {mine}: {ratio:.2f} × it"
        print(line + (f" (wanted: {floor})" if floor else ""), flush=True)
    # A rate is 2 cores over what both take: without the generator's part, the server's remains.
    bound = statistics.median(1 + its.generator_cpu_us / its.server_cpu_us for its in readings["perf_analyzer"])
    note(f"{protocol}, concurrency {CONCURRENCY}: a generator of no cost over perf_analyzer", bound, "×")
    print(f"  where both cores are busy, a generator that took nothing would reach {bound:.2f} × perf_analyzer's")


def median(readings: list[Reading], field: str) -> float:
    """Give the median of one field."""
    return statistics.median(float(getattr(reading, field)) for reading in readings)


def compare_latency(
    protocol: str,
    url: str,
    rate: int,
    meter: Meter,
    options: argparse.Namespace,
    *,
    how: str = "",
    witness: bool = False,
) -> None:
    """Print both tools' latency and server-side figures at one fixed rate, of binary tensors on 16 connections."""
    # perf_analyzer's 16 threads each wait for an answer: at most 16 are in flight. It has no warm-up.
    same = replace(settings(url, options.seconds / 3), max_in_flight=16, warmup_s=0.0)
    with Session(same) as session:

        def ours() -> Reading:
            return read(session.measure(Load("rate", rate), windows=3))

        def theirs() -> Reading:
            at = ["--request-rate-range", str(rate), "--max-threads", "16"]
            return meter.run(lambda: perf_analyzer(url, MODEL, load=at, seconds=options.seconds))

        measures: dict[str, Measure] = {"ours": ours, "perf_analyzer": theirs}
        if witness:
            measures = {name: lambda tool=tool: watched(meter, url, tool) for name, tool in measures.items()}  # type: ignore[misc]
        else:
            lacking_us = max(theirs().generator_cpu_us - ours().generator_cpu_us, 0.0)

            def as_dear() -> Reading:
                with burdened(rate, lacking_us):
                    return ours()

            measures["as dear"] = as_dear
        readings = take_turns(measures, options.rounds)
    where = f"{protocol}, {rate}/s{how}"
    print(f"\n{where}, at fixed intervals: µs, medians of {options.rounds} rounds")
    show_latency(where, readings)
    if witness:
        show_truth(where, readings)


def show_latency(where: str, readings: dict[str, list[Reading]]) -> None:
    """Print each figure of ours and of perf_analyzer, how far they are apart, and, where it was measured, as dear."""
    dear = readings.get("as dear")
    print(f"  {'':24}{'ours':>10}{'perf_an.':>10}" + (f"{'':32}{'as dear':>12}" if dear else ""))
    for name in values(readings["ours"][0]):
        mine, other = (
            statistics.median(values(each)[name] for each in readings[who]) for who in ("ours", "perf_analyzer")
        )
        line = f"  {name:24}{mine:10.1f}{other:10.1f}   {_apart(mine, other):+7.1%}"
        if name.startswith(("p", "Server")):
            limit = LATENCY_WITHIN if name.startswith("p") else SERVER_WITHIN
            note(f"{where}: {name} apart from perf_analyzer's", abs(_apart(mine, other)) * 100, "%", at_most=limit)
            line += f" (wanted: within {limit:2} %)"
            if dear:
                same = statistics.median(values(each)[name] for each in dear)
                line += f"{same:12.1f}   {_apart(same, other):+7.1%}"
                what = f"{where}: {name} apart from perf_analyzer's, as dear"
                note(what, abs(_apart(same, other)) * 100, "%", at_most=limit)
        print(line, flush=True)


def _apart(mine: float, other: float) -> float:
    return mine / max(other, 1e-9) - 1


def show_stall(url: str) -> None:
    """Print both latencies of a server that stalls once."""
    model = ModelLoad("stall", data=Data("zeros"))
    one = replace(settings(url, 5.0), models=(model,), duration_s=20.0, max_in_flight=4)
    with Session(one) as session:
        point = session.measure(Load("rate", 100))
    print("\na stall of 1 s in 20 s at 100/s: ms")
    for name, latency in (("corrected", point.latency), ("uncorrected", point.latency_uncorrected)):
        print(f"  {name:14} p99 {latency.p99_us.value / 1e3:8.1f}   p99.5 {latency.percentile_us(99.5) / 1e3:8.1f}")


def settings(url: str, seconds: float, body: str = "binary") -> Settings:
    """Give what all of our measurements have in common."""
    return Settings(url, (ModelLoad(MODEL),), window_s=seconds, body=body, warmup_s=0.5)  # type: ignore[arg-type]


def read(point: Point) -> Reading:
    """Take the figures that perf_analyzer gives, too."""
    (server,) = point.server
    sent = point.latency_uncorrected
    own = tuple((name, float(getattr(server, field))) for name, field in SERVER.items())
    return Reading(point.request_rate.value, sent.p50_us.value, sent.p99_us.value, own, *cost_of(point))


def values(reading: Reading) -> dict[str, float]:
    """Name a reading's figures as the table does."""
    server = dict(reading.server_us)
    return {
        "p50": reading.p50_us,
        "p99": reading.p99_us,
        "less the generator: p50": reading.p50_us - reading.generator_cpu_us,
        **{name: server.get(name, 0.0) for name in SERVER},
        "generator's processor": reading.generator_cpu_us,
        "server's processor": reading.server_cpu_us,
        "cores busy": (reading.generator_cpu_us + reading.server_cpu_us) * reading.rate / 1e6,
        "rate": reading.rate,
    }


def take_turns(measures: dict[str, Measure], rounds: int) -> dict[str, list[Reading]]:
    """Measure all in each round, A B B A …, after one that doesn't count."""
    order = list(measures)
    readings: dict[str, list[Reading]] = {name: [] for name in order}
    for round_number in range(rounds + 1):
        for name in order:
            reading = measures[name]()
            if round_number:
                readings[name].append(reading)
        order.reverse()
    return readings


if __name__ == "__main__":
    main()
