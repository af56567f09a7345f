"""The page, as text and in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tritonforge.load import Data, Load, ModelLoad, Report
from tritonforge.report import page
from tritonforge.report.charts.frame import Frame
from tritonforge.report.charts.lines import draw_lines
from tritonforge.report.charts.numbers import compact, moment
from tritonforge.report.plots import breakdown, percentiles, percentiles_shown, throughput_and_latency
from tritonforge.report.summary import facts, knee_words, tiles
from tritonforge.report.tables import point_table

from .sample_report import point as point_at
from .sample_report import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
BESIDE = ("Where the time goes", "Latency histogram")
PLOTS = {"Throughput against latency", "Latency by percentile", "Where the time goes"}


class Elements(HTMLParser):
    """Collect elements with their attributes, and check that tags close in order."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_loads_nothing_and_is_well_formed() -> None:
    text = page(report(errors=3))
    elements = Elements(text)
    assert not elements.open
    assert not {tag for tag, _ in elements.found} & {"link", "img", "iframe", "object"}
    assert not [
        value for _, attributes in elements.found for key, value in attributes.items() if key in ("src", "href")
    ]
    assert "url(" not in text
    assert "@import" not in text


def test_ids_are_unique_and_labels_refer_to_them() -> None:
    found = Elements(page(report())).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = [attributes["aria-labelledby"] for tag, attributes in found if tag == "svg"]
    assert labels
    assert {part for label in labels for part in (label or "").split()} <= set(ids)


@pytest.mark.parametrize(
    ("loads", "words"),
    [
        (range(1, 9), "A line for each load"),
        (range(1, 12), "Lines of 8 of the 11 loads, not of 3, 6, 9"),
    ],
)
def test_the_plot_of_percentiles_says_which_loads_it_leaves_out(loads: range, words: str) -> None:
    points = tuple(point_at(concurrency) for concurrency in loads)
    plot = percentiles(points)
    left_out = set(words.partition(", not of ")[2].split(", ")) - {""}
    assert {series.name for series in plot.series} == {str(load) for load in loads} - left_out
    text = page(replace(report(), points=points))
    assert f'<p class="hint">{words}; the tail is to the right.</p>' in text
    assert f'<desc id="percentiles-wide-desc">{words}: the latency' in text


@pytest.mark.parametrize(("loads", "lines"), [(20, 3), (21, 0)])
def test_so_many_loads_that_a_line_through_them_is_a_scribble_are_points_alone(loads: int, lines: int) -> None:
    made = replace(report(), points=tuple(point_at(concurrency) for concurrency in range(1, loads + 1)))
    plot = draw_lines(throughput_and_latency(made.points, made), Frame("wide", 640, 320))
    assert plot.count('class="line ') == lines
    assert plot.count('class="dot ') == 3 * loads


def test_of_many_loads_those_without_a_line_are_not_listed() -> None:
    points = tuple(point_at(concurrency) for concurrency in range(1, 60))
    assert percentiles_shown(points) == "Lines of 8 of the 59 loads, spaced evenly"


def test_a_sweep_that_was_cut_off_says_so_before_its_figures() -> None:
    assert "Not all was measured" not in page(report())
    cut = replace(report(), complete=False, ended_by="ended at concurrency 2: <it> went away")
    for made, reason in ((cut, "ended at concurrency 2: &lt;it&gt; went away; "), (replace(cut, ended_by=""), "")):
        before, _, _ = page(made).partition('<dl class="tiles">')
        assert f"<strong>Not all was measured</strong><p>{reason}the figures are of what" in before


def test_the_header_names_each_protocol() -> None:
    made = report()
    assert '<p class="sub">http://127.0.0.1:8000 · ' in page(made)
    both = replace(made, points=(made.points[0], replace(made.points[0], protocol="grpc")))
    assert '<p class="sub">http://127.0.0.1:8000 and grpc · ' in page(both)


def test_what_the_server_says_is_escaped() -> None:
    text = page(report(errors=1))
    assert "has &lt;no&gt; batch" in text
    assert "<no>" not in text


def test_without_measured_requests_it_says_so() -> None:
    whole = report()
    empty = replace(whole, points=tuple(replace(point, windows=()) for point in whole.points))
    assert "No request ended within a window." in page(empty)
    assert tiles(empty) == []


