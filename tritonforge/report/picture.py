"""The main plot as a picture by itself: SVG, or PNG for a README."""

from __future__ import annotations

import re
from importlib.util import find_spec

from tritonforge.errors import TritonForgeError
from tritonforge.load import Report
from tritonforge.report.charts.frame import WIDE
from tritonforge.report.charts.lines import draw_lines
from tritonforge.report.page import ASSETS
from tritonforge.report.plots import throughput_and_latency
from tritonforge.report.tables import nothing_ended

__all__ = ["PngUnavailable", "check_png", "main_png", "main_svg", "standalone_svg", "to_png"]


class PngUnavailable(TritonForgeError):
    """The package that turns SVG into PNG is not installed."""

    def __init__(self) -> None:
        super().__init__("a PNG needs the package resvg-py, which is not installed: pip install 'tritonforge[png]'")


def main_svg(report: Report) -> str:
    """Draw throughput against latency, in light colours that are written into the picture.

    Raises:
        ValueError: no request succeeded in any window.
    """
    points = [point for point in report.points if point.requests]
    if not points:
        raise ValueError(f"nothing to plot: {nothing_ended(report.points)}")
    return standalone_svg(draw_lines(throughput_and_latency(points, report), WIDE))


def standalone_svg(drawing: str) -> str:
    """Give a drawing its colours, which it has from the page's style elsewhere: the light ones, and a ground."""
    colours = dict(re.findall(r"(--[\w-]+): (#\w+)", (ASSETS / "page.css").read_text(encoding="utf-8").split("}")[0]))
    style = (ASSETS / "drawing.css").read_text(encoding="utf-8").replace("svg ", "")
    style = re.sub(r"var\((--[\w-]+)\)", lambda found: colours[found[1]], style)
    style = style.replace("transparent", "none").replace('system-ui, -apple-system, "Segoe UI", Roboto, ', "")
    ground = f'<rect width="100%" height="100%" fill="{colours["--card"]}"/>'
    start = drawing.index(">") + 1
    return f"{drawing[:start]}<style>{style}</style>{ground}{drawing[start:]}"


def main_png(report: Report, *, zoom: int = 2) -> bytes:
    """Draw the same as PNG, `zoom` pixels for each unit of 680 by 360.

    Raises:
        PngUnavailable: resvg-py is not installed.
        ValueError: no request succeeded in any window.
    """
    return to_png(main_svg(report), zoom=zoom)


def check_png() -> None:
    """Raise PngUnavailable where resvg-py is not installed."""
    if find_spec("resvg_py") is None:
        raise PngUnavailable


def to_png(svg: str, *, zoom: int = 2) -> bytes:
    """Turn a drawing that has its colours into PNG, `zoom` pixels for each of its units.

    Raises:
        PngUnavailable: resvg-py is not installed.
    """
    try:
        import resvg_py
    except ImportError:
        raise PngUnavailable from None
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=zoom))
