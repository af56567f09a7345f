"""`tritonforge perf compare` of live servers: what its options say of the load."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tritonforge.cli import app, perf_compare

LIVE = ["perf", "compare", "http://127.0.0.1:1", "http://127.0.0.1:2", "--model", "m"]
OPTIONS = ["--body", "json", "-H", "triton-key: k", "--timeout", "3", "--request-parameter", "top:3:int"]
_OF_LIVE = [*(OPTIONS[place : place + 2] for place in range(0, len(OPTIONS), 2)), ["--server-name", "x"]]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The scenarios that are to be compared, of which nothing is measured."""
    found: list[Any] = []

    def live(scenario: Any, *_: object) -> None:
        found.append(scenario)
        raise typer.Exit(0)

    monkeypatch.setattr(perf_compare, "_live", live)
    return found


def test_servers_are_reached_as_measure_reaches_them(taken: list[Any]) -> None:
    assert CliRunner().invoke(app, [*LIVE, *OPTIONS]).exit_code == 0
    settings = taken[0].settings("http://127.0.0.1:1")
    assert (settings.body, settings.headers, settings.timeout_s) == ("json", {"triton-key": "k"}, 3.0)
    assert settings.parameters == {"top": 3}


def test_the_name_of_a_certificate_is_told(taken: list[Any]) -> None:
    urls = ["https://127.0.0.1:1", "https://127.0.0.1:2"]
    asked = ["perf", "compare", *urls, "--model", "m", "--server-name", "models.example"]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert taken[0].settings(urls[0]).tls.server_name == "models.example"


def test_a_name_of_a_certificate_says_nothing_without_tls() -> None:
    for asked in (LIVE, ["perf", "m", "--url", "http://127.0.0.1:1"]):
        result = CliRunner().invoke(app, [*asked, "--server-name", "models.example"])
        assert result.exit_code == 2
        assert "--server-name: it says nothing without TLS" in " ".join(result.output.replace("│", " ").split())


def test_a_name_of_a_certificate_that_is_none_is_told_by_its_option() -> None:
    result = CliRunner().invoke(app, ["perf", "m", "--url", "https://127.0.0.1:1", "--server-name", "a..b"])
    assert result.exit_code == 2
    assert "--server-name 'a..b' is no host's name: " in result.output


@pytest.mark.parametrize("option", _OF_LIVE)
def test_options_of_live_servers_say_nothing_of_reports(option: list[str]) -> None:
    result = CliRunner().invoke(app, ["perf", "compare", "a.json", "b.json", *option])
    assert result.exit_code == 2
    assert "it says nothing without live servers' URLs" in " ".join(result.output.replace("│", " ").split())
