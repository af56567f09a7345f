"""Reloading a server that was reached by its address, whose Triton doesn't tell whether it loaded anything."""

from __future__ import annotations

from typing import Any

import pytest

from tritonforge.cli import life_options
from tritonforge.cli.renewing import try_reload
from tritonforge.server import ModelState, ModelStatistics


class Attached:
    """A server of one model, with the requests that its versions count before a reload, and after."""

    runtime, name, http_url = "attached", "", "http://127.0.0.1:8000"

    def __init__(self, before: dict[str, int], after: dict[str, int]) -> None:
        self._counts, self._after = before, after

    def models(self) -> list[ModelState]:
        return [ModelState("echo", version, "READY") for version in self._counts]

    def statistics(self) -> list[ModelStatistics]:
        counts = {"echo": self._counts, "other": {"1": 9}}
        return [
            ModelStatistics(name, version, count, 0, count, count, 0.0, 0.0)
            for name, versions in counts.items()
            for version, count in versions.items()
        ]

    def reload(self, model: str) -> None:
        self._counts = self._after

    def log_text(self) -> str:
        return ""


UNCHANGED = "no file of it that the server sees has changed"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"1": 5}, {"1": 0}, "1 reloaded"),
        ({"1": 0}, {"2": 0}, "2 reloaded"),
        ({"1": 5}, {"1": 6}, f"1 serves on; nothing was loaded: {UNCHANGED}"),
        ({"1": 0}, {"1": 0}, f"1 serves; nothing was loaded if {UNCHANGED}: by its address a server doesn't tell"),
    ],
)
def test_what_is_known_of_a_reload_is_said(
    before: dict[str, int], after: dict[str, int], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server: Any = Attached(before, after)
    assert try_reload(server, "echo")
    assert capsys.readouterr().out == f"echo {said}\n"


def test_a_server_of_ones_own_is_to_be_reloaded_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads a tree of its own, in which nothing has changed."""
    monkeypatch.setattr(life_options, "own_name", lambda url: "main")
    server: Any = Attached({"1": 0}, {"1": 0})
    assert not try_reload(server, "echo")
    assert capsys.readouterr().err == (
        f"error: echo: nothing was loaded: {UNCHANGED}\n"
        "  hint: it is your server main, which is shown what changed by its name: --name main in place of --url\n"
    )
