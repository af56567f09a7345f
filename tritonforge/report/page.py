"""One HTML file that holds a whole report: nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TypeVar

from tritonforge.load import Point, Report
from tritonforge.report import plots
from tritonforge.report.charts.bars import StackedBars, draw_histogram, draw_stacked
from tritonforge.report.charts.frame import NARROW, WIDE, Frame
from tritonforge.report.charts.lines import draw_lines
from tritonforge.report.charts.numbers import moment
from tritonforge.report.labels import labels
from tritonforge.report.server_tables import batch_table, server_table
from tritonforge.report.summary import facts, little_words, tiles
from tritonforge.report.tables import Table, nothing_ended, point_table, process_table, stream_table, warnings_of

__all__ = ["ASSETS", "page"]

ASSETS = Path(__file__).parent / "assets"
P = TypeVar("P")
_PHRASES = ("SLO", "note")
"""Columns whose words may take several lines, so that those before them need not be scrolled to."""

_SKELETON = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
<div id="tip" aria-hidden="true"></div>
<script>{script}</script>
</body>
</html>
"""


def page(report: Report) -> str:
    """Write the page: the figures at a glance, plots, tables, and what was measured how and where."""
    models = ", ".join(model.name for model in report.settings.models)
    style = "".join((ASSETS / name).read_text(encoding="utf-8") for name in ("page.css", "drawing.css"))
    body = "\n".join(
        [
            _header(report, models),
            _banner(report),
            _tiles(report),
            _notice(warnings_of(report)),
            f'<div class="grid-of-cards">{"".join(_cards(report))}</div>',
            _details(report),
        ]
    )
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    return _SKELETON.format(title=escape(f"{models}: performance"), style=style, body=body, script=script)


def _header(report: Report, models: str) -> str:
    protocols = list(dict.fromkeys(point.protocol for point in report.points))
    others = f" and {', '.join(protocols[1:])}" if len(protocols) > 1 else ""  # at which URL isn't in a report
    where = f"{escape(report.settings.url)}{escape(others)} · <span>{escape(moment(report.environment.started))}</span>"
    return (
        f'<header><div><h1>{escape(models)}</h1><p class="sub">{where}</p></div>'
        '<button id="theme" type="button" aria-label="Switch between light and dark">◐ theme</button></header>'
    )


def _banner(report: Report) -> str:
    """Say of a sweep that was cut off that it was, before any figure."""
    if report.complete:
        return ""
    reason = f"{escape(report.ended_by)}; " if report.ended_by else ""
    words = f"{reason}the figures are of what was measured until then."
    return f'<section class="notice" role="alert"><strong>Not all was measured</strong><p>{words}</p></section>'


def _tiles(report: Report) -> str:
    cells = "".join(
        f'<div><dt>{escape(tile.name)}</dt><dd class="{tile.mood}">{escape(tile.figure)}'
        f"<small>{escape(tile.note)}</small></dd></div>"
        for tile in tiles(report)
    )
    return f'<dl class="tiles">{cells}</dl>'


