"""A generated Python model beside the same model written by hand, in one run, against one embedded server.

    python perf/bench_runtime.py [--starts N] [--rounds N] [--seconds S] [--concurrency N …]

The model takes FP32[batch, 20], subtracts one vector and divides by another. `hand` is it written by hand as well as we
can: requests stacked into one call, results split into views, all else looked up beforehand, no checks. `generated` is
what `tritonforge build` writes. `again` is `hand` once more: how far its ratio is from 1 is what this machine can't
tell apart. Of a round, generated is held against the mean of the two. `alone` is by hand without stacking, as most
people write it. Requests are prepared bytes of one row over HTTP, sent by wrk (Debian package `wrk`).

A process is up to a tenth faster or slower than its twin for as long as it lives, by where its memory lies. So all four
run in one: the generated model's class has the others beside it, and a byte of a file says whose turn it is. They take
turns, A B B A, so that a slow moment of the machine is shared. The server is started several times. Figures are medians
over the rounds of all starts, and the ratio is the median of each round's own.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from operator import truediv
from pathlib import Path
from typing import TypeVar

import numpy as np
from wrk_load import Rates, load, pool, ratio, take_turns

from tritonforge.build import build
from tritonforge.client import Client, Result
from tritonforge.server import Server

T = TypeVar("T")

GENERATED = """
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, model

MEAN = np.linspace(-1, 1, 20, dtype=np.float32)
STD = np.linspace(1, 2, 20, dtype=np.float32)


@model(batching=Batching(max_batch_size=64))
def generated(x: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return (x - MEAN) / STD
"""
BY_HAND = """


import numpy as np
import triton_python_backend_utils as pb_utils

MEAN = np.linspace(-1, 1, 20, dtype=np.float32)
STD = np.linspace(1, 2, 20, dtype=np.float32)


class ByHand:
    def initialize(self, args):
        self.tensor, self.response = pb_utils.Tensor, pb_utils.InferenceResponse

    def execute(self, requests):
        Tensor, Response = self.tensor, self.response
        inputs = [request.inputs()[0].as_numpy() for request in requests]
        if len(inputs) == 1:
            return [Response([Tensor("output", (inputs[0] - MEAN) / STD)])]
        outputs = (np.concatenate(inputs) - MEAN) / STD
        responses = []
        start = 0
        for x in inputs:
            end = start + len(x)
            responses.append(Response([Tensor("output", outputs[start:end])]))
            start = end
        return responses
"""
IN_TURNS = """


import mmap
from pathlib import Path


class Alone:
    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("output", (x - MEAN) / STD)]))
        return responses


class Turns(TritonPythonModel):
    def initialize(self, args):
        super().initialize(args)
        hand, again = ByHand(), ByHand()
        hand.initialize(args)
        again.initialize(args)
        ways = (self.execute, hand.execute, again.execute, Alone().execute)
        with Path({turn!r}).open("r+b") as file:
            turn = mmap.mmap(file.fileno(), 1)
        self.execute = lambda requests: ways[turn[0]](requests)


TritonPythonModel = Turns
"""
FLOOR = 0.97
MODEL = "generated"
WAYS = ("generated", "hand", "again", "alone")
ROW = np.random.default_rng(0).random((1, 20), np.float32)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=4, help="of each start")
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16, 64])
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    starts: dict[int, list[Rates]] = {concurrency: [] for concurrency in options.concurrency}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        turn = folder / "turn"
        turn.write_bytes(bytes(1))
        repository = write(folder)
        add_ways(repository, turn)

        def take(way: str, measure: Callable[[], T]) -> T:
            with turn.open("r+b") as file:  # in place: the model has it mapped
                file.write(bytes([WAYS.index(way)]))
            return measure()

        for _ in range(options.starts):
            with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as server:
                agree(server, take)
                for concurrency, found in starts.items():
                    measure = partial(
                        load,
                        server.http_url,
                        folder,
                        MODEL,
                        {"x": ROW},
                        concurrency=concurrency,
                        seconds=options.seconds,
                    )
                    found.append(take_turns(WAYS, partial(take, measure=measure), rounds=options.rounds))
    for concurrency, found in starts.items():
        report(concurrency, found)


def write(folder: Path) -> Path:
    """Build the model."""
    (folder / "pyproject.toml").touch()
    (folder / "served.py").write_text(GENERATED)
    build([folder / "served.py"], folder / "model_repository")
    return folder / "model_repository"


def add_ways(repository: Path, turn: Path) -> None:
    """Put the ways by hand beside the generated one; the file says which it is."""
    code = repository / MODEL / "1" / "model.py"
    code.write_text(code.read_text() + BY_HAND + IN_TURNS.replace("{turn!r}", repr(str(turn))))


def agree(server: Server, take: Callable[[str, Callable[[], Result]], Result]) -> None:
    """Make sure that all ways give the same."""
    with Client(server.grpc_url) as client:
        answers = [take(way, lambda: client.infer(MODEL, x=ROW))["output"] for way in WAYS]
    assert all(np.array_equal(answer, answers[0]) for answer in answers), answers


def report(concurrency: int, starts: list[Rates]) -> None:
    """Print medians, and the ratios of rates of the same round, in all and of each start."""
    rates = pool(starts)
    figures = ", ".join(f"{way} {statistics.median(found):7.0f}/s" for way, found in rates.items())
    held = ratio(by_hand(rates), "generated", "hand", at=f"concurrency {concurrency}", at_least=FLOOR)
    noise = ratio(rates, "again", "hand", at=f"concurrency {concurrency}")
    print(f"concurrency {concurrency:3}: {figures}; {held}; {noise}", flush=True)
    for one, other in (("generated", "hand"), ("again", "hand")):
        each = (by_hand(start) if one == "generated" else start for start in starts)
        medians = [statistics.median(map(truediv, start[one], start[other])) for start in each]
        print(f"    {one}/{other}, by start: " + ", ".join(f"{median:.3f}" for median in medians), flush=True)


def by_hand(rates: Rates) -> Rates:
    """Take for `hand` the mean of the two that are the same."""
    means = [(hand + again) / 2 for hand, again in zip(rates["hand"], rates["again"], strict=True)]
    return {"generated": rates["generated"], "hand": means}


if __name__ == "__main__":
    main()