def test_errors_are_counted_where_nothing_else_is_to_be_told() -> None:
    whole = report(errors=3)
    failed = replace(whole, points=tuple(replace(point, windows=()) for point in whole.points))
    count = sum(point.failed for point in whole.points)
    assert [(tile.name, tile.figure, tile.note) for tile in tiles(failed)] == [
        ("Errors", f"{count}", f"of {count} requests")
    ]
    text = page(failed)
    assert "No request succeeded within a window." in text
    assert text.count('<td class="">3</td>') == len(whole.points)
    some = page(replace(whole, points=(failed.points[0], *whole.points[1:])))
    assert "nothing measured" in some


def test_tiles_count_what_the_table_of_all_loads_has() -> None:
    """Among them is a load at which nothing succeeded: its requests had no answer, and it missed its objective."""
    whole = report(errors=3)
    first, second, *_ = whole.points
    silent = replace(second, windows=(), errors=(), slo_met=False, slo_missed=("p99",), unanswered=2)
    made = replace(whole, points=(replace(first, slo_met=False, slo_missed=("p99",)), silent))
    table = point_table(made.points)
    cells = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["errors"], row["no answer"], row["SLO"]) for row in cells] == [
        ("3", "–", "missed p99"),
        ("–", "2", "missed p99"),
    ]
    sent = f"of {compact(first.requests + 3 + 2)} requests"
    found = {tile.name: (tile.figure, tile.note) for tile in tiles(made)}
    assert found["Loads within the objective"] == ("0 of 2", "p99 ≤ 8 ms")
    assert found["Errors"] == ("3", sent)
    assert found["No answer"] == ("2", sent)
    assert "No answer" not in {tile.name for tile in tiles(whole)}


def test_a_load_has_its_protocol_wherever_it_is_named() -> None:
    made = both_protocols()
    text, _, _ = page(made).partition("<footer>")  # which has the settings
    for load in {str(point.load) for point in made.points}:
        assert re.findall(rf"\b{load}\b(?!, (?:http|grpc)).{{0,40}}", text) == []


def test_one_load_and_one_window_are_drawn() -> None:
    whole = report()
    single = replace(whole, points=(replace(whole.points[0], windows=whole.points[0].windows[-1:], breakdown=()),))
    assert "nan" not in page(single)
    assert "Where the time goes" not in page(single)


def test_a_step_that_takes_nothing_anywhere_is_not_in_the_legend() -> None:
    points = report().points
    first, *rest = points[0].breakdown
    drawn = breakdown([replace(points[0], breakdown=(replace(first, mean_us=0.0), *rest)), points[1]])
    assert drawn is not None
    assert drawn.parts[0][0] == "client queue"  # the second load has it
    drawn = breakdown([replace(points[0], breakdown=(replace(first, mean_us=0.0), *rest))])
    assert drawn is not None
    assert [name for name, _ in drawn.parts] == [step.name for step in rest]
    assert [len(parts) for _, parts in drawn.rows] == [len(rest)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


def both_protocols(errors: int = 0) -> Report:
    """Give the sample over HTTP, and once more over gRPC."""
    made = report(errors=errors)
    return replace(made, points=(*made.points, *(replace(point, protocol="grpc") for point in made.points)))


def opened(
    browser: Any, folder: Path, *, width: int, scheme: str, scripts: bool = True, made: Report | None = None
) -> tuple[Any, list[str]]:
    """Open the page and collect its complaints, requests among them."""
    file = folder / "page.html"
    file.write_text(page(made or report(errors=3)), encoding="utf-8")
    tab = browser.new_page(
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        java_script_enabled=scripts,
        has_touch=width < 500,
    )
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda request: complaints.append(request.url) if request.url != file.as_uri() else None)
    tab.goto(file.as_uri())
    return tab, complaints