def _notice(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="notice"><strong>Beside these figures</strong><ul>{items}</ul></section>'


def _cards(report: Report) -> list[str]:
    points = [point for point in report.points if point.requests]
    if not points:
        words, loads = f"{nothing_ended(report.points).capitalize()}.", _table(point_table(report.points))
        return [_card("Nothing was measured", words, loads, whole=True)]
    main = _both(draw_lines, plots.throughput_and_latency(points, report))
    lines = f"{plots.percentiles_shown(points)}; the tail is to the right."
    told = plots.breakdown(points)
    cards = [
        _card("Throughput against latency", "Right is more work done, down is faster. Each point is a load.", main),
        _card("Latency by percentile", lines, _percentiles(points)),
    ]
    if told:
        hint = "Steps of the mean latency, a bar for each load."
        cards.append(_card(told.title, hint, _both(_steps, told)))
    cards.append(_card("Latency histogram", "Requests by latency.", _chosen(points, "histogram", _histogram)))
    cards.append(
        _card("Over time", "Each dot is a window.", _chosen(points, "time", _over_time), whole=True),
    )
    cards.append(
        _card(
            "All loads",
            "Latencies run from when a request was meant to start.",
            _table(point_table(report.points)) + _lines(little_words(report)),
            whole=True,
        )
    )
    for title, hint, table in (
        ("Within streams", "Until the first response, from one to the next, and until the last.", stream_table(points)),
        ("The server's processes", "Over the measured windows, on this machine.", process_table(points)),
    ):
        if table.rows:
            cards.append(_card(title, hint, _table(table), whole=True))
    if any(point.server for point in points):
        hint = "From the server's own statistics; steps of an ensemble have a dot. Times are means for a request."
        cards.append(_card("Inside the server", hint, _chosen(points, "server", _server), whole=True))
    return cards


def _percentiles(points: Sequence[Point]) -> str:
    return _both(draw_lines, plots.percentiles(points))


def _steps(plot: StackedBars, frame: Frame) -> str:
    """Draw bars that fill, on a desk, what the histogram beside them takes."""
    return draw_stacked(plot, frame, least_height=frame.height if frame is WIDE else 0)


def _histogram(point: Point, key: str, name: str) -> str:
    plot = plots.latency_histogram(point, key, name)
    return _both(draw_histogram, plot) if plot else ""


def _server(point: Point, key: str, name: str) -> str:
    batches = batch_table([point], [name])
    hint = '<p class="hint">Shares of the executions by their batch sizes</p>'
    return _table(server_table([point], [name])) + (hint + _table(batches) if batches.rows else "")


def _over_time(point: Point, key: str, name: str) -> str:
    both = (plots.throughput_over_time(point, key, name), plots.latency_over_time(point, key, name))
    return f'<div class="pair">{"".join(f"<div>{_both(draw_lines, plot)}</div>" for plot in both)}</div>'


def _chosen(points: Sequence[Point], key: str, draw: Callable[[Point, str, str], str]) -> str:
    """Draw each point, of which a selector shows one; without scripts all are there, one below another.

    What draws has the point, a key for its ids, and its name.
    """
    names = labels(points)
    options = "".join(
        f'<option value="{index}"{" selected" if index == len(points) - 1 else ""}>{escape(name)}</option>'
        for index, name in enumerate(names)
    )
    each = "".join(
        f'<div class="each" data-load="{escape(name)}">{draw(point, f"{key}-{index}", name)}</div>'
        for index, (point, name) in enumerate(zip(points, names, strict=True))
    )
    return f'<label class="choice">load <select aria-label="load">{options}</select></label>{each}'


def _both(draw: Callable[[P, Frame], str], plot: P) -> str:
    """Draw for a desk and for a phone; the style shows one."""
    return f"<figure>{draw(plot, WIDE)}{draw(plot, NARROW)}</figure>"


def _card(title: str, hint: str, inner: str, *, whole: bool = False) -> str:
    return (
        f'<section class="card{" whole" if whole else ""}"><h2>{escape(title)}</h2>'
        f'<p class="hint">{escape(hint)}</p>{inner}</section>'
    )


def _table(table: Table) -> str:
    styles = [
        "words" if index < table.words else "phrase" if name in _PHRASES else ""
        for index, name in enumerate(table.columns)
    ]
    head = "".join(
        f'<th scope="col" class="{style}">{escape(name)}</th>'
        for name, style in zip(table.columns, styles, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(cell, style) for cell, style in zip(row, styles, strict=True))}</tr>" for row in table.rows
    )
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _lines(texts: Sequence[str]) -> str:
    return "".join(f'<p class="hint">{escape(text)}</p>' for text in texts)


def _cell(cell: str, style: str) -> str:
    mood = "" if style == "words" else _mood(cell)
    return f'<td class="{f"{style} {mood}".strip()}">{escape(cell)}</td>'


def _mood(cell: str) -> str:
    word = cell.partition(" ")[0].rstrip(",:")  # what follows it is which objective, or how many
    return word if word in ("worse", "better", "met", "missed", "unstable", "ended", "short") else ""


def _details(report: Report) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in facts(report))
    return f"<footer><details><summary>Settings, versions and machine</summary><dl>{rows}</dl></details></footer>"
