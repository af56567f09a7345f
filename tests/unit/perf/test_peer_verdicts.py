"""What is said of tritonforge beside its peers, by the figures."""

from __future__ import annotations

from typing import Any

import pytest
from bench_report.peer_figures import read_points
from bench_report.plots import draw_plots
from bench_report.render import render, targets
from bench_report.verdicts import explain, judge

from tests.unit.perf.peer_results import point, results, server


def judged(*points: dict[str, Any]) -> dict[str, bool]:
    return {v.expected: v.met for v in judge(read_points(results(*points)), "breast_cancer")}


def loaded(fastapi: float, bentoml: float, ours_p99_us: float = 4_000.0) -> dict[str, bool]:
    return judged(
        point("tritonforge_up", "tritonforge", 64, [10_000.0, 20_000.0], ours_p99_us),
        point("fastapi_sklearn", "FastAPI (scikit-learn)", 64, [10.0, 10.0], 90_000.0),
        point("fastapi_onnxruntime", "FastAPI (onnxruntime)", 64, [10_000.0 / fastapi, 20_000.0 / fastapi], 50_000.0),
        point("bentoml", "BentoML", 64, [10_000.0 / bentoml, 20_000.0 / bentoml], 30_000.0),
    )


def test_ratios_are_held_against_each_plain_endpoint_and_the_best_other_peer() -> None:
    """A limit that is reached is met."""
    assert list(loaded(10.0, 5.0).values()) == [True, True, True, True]
    assert list(loaded(9.9, 5.0).values()) == [True, False, True, True]
    assert list(loaded(10.0, 4.9).values()) == [True, True, False, True]


def test_a_p99_must_be_lower_than_each() -> None:
    assert list(loaded(20.0, 20.0, ours_p99_us=30_000.0).values()) == [True, True, True, False]


@pytest.mark.parametrize(("p99_us", "met"), [(1_000.0, True), (1_001.0, False)])
def test_alone_a_latency_may_be_the_same(p99_us: float, met: bool) -> None:
    ours = point("tritonforge_up", "tritonforge", 1, [1_000.0], p99_us)
    assert judged(ours, point("bentoml", "BentoML", 1, [900.0], 1_000.0)) == {
        "concurrency 1: p50 no worse than any": met
    }


def test_nothing_is_judged_without_peers() -> None:
    assert judged(point("tritonforge_up", "tritonforge", 64, [1_000.0], 1_000.0)) == {}


def test_a_ratio_is_of_the_same_round() -> None:
    """A slow second round slows both: 5× in each round, whatever the medians are."""
    met = judged(
        point("tritonforge_up", "tritonforge", 64, [10_000.0, 1_000.0, 5_000.0], 1.0),
        point("bentoml", "BentoML", 64, [2_000.0, 200.0, 1_000.0], 2.0),
    )
    assert met["concurrency 64: at least 5× the requests a second of the best other peer"]


def test_the_limit_is_explained_by_cpu_time() -> None:
    """Two cores give 2 s of CPU a second: at 120 µs a request that is 16,667."""
    found = read_points(
        results(
            point("tritonforge_up", "tritonforge", 64, [8_333.0], 4_000.0),
            point("bentoml", "BentoML", 64, [1_000.0], 30_000.0, server_cpu_us=[1_000.0]),
        )
    )
    ours, theirs = explain(found, "breast_cancer", cores=2)
    assert "100 µs of CPU" in ours
    assert "20 µs on the same 2 cores" in ours
    assert "can't exceed 16.7k requests a second, of which 50% were reached" in ours
    assert theirs.startswith("BentoML's server takes 1 ms of CPU a request, 10× tritonforge's")


def test_the_section_tells_all_that_was_seen() -> None:
    """Failed peers and failed requests are named, with their words."""
    found = results(
        point("tritonforge_up", "tritonforge", 64, [10_000.0], 4_000.0),
        point("tritonforge_up", "tritonforge", 64, [12_000.0], 3_000.0, body="gRPC"),
        point("bentoml", "BentoML", 64, [1_000.0], 30_000.0, errors={"HTTP 503: busy": 7}),
        point("litserve", "LitServe", 64, [], 0.0),
        servers=[
            server("tritonforge_up", "tritonforge"),
            server("bentoml", "BentoML"),
            {key: value for key, value in server("mlserver", "MLServer").items() if key not in ("memory", "start_s")}
            | {"error": "can't be installed:\n  no matching distribution"},
        ],
    )
    text = render({"peers": found})
    assert "| 64 | **tritonforge** | JSON | 10k | 400 µs | 4 ms | 100 µs | 20 µs |  |" in text
    assert "| 64 | BentoML | JSON | 1k | 3 ms | 30 ms | 100 µs | 20 µs | 10× |" in text
    assert "| 64 | **tritonforge** | gRPC | 12k |" in text
    assert "- **MLServer** (breast_cancer) was not measured: can't be installed: no matching distribution" in text
    assert "- **BentoML** (breast_cancer, JSON, concurrency 64): 7 failed, HTTP 503: busy" in text
    assert "| 10× (10k/s, BentoML 1k/s) | met |" in text
    assert "- **LitServe** (breast_cancer, JSON, concurrency 64): not one request ended in a round" in text
    assert "| LitServe |" not in text
    assert "While nobody asked them" not in text
    assert ("breast_cancer: concurrency 64: lower p99 than any", True) in targets("peers", found)


def test_a_server_that_takes_of_the_others_cores_is_named() -> None:
    busy = point("bentoml", "BentoML", 64, [1_000.0], 30_000.0, idle_cores=0.5)
    text = render({"peers": results(point("tritonforge_up", "tritonforge", 64, [10_000.0], 4_000.0), busy)})
    assert "these took of the cores that all share: BentoML (breast_cancer) 0.50." in text


def test_plots_are_drawn_of_what_was_measured_under_load() -> None:
    ours = point("tritonforge_up", "tritonforge", 64, [10_000.0], 4_000.0)
    drawn = draw_plots(read_points(results(ours, point("bentoml", "BentoML", 64, [1_000.0], 30_000.0))))
    assert sorted(drawn) == ["breast_cancer", "breast_cancer_cpu"]
    assert all(svg.startswith("<svg") and "BentoML" in svg for svg in drawn.values())
    assert draw_plots(read_points(results(point("tritonforge_up", "tritonforge", 1, [1.0], 1.0)))) == {}
