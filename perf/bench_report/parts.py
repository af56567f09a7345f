"""The parts of the report: each a benchmark with its command, a short form of it, and what it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PARTS", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """A benchmark: `command` is run by this Python in the root of the project, with the words of `quick` for a look.

    One that `writes` gets `--json FILE`, and writes its figures itself; others note them (`perf/figures.py`).
    """

    name: str
    title: str
    command: tuple[str, ...]
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    writes: bool = False

    def words(self, *, quick: bool) -> tuple[str, ...]:
        """Give the command's words, without the Python before them."""
        return self.command + (self.quick if quick else self.full)


_ALL = (
    Part(
        "peers",
        "What else could serve the examples",
        ("perf/peers/bench.py",),
        quick=("--rounds", "1", "--seconds", "1"),
        writes=True,
    ),
    Part(
        "reference",
        "The load generator beside perf_analyzer, wrk and h2load",
        ("perf/reference.py",),
        quick=("--rounds", "1", "--seconds", "1"),
        full=("--rounds", "4", "--seconds", "1.5"),
    ),
    Part(
        "compare",
        "How often a comparison is wrong",
        ("perf/bench_compare.py",),
        quick=("--same", "5", "--slower", "2"),
    ),
    Part(
        "runtime",
        "A generated Python model over the same written by hand",
        ("perf/bench_runtime.py",),
        quick=("--starts", "1", "--rounds", "3"),
        full=("--starts", "5", "--rounds", "6"),
    ),
    Part(
        "lowerings",
        "Ensemble, fused, bls: one pipeline in its lowerings",
        ("perf/bench_lowerings.py",),
        quick=("--starts", "1", "--concurrency", "64"),
    ),
    Part(
        "runners",
        "Batches, and the onnxruntime runner over onnxruntime itself",
        ("perf/bench_runners.py",),
        quick=("--rounds", "1", "--seconds", "1"),
        full=("--rounds", "3", "--seconds", "2"),
    ),
    Part(
        "client",
        "The client beside tritonclient",
        ("perf/bench_client.py",),
        quick=("--rounds", "5"),
        full=("--rounds", "10"),
    ),
    Part(
        "shared_memory",
        "Tensors of 4 MB: shared memory over the wire",
        ("perf/bench_shared_memory.py",),
        quick=("--rounds", "5"),
    ),
    Part(
        "map",
        "map over many rows, beside the server's ceiling",
        ("perf/bench_map.py",),
        quick=("--rows", "100000", "--rounds", "1", "--seconds", "2"),
        full=("--rows", "1000000", "--rounds", "2", "--seconds", "3"),
    ),
    Part("up", "up, over tritonserver alone", ("perf/bench_up.py",), quick=("--runs", "3"), full=("--runs", "5")),
    Part(
        "reload",
        "From saving a file to the new answer",
        ("perf/bench_reload.py",),
        quick=("--runs", "4"),
        full=("--runs", "8"),
    ),
    Part("memory", "The memory of an instance", ("perf/bench_memory.py",)),
    Part(
        "build",
        "The build",
        ("-m", "pytest", "-q", "perf/bench_build.py", "--benchmark-only"),
        quick=("-k", "not linearity"),
    ),
    Part("check", "The static check of 500 models", ("perf/bench_check.py",)),
)
PARTS: Mapping[str, Part] = {part.name: part for part in _ALL}
