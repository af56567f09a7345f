"""What the server says of its own work, as rows of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tritonforge.load import ModelStatistics, Point
from tritonforge.report.charts.numbers import duration, plain
from tritonforge.report.labels import labels
from tritonforge.report.tables import Table

__all__ = ["batch_table", "server_table"]


def server_table(points: Sequence[Point], names: Sequence[str] | None = None) -> Table:
    """Give the server's own figures: a row for each load and model, steps of an ensemble beneath it.

    Columns of failures and of the response cache are there where there were any. `names` are those of the points where
    they are of a report with others.
    """
    rows = [{"load": label, "model": name, **_figures(model)} for label, name, model in _models(points, names)]
    optional = ("failed", "cache hits", "cache misses")
    names = [name for name in (rows[0] if rows else {}) if name not in optional or any(row[name] for row in rows)]
    return Table(
        tuple(names),
        tuple(tuple(row[name] or ("–" if name in optional else "") for name in names) for row in rows),
        words=2,
    )


def batch_table(points: Sequence[Point], names: Sequence[str] | None = None) -> Table:
    """Give how many executions had how many inferences: their shares, by sizes up to each power of two.

    Nothing where no execution had more than one.
    """
    found = [(label, name, _by_power(model)) for label, name, model in _models(points, names)]
    powers = sorted({power for *_, counts in found for power in counts})
    if not powers or powers == [0]:
        return Table((), ())
    rows = tuple(
        (label, name, *(f"{counts[power] / counts.total():.0%}" if counts[power] else "–" for power in powers))
        for label, name, counts in found
    )
    return Table(("load", "model", *map(_sizes, powers)), rows, words=2)


def _models(points: Sequence[Point], names: Sequence[str] | None) -> Iterator[tuple[str, str, ModelStatistics]]:
    """Go through the models of all loads, with the load's name at its first, and a dot before steps of an ensemble."""
    for point, label in zip(points, names or labels(points), strict=True):
        for index, model in enumerate(point.server):
            yield label if index == 0 else "", f"{'· ' if model.composing else ''}{model.model}", model


def _figures(model: ModelStatistics) -> dict[str, str]:
    return {
        "requests": f"{model.requests:,}",
        "failed": f"{model.failures:,}" if model.failures else "",
        "executions": f"{model.executions:,}",
        "mean batch": plain(model.mean_batch),
        "queue": duration(model.queue_us),
        "input": duration(model.compute_input_us),
        "infer": duration(model.compute_infer_us),
        "output": duration(model.compute_output_us),
        "overhead": duration(model.overhead_us),
        "cache hits": f"{model.cache_hits:,}, {duration(model.cache_hit_us)}" if model.cache_hits else "",
        "cache misses": f"{model.cache_misses:,}, {duration(model.cache_miss_us)}" if model.cache_misses else "",
    }


def _by_power(model: ModelStatistics) -> Counter[int]:
    """Count executions by the power of two that their size doesn't exceed."""
    counts: Counter[int] = Counter()
    for size, executions in model.batches.items():
        counts[(size - 1).bit_length()] += executions
    return counts


def _sizes(power: int) -> str:
    least, most = (1 << power - 1) + 1 if power else 1, 1 << power
    return str(most) if least == most else f"{least}-{most}"