def pixels(tab: Any) -> bytes:
    """Take a screenshot of the whole page."""
    shot: bytes = tab.screenshot(full_page=True)
    return shot


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_it_fits_every_width(width: int, browser: Any, tmp_path: Path) -> None:
    tab, complaints = opened(browser, tmp_path, width=width, scheme="light")
    assert complaints == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    shown = [svg for svg in tab.query_selector_all("svg") if svg.is_visible()]
    titles = {svg.query_selector("title").text_content() for svg in shown}
    assert titles >= PLOTS
    variant = "narrow" if width < 640 else "wide"
    assert {svg.get_attribute("class") for svg in shown} == {variant}
    assert len(pixels(tab)) > 20_000
    # Words stay legible on a phone, whatever the plot is scaled by.
    sizes = tab.evaluate(
        "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width)"
        ".flatMap(s => [...s.querySelectorAll('text')].map(t => "
        "parseFloat(getComputedStyle(t).fontSize) * s.getBoundingClientRect().width / s.viewBox.baseVal.width))"
    )
    assert min(sizes) >= 9.5
    tab.close()


def test_the_table_of_all_loads_needs_no_scrolling_on_a_desk(browser: Any, tmp_path: Path) -> None:
    """It has all columns that there are, and words of two objectives that were missed; a phone scrolls in the table."""
    first, second, *rest = both_protocols(errors=3).points
    missed = replace(first, stable=False, slo_met=False, slo_missed=("p99", "mean"))
    silent = replace(second, windows=(), slo_met=False, slo_missed=("p99", "mean"), unanswered=2)
    made = replace(report(), points=(missed, silent, *rest))
    for width in (390, 1200):
        tab, _ = opened(browser, tmp_path, width=width, scheme="light", made=made)
        table = tab.locator(".card", has=tab.get_by_role("heading", name="All loads")).locator(".scroll")
        whole, shown = (table.evaluate(f"table => table.{side}Width") for side in ("scroll", "client"))
        assert whole <= shown or width < 1200
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert "nothing measured" in table.inner_text()
        tab.close()


@pytest.mark.parametrize("make", [report, both_protocols])
def test_words_and_lines_stay_within_their_plot(make: Callable[[], Report], browser: Any, tmp_path: Path) -> None:
    for width in (360, 390, 500, 1400):
        tab, _ = opened(browser, tmp_path, width=width, scheme="light", made=make())
        outside = tab.evaluate(
            "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width).flatMap(s => {"
            " const b = s.getBoundingClientRect(); return [...s.querySelectorAll('text')].filter(t => {"
            " const r = t.getBoundingClientRect(); return r.left < b.left - 2 || r.right > b.right + 2"
            " || r.top < b.top - 2 || r.bottom > b.bottom + 2; }).map(t => t.textContent); })"
        )
        assert outside == []
        tab.close()


def test_its_date_is_in_words_and_in_one_line(browser: Any, tmp_path: Path) -> None:
    made = report()
    made = replace(made, settings=replace(made.settings, url="http://127.0.0.1:38117"))
    for width in (360, 400, 420, 1400):
        tab, _ = opened(browser, tmp_path, width=width, scheme="light", made=made)
        assert tab.inner_text(".sub") == "http://127.0.0.1:38117 · 2 January 2026, 03:04 UTC"
        assert tab.evaluate("document.querySelector('.sub span').getClientRects().length") == 1
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.close()


@pytest.mark.parametrize(
    ("stamp", "words"),
    [("2026-12-31T23:45:29-02:00", "1 January 2027, 01:45 UTC"), ("yesterday", "yesterday"), ("", "")],
)
def test_times_are_in_words(stamp: str, words: str) -> None:
    assert moment(stamp) == words


@pytest.mark.parametrize("loads", [1, 3, 7])
def test_bars_fill_what_the_histogram_beside_them_takes(loads: int, browser: Any, tmp_path: Path) -> None:
    made = report()
    made = replace(made, points=made.points[-loads:])
    tab, _ = opened(browser, tmp_path, width=1400, scheme="light", made=made)
    cards = [tab.locator(".card", has=tab.get_by_role("heading", name=name)) for name in BESIDE]
    bars, histogram = (card.locator("svg:visible").bounding_box() for card in cards)
    assert bars["y"] < histogram["y"] + histogram["height"]  # they are in one row
    assert bars["height"] == pytest.approx(histogram["height"], rel=0.02)
    tab.close()


def test_it_is_dark_where_the_reader_is_and_the_button_turns_it(browser: Any, tmp_path: Path) -> None:
    def ground(tab: Any) -> int:
        colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    light, _ = opened(browser, tmp_path, width=1000, scheme="light")
    dark, _ = opened(browser, tmp_path, width=1000, scheme="dark")
    assert ground(light) > 600
    assert ground(dark) < 100
    assert pixels(light) != pixels(dark)
    dark.click("#theme")
    assert ground(dark) > 600
    dark.click("#theme")
    assert ground(dark) < 100
    light.close()
    dark.close()


