"""Reports as the engine writes them, of made-up figures: the same ones each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tritonforge.load import (
    Environment,
    Errors,
    Estimate,
    Generator,
    Latency,
    Load,
    ModelLoad,
    ModelStatistics,
    Point,
    Report,
    Settings,
    Step,
    Window,
    parse_slo,
)
from tritonforge.load.figures.histogram import Histogram

WINDOWS = 6


def latency(values_us: np.ndarray) -> Latency:
    """Make the figures of times in microseconds."""
    histogram = Histogram.of((values_us * 1000).astype(np.int64))

    def estimate(percent: float) -> Estimate:
        value = histogram.percentile(percent) / 1000
        return Estimate(value, value * 0.98, value * 1.02)

    return Latency(
        Estimate(histogram.mean / 1000),
        Estimate(histogram.std / 1000),
        Estimate(histogram.minimum / 1000),
        Estimate(histogram.maximum / 1000),
        *(estimate(percent) for percent in (50, 90, 95, 99, 99.9)),
        histogram,
    )


def window(index: int, values_us: np.ndarray, *, measured: bool) -> Window:
    """Make one window of a second."""
    found = latency(values_us)
    return Window(
        start_s=float(index),
        duration_s=1.0,
        requests=len(values_us),
        inferences=len(values_us),
        errors=0,
        throughput=float(len(values_us)),
        mean_us=found.mean_us.value,
        p50_us=found.p50_us.value,
        p90_us=found.p90_us.value,
        p95_us=found.p95_us.value,
        p99_us=found.p99_us.value,
        p999_us=found.p999_us.value,
        measured=measured,
    )


def point(concurrency: int, *, seed: int = 0, slower: float = 1.0, errors: int = 0, stable: bool = True) -> Point:
    """Make a point of a server that saturates near 9,000 a second."""
    random = np.random.default_rng([seed, concurrency])
    rate = 9000 * concurrency / (concurrency + 6) / slower
    mean_us = concurrency / rate * 1e6
    windows, pooled = [], []
    for index in range(WINDOWS):
        count = round(rate * (1 + 0.01 * random.standard_normal()))
        values = mean_us * 0.8 * random.lognormal(0, 0.35, count) * np.where(random.random(count) < 0.01, 3, 1)
        windows.append(window(index, values, measured=index >= WINDOWS - 3))
        pooled += [values] if index >= WINDOWS - 3 else []
    found = latency(np.concatenate(pooled))
    throughput = float(np.mean([w.throughput for w in windows if w.measured]))
    estimate = Estimate(throughput, throughput * 0.985, throughput * 1.015)
    mean = found.mean_us.value
    names = ("client queue", "network + server send/receive", "queue", "normalize", "classifier")
    shares = dict(zip(names, (0.03, 0.3, 0.27, 0.15, 0.25), strict=True))
    fixed = {"queue_us": mean * 0.27, "compute_input_us": 8.0, "compute_output_us": 6.0, "overhead_us": 4.0}
    return Point(
        load=Load("concurrency", concurrency),
        protocol="http",
        stable=stable,
        windows=tuple(windows),
        throughput=estimate,
        request_rate=estimate,
        latency=found,
        latency_uncorrected=found,
        errors=(Errors("HTTP 400", errors, "input 'x' has <no> batch"),) if errors else (),
        generator=Generator(1, 0.4, latency(np.array([1.0, 2.0]))),
        breakdown=tuple(Step(name, mean * share) for name, share in shares.items()),
        goodput=estimate,
        slo_met=found.p99_us.value <= 8000,
        in_flight=float(concurrency),
        server=tuple(
            ModelStatistics(
                model=name, version="1", composing=name != "fraud", requests=found.count, executions=found.count // 4,
                inferences=found.count, request_us=mean * 0.7, compute_infer_us=mean * share, failures=0, **fixed,
            )
            for name, share in {"fraud": 0.4, "normalize": 0.15, "classifier": 0.25}.items()
        ),
    )  # fmt: skip


def as_read(written: Report) -> Report:
    """Give what is read of a report that was written: headers without their values."""
    settings = replace(written.settings, headers=dict.fromkeys(written.settings.headers, ""))
    return replace(written, settings=settings)


def report(*, seed: int = 0, slower: float = 1.0, errors: int = 0, stable: bool = True) -> Report:
    """Make a sweep over seven concurrencies."""
    points = tuple(point(2**power, seed=seed, slower=slower, errors=errors, stable=stable) for power in range(7))
    settings = Settings(
        "http://127.0.0.1:8000",
        (ModelLoad("fraud"),),
        tuple(p.load for p in points),
        slo=parse_slo("p99=8ms"),
        headers={"Authorization": "Bearer secret"},
    )
    environment = Environment({"tritonforge": "0.1.0", "triton": "2.51.0"}, {"cpu": "2 cores"}, "2026-01-02T03:04:05Z")
    return Report(settings, environment, 0, points, knee=Load("concurrency", 8))
