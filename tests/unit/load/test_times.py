"""Recorded times, however they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.load import InvalidLoad, read_times


@pytest.mark.parametrize(
    "text",
    [
        "12.5\n10\n\n11\n",
        "\ufeff12.5\n# 3 is no time\n10\n  # nor is 4\n11\n",
        '{"ts": 11}\n{"time": 10}\n{"timestamp": 12.5}\n',
        "2026-01-01T00:00:10Z\n2026-01-01T00:00:11+00:00\n2026-01-01T01:00:12.5+01:00\n",
    ],
)
def test_times_count_from_the_first(tmp_path: Path, text: str) -> None:
    (tmp_path / "times").write_text(text)
    assert read_times(tmp_path / "times") == (0.0, 1.0, 2.5)
    assert read_times(tmp_path / "times", speed=2.0) == (0.0, 0.5, 1.25)


def test_a_schedule_counts_from_nought(tmp_path: Path) -> None:
    (tmp_path / "times").write_text("2\n1\n")
    assert read_times(tmp_path / "times", from_first=False) == (1.0, 2.0)


WANTED = "wanted a number of seconds or ISO 8601, or JSON with one under time, timestamp, ts"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\nsoon\n", f"times:2: 'soon' is no time: {WANTED}"),
        ('{"ts": "soon"}', WANTED),
        ("", "no times"),
        ('{"at": 1}', "none of"),
        ('{"at"', "no JSON"),
        ("inf", "not finite"),
        ("1700000000123\n1700000001123", "1700000001123 is no time in seconds.*; divide milliseconds by 1000"),
        ('{"ts": 1700000000123000000}', "is no time in seconds"),
    ],
)
def test_other_text_is_refused_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "times").write_text(text)
    with pytest.raises(InvalidLoad, match=words):
        read_times(tmp_path / "times")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.1\nfoo\n", "times:2: 'foo' is no time: wanted a number of seconds, or JSON"),
        ("2026-01-01T00:00:00Z\n", "times:1: .* a schedule counts seconds from 0. .* there is --replay"),
        ("0\n1e300\n", r"its last time is 1e\+300 s after the start; it is at most 1e\+09 s"),
        ("1767225601.5\n", "its first time is 1767225602 s after the start; .* there is --replay"),
    ],
)
def test_a_schedule_has_no_times_of_a_clock(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "times").write_text(text)
    with pytest.raises(InvalidLoad, match=words):
        read_times(tmp_path / "times", from_first=False)


def test_a_recording_that_is_slowed_down_beyond_reason_is_refused(tmp_path: Path) -> None:
    (tmp_path / "times").write_text("1\n2\n")
    with pytest.raises(InvalidLoad, match="its last time is inf s after the start"):
        read_times(tmp_path / "times", speed=5e-324)
