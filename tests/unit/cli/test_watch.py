"""`up --watch`: which builds are served, and which given up, where saves come more often than builds end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from tritonforge.cli import watch
from tritonforge.server.watching.build_process import Outcome

Scene = Callable[..., Outcome]


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Builds take so many seconds each and end so, on a clock of their own; a save comes every so many seconds."""

    def run(*, takes_s: float, saved_every_s: float, outcomes: Iterator[Outcome]) -> Outcome:
        clock, started, seen = 0.0, 0.0, 0.0

        def poll(timeout_s: float) -> Outcome | None:
            nonlocal clock
            clock += timeout_s
            return next(outcomes) if clock - started >= takes_s else None

        def start() -> None:
            nonlocal started
            started = clock

        def changed() -> bool:
            nonlocal seen
            before, seen = seen, clock
            return clock // saved_every_s > before // saved_every_s

        server = SimpleNamespace(wait=lambda _: None)
        saves = SimpleNamespace(check=lambda: None, changed=changed)
        builds = SimpleNamespace(
            start=start,
            poll=poll,
            doing=lambda: "importing a.py:1" if clock - started > 3 else "",
            give_up=lambda: None,
        )
        monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: clock))
        return watch._build(server, saves, builds)  # type: ignore[arg-type]

    return run


def endless(outcome: Outcome) -> Iterator[Outcome]:
    while True:
        yield outcome


@pytest.mark.parametrize(
    ("takes_s", "saved_every_s", "given_up"), [(0.4, 100.0, 0), (1.0, 0.5, 0), (8.0, 5.0, 2), (20.0, 4.0, 3)]
)
def test_a_build_is_served_however_often_one_saves(
    takes_s: float, saved_every_s: float, given_up: int, build: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    built = build(takes_s=takes_s, saved_every_s=saved_every_s, outcomes=endless(Outcome(warnings=("built",))))
    assert built.warnings == ("built",)
    said = capsys.readouterr().err.splitlines()
    assert said.count("given up; building what is saved now") == given_up


def test_a_build_that_failed_while_more_was_saved_is_not_told(build: Scene) -> None:
    outcomes = iter([Outcome(failure="half saved")] * 3 + [Outcome(warnings=("whole",))])
    assert build(takes_s=1.0, saved_every_s=0.5, outcomes=outcomes) == Outcome(warnings=("whole",))


def test_how_long_a_build_is_left_to_itself_is_told(build: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    build(takes_s=8.0, saved_every_s=5.0, outcomes=endless(Outcome()))
    assert capsys.readouterr().err.splitlines() == [
        "still importing a.py:1 …; it is given up once something is saved",
        "given up; building what is saved now",
        "still importing a.py:1 …; after 6 s it is given up once something is saved",
        "given up; building what is saved now",
        "still importing a.py:1 …; after 12 s it is given up once something is saved",
    ]