def test_words_stand_out_in_both_themes(browser: Any, tmp_path: Path) -> None:
    """Contrast by WCAG 2: 4.5 for words, 3 for lines and bars."""
    script = """() => {
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
            const channels = style.getPropertyValue(name).trim().slice(1).match(/../g).map(h => parseInt(h, 16) / 255);
            const [r, g, b] = channels.map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const contrast = (one, other) => {
            const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
            return (high + 0.05) / (low + 0.05);
        };
        const colours = Array.from({length: 12}, (_, n) => `--c${n + 1}`);
        const names = ["--fg", "--muted", "--good", "--bad", ...colours];
        return Object.fromEntries(names.map(name => [name, contrast(name, "--card")]));
    }"""
    for scheme in ("light", "dark"):
        tab, _ = opened(browser, tmp_path, width=1000, scheme=scheme)
        for name, contrast in tab.evaluate(script).items():
            assert contrast >= (3 if name.startswith("--c") else 4.5), (scheme, name)
        tab.close()


def test_a_selector_shows_one_load_and_marks_have_tooltips(browser: Any, tmp_path: Path) -> None:
    tab, _ = opened(browser, tmp_path, width=1400, scheme="light")
    card = tab.locator(".card", has=tab.get_by_role("heading", name="Latency histogram"))
    assert card.locator(".each:visible").get_attribute("data-load") == "concurrency 64"
    card.locator("select").select_option(label="concurrency 4")
    assert card.locator(".each:visible").get_attribute("data-load") == "concurrency 4"
    tab.locator("svg.wide .mark").first.focus()
    assert re.fullmatch(r"concurrency 1: 1\.\d+k/s, p99 1\.\d+ ms", tab.locator("#tip.shown").text_content())
    tab.keyboard.press("Escape")
    assert tab.locator("#tip.shown").count() == 0
    tab.close()


def test_without_scripts_every_load_is_there(browser: Any, tmp_path: Path) -> None:
    tab, _ = opened(browser, tmp_path, width=1400, scheme="light", scripts=False)
    card = tab.locator(".card", has=tab.get_by_role("heading", name="Latency histogram"))
    assert card.locator(".each:visible").count() == 7
    assert not tab.locator("#theme").is_visible()
    tab.close()


def test_the_page_says_what_was_sent_and_no_setting_without_effect() -> None:
    made = report()
    models = (
        ModelLoad("fraud", weight=3, batch_size=8, data=Data("zeros", shapes={"seq": (128,)})),
        ModelLoad("steps", "2", sequence_length=5),
    )
    hardware = {"memory": "24684084 kB"}
    told = list(
        facts(
            replace(
                made,
                settings=replace(
                    made.settings, models=models, headers={"X-Key": "secret"}, parameters={"tenant": "a", "top": 3}
                ),
                environment=replace(made.environment, hardware=hardware),
            )
        )
    )
    words = dict(told)
    assert len(words) == len(told)
    assert words["sent to fraud"] == "zeros, batch size 8, weight 3, seq=128"
    assert words["sent to steps"] == "random, batch size 1, version 2, weight 1, sequences of 5, 16 payloads"
    assert (words["protocol"], words["memory"], words["headers"]) == ("http", "23.5 GiB", "X-Key")
    assert words["parameters"] == "tenant=a, top=3"
    assert not {"gamma_shape", "burst", "arrivals", "max_in_flight", "repeat_s", "models"} & set(words)
    rate = replace(made.settings, loads=(Load("rate", 5),), duration_s=1.0)
    drawn = dict(facts(replace(made, settings=rate)))
    assert "parameters" not in drawn
    assert (drawn["arrivals"], drawn["burst"], "stability" in drawn) == ("constant", "1", False)


def test_the_knee_of_two_protocols_is_named_by_its_own() -> None:
    made = both_protocols()
    assert knee_words(replace(made, knee=made.points[1].load)) == f"{made.points[1].load}, http"
    assert knee_words(replace(report(), knee=made.points[1].load)) == str(made.points[1].load)
