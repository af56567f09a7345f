"""The lines of a server's log that are of one model."""

from __future__ import annotations

import traceback

import pytest

from tritonforge.server.diagnosis.model_log import of_model


def failure(error: BaseException, model: str) -> list[str]:
    """Write a failure as the runtime does."""
    return [f"{model}: request failed", *"".join(traceback.format_exception(error)).splitlines()]


def raised(message: str) -> BaseException:
    """Raise, and catch, an exception with a cause."""
    try:
        try:
            _ = {}["mid"]
        except KeyError as error:
            raise ValueError(message) from error
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "line",
    ['I1 server.cc:1] "loading: echo:1"', "echo_0_1 starts", "  File /r/echo/1/model.py, line 3", "failed: 'echo'"],
)
def test_a_line_that_names_a_model_is_its(line: str) -> None:
    assert list(of_model([line, "echoes", "my-echo", "echo.py", "plus"], "echo")) == [line]


def test_a_traceback_is_given_whole_with_its_causes() -> None:
    """Here no line names the model but the first."""
    ours, others = failure(raised("late"), "count"), failure(raised("other"), "plus")
    assert ours[-1] == "ValueError: late"
    log = ["plus says so", *ours, *others, "hello", *ours, "I1 a line of Triton's"]
    assert list(of_model(log, "count")) == [*ours, *ours]
    assert list(of_model(log, "plus")) == ["plus says so", *others]


def test_a_traceback_that_names_a_model_is_its_whoever_prints_it() -> None:
    log = ["Traceback (most recent call last):", '  File "/r/echo/1/source/m.py", line 2, in echo', "    1 / 0"]
    log += ["ZeroDivisionError: division by zero"]
    assert list(of_model(["plus", *log, "plus"], "echo")) == log


def test_indented_lines_of_a_message_are_given_too() -> None:
    ours = failure(raised("2 errors:\n  one\n  two"), "echo")
    assert list(of_model([*ours, "hello", "  world"], "echo")) == ours


def test_a_group_is_given_whole() -> None:
    group = [
        "echo: request failed",
        "  + Exception Group Traceback (most recent call last):",
        '  |   File "m.py", line 2, in f',
        "  | ExceptionGroup: two (1 sub-exception)",
        "  +-+---------------- 1 ----------------",
        "    | ValueError: one",
        "    +------------------------------------",
    ]
    assert list(of_model([*group, "plus"], "echo")) == group


def test_a_traceback_that_the_log_ends_in_is_given_as_far_as_it_goes() -> None:
    ours = failure(raised("late"), "echo")[:-1]
    assert list(of_model(ours, "echo")) == ours
