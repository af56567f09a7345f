"""What a sweep found, for people and programs: pages, tables, files, and the comparison of two."""

from __future__ import annotations

from tritonforge.report.compare import compare_reports
from tritonforge.report.comparison import comparison_json, comparison_markdown, headline
from tritonforge.report.files import WRITERS, BadReport, read_report, write_report
from tritonforge.report.page import page
from tritonforge.report.perf_analyzer import perf_analyzer_csv
from tritonforge.report.picture import PngUnavailable, main_png, main_svg
from tritonforge.report.server_tables import batch_table, server_table
from tritonforge.report.tables import (
    Table,
    breakdown_table,
    comparison_table,
    markdown,
    point_table,
    process_table,
    stream_table,
    text_table,
    warnings_of,
)
from tritonforge.report.verdicts import Comparison, Figure, FigureChange, PointChange, Rules, Verdict

__all__ = [
    "WRITERS",
    "BadReport",
    "Comparison",
    "Figure",
    "FigureChange",
    "PngUnavailable",
    "PointChange",
    "Rules",
    "Table",
    "Verdict",
    "batch_table",
    "breakdown_table",
    "compare_reports",
    "comparison_json",
    "comparison_markdown",
    "comparison_table",
    "headline",
    "main_png",
    "main_svg",
    "markdown",
    "page",
    "perf_analyzer_csv",
    "point_table",
    "process_table",
    "read_report",
    "server_table",
    "stream_table",
    "text_table",
    "warnings_of",
    "write_report",
]
