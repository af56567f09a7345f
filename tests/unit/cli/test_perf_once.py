"""Options of `tritonforge perf` that are given twice."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app

COMPARE = ["compare", "a.json", "b.json"]


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["m", "--json", "a.json", "--json", "b.json"], "--json"),
        (["measure", "m", "--json=a.json", "--json=a.json"], "--json"),
        (["m", "--server-statistics", "--no-server-statistics"], "--server-statistics"),
        (["m", "--check", "--check"], "--check"),
        (["m", "-b", "2", "--batch-size", "2"], "--batch-size"),
        ([*COMPARE, "--confidence", "95%", "--confidence", "99%"], "--confidence"),
        (["run", "a.toml", "-o", "x", "--output", "y"], "--output"),
    ],
    ids=str,
)
def test_an_option_that_is_given_twice_is_refused(arguments: list[str], option: str) -> None:
    """The last would be all that is heeded."""
    result = CliRunner().invoke(app, ["perf", *arguments])
    assert result.exit_code == 2
    assert re.search(rf"Invalid value for '?{option}\b.*: it is given twice", " ".join(result.output.split()))


def test_those_that_take_several_values_and_help_are_taken() -> None:
    twice = ["-H", "a: 1", "--header", "b: 2", "--shape", "x=1", "--shape", "y=1", "--request-parameter", "a:1:int"]
    result = CliRunner().invoke(
        app, ["perf", "m", *twice, "--request-parameter", "b:1:int", "--url", "http://127.0.0.1:1"]
    )
    assert "given twice" not in result.output
    assert CliRunner().invoke(app, ["perf", "measure", "--help", "--help"]).exit_code == 0
    assert CliRunner().invoke(app, ["perf", "measure", "m", "--jsonn"]).exit_code == 2
