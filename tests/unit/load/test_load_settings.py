"""Loads and objectives as text."""

from __future__ import annotations

import pytest

from tritonforge.load import Load, Slo, parse_loads, parse_slo


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", [8]),
        ("1,2,8", [1, 2, 8]),
        ("1:4", [1, 2, 3, 4]),
        ("1:10:4", [1, 5, 9]),
        ("1:64:x2", [1, 2, 4, 8, 16, 32, 64]),
        ("1:4,16", [1, 2, 3, 4, 16]),
    ],
)
def test_loads_are_read(text: str, values: list[int]) -> None:
    assert parse_loads(text) == tuple(Load("concurrency", value) for value in values)


def test_rates_may_be_fractions() -> None:
    assert parse_loads("0.5:2:x2", "rate") == (Load("rate", 0.5), Load("rate", 1), Load("rate", 2))


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "4:1", "1:8:x1", "1:8:0", "1:2:3:4", "1.5", "nan", "inf"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"can't be read|no load above 0|whole number"):
        parse_loads(text)


def test_objectives_are_read() -> None:
    assert parse_slo("p99=10ms,mean=500us,p99.9=1s") == (Slo("p99", 1e4), Slo("mean", 500), Slo("p99.9", 1e6))


@pytest.mark.parametrize("text", ["p99", "p99=10", "p0=1ms", "p101=1ms", "median=1ms", ""])
def test_other_objectives_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an objective"):
        parse_slo(text)
