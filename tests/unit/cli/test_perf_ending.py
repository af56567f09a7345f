"""A measurement ended by a signal, whatever Python was at when it came."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import typer

from tritonforge.cli.perf_ending import ending


class Finalized:
    """Sends a signal to this process while it is finalized."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_python_drops_ends_it_all_the_same(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: dropped.append(unraisable.exc_type))
    before = signal.getsignal(number)

    def measure() -> None:
        with ending() as end:
            Finalized(number)
            assert dropped == [KeyboardInterrupt]
            end.go_on()

    with pytest.raises(typer.Exit) as ended:
        measure()
    assert ended.value.exit_code == code
    assert "nothing was measured yet" in capsys.readouterr().err
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_signal_it_goes_on_and_once_it_is_settled_too(number: int) -> None:
    with ending() as end:
        end.go_on()
        end.settle()
        os.kill(os.getpid(), number)
        end.go_on()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_once_more_ends_what_is_settled_too(first: int) -> None:
    def measure() -> None:
        with ending() as end:
            end.settle()
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(typer.Exit):
        measure()
