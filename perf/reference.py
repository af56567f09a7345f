"""Our load generator beside perf_analyzer, wrk and h2load: in one run, against one embedded server, taking turns.

    python perf/reference.py [--rounds N] [--seconds S] [--stall]

The model is the breast-cancer example fused into one Python model, one row a request, as JSON over HTTP (perf_analyzer
sends binary tensors: it has no JSON without base64) and as gRPC. Three tables: the ceilings at concurrency 64; latency
and the server's figures at half of them as a fixed rate, by the same definition of latency (from the actual send); and,
with --stall, what a server that stalls for 1 s shows at 100/s in 20 s.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from reference_tools import Reading, h2load, perf_analyzer, wrk

from tritonforge.build import build
from tritonforge.load import Data, Load, ModelLoad, Point, Session, Settings
from tritonforge.load.address import parse_address
from tritonforge.load.prepare import Wanted, prepare
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
FLOORS = {
    ("http", "perf_analyzer"): 1.6,
    ("http", "wrk"): 0.75,
    ("grpc", "perf_analyzer"): 1.2,
    ("grpc", "h2load"): 0.85,
}
SERVER = {
    "Server Queue": "queue_us",
    "Server Compute Input": "compute_input_us",
    "Server Compute Infer": "compute_infer_us",
    "Server Compute Output": "compute_output_us",
}

Measure = Callable[[], Reading]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--stall", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = write_repository(folder)
        with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
            for protocol, url in (("http", server.http_url), ("grpc", server.grpc_url)):
                ceiling = compare_ceilings(protocol, url, folder, options.rounds, options.seconds)
                compare_latency(protocol, url, round(ceiling / 2), options.rounds, options.seconds)
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


def compare_ceilings(protocol: str, url: str, folder: Path, rounds: int, seconds: float) -> float:
    """Print requests a second at concurrency 64; give perf_analyzer's."""
    body = "json" if protocol == "http" else "binary"
    request = prepare(Wanted(parse_address(url), MODEL, body=body), ROW).data  # type: ignore[arg-type]
    with Session(settings(url, seconds, body=body)) as session:
        measures: dict[str, Measure] = {
            "ours": lambda: Reading(session.measure(Load("concurrency", CONCURRENCY), windows=1).request_rate.value),
            "perf_analyzer": lambda: perf_analyzer(
                url, MODEL, load=["--concurrency-range", str(CONCURRENCY)], seconds=seconds
            ),
        }
        if protocol == "http":
            measures["wrk"] = lambda: wrk(request, url, folder, concurrency=CONCURRENCY, seconds=seconds)
        else:
            for connections in (1, CONCURRENCY):
                measures[f"h2load -c{connections}"] = lambda c=connections: h2load(  # type: ignore[misc]
                    request, url, folder, concurrency=CONCURRENCY, seconds=seconds, connections=c
                )
        readings = take_turns(measures, rounds)
    rates = {name: [reading.rate for reading in found] for name, found in readings.items()}
    print(f"\n{protocol}, concurrency {CONCURRENCY}: requests a second, medians of {rounds} rounds")
    for name, found in rates.items():
        line = f"  {name:14}{statistics.median(found):10.0f}"
        if name != "ours":
            ratio = statistics.median(mine / theirs for mine, theirs in zip(rates["ours"], found, strict=True))
            floor = FLOORS[protocol, name.partition(" ")[0]]
            line += f"   ours is {ratio:.2f} × it (wanted: {floor} or more)"
        print(line, flush=True)
    return statistics.median(rates["perf_analyzer"])


def compare_latency(protocol: str, url: str, rate: int, rounds: int, seconds: float) -> None:
    """Print both tools' latency and server-side figures at one fixed rate."""
    # perf_analyzer's 16 threads each wait for an answer: at most 16 are in flight.
    with Session(replace(settings(url, seconds), max_in_flight=16)) as session:

        def ours() -> Reading:
            point = session.measure(Load("rate", rate), windows=3)
            return read(point)

        def theirs() -> Reading:
            return perf_analyzer(url, MODEL, load=["--request-rate-range", str(rate)], seconds=seconds)

        readings = take_turns({"ours": ours, "perf_analyzer": theirs}, rounds)
    print(f"\n{protocol}, {rate} requests a second at fixed intervals: µs, medians of {rounds} rounds")
    names = ["p50", "p99", *SERVER]
    for place, name in enumerate(names):
        mine, other = (
            statistics.median(values(reading)[place] for reading in readings[tool])
            for tool in ("ours", "perf_analyzer")
        )
        within = "10 %" if place < 2 else "5 %"
        print(f"  {name:24}{mine:10.1f}{other:10.1f}   {mine / max(other, 1e-9) - 1:+.1%} (wanted: within {within})")


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
    return Reading(point.request_rate.value, sent.p50_us.value, sent.p99_us.value, own)


def values(reading: Reading) -> list[float]:
    """List a reading's figures in the order of the table."""
    server = dict(reading.server_us)
    return [reading.p50_us, reading.p99_us, *(server.get(name, 0.0) for name in SERVER)]


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
