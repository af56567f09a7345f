"""The parameters of config.pbtxt as native backends read them."""

from __future__ import annotations

import pytest
from tritonforge_runtime import LoadError, Parameters


def parameters(**values: str) -> Parameters:
    return Parameters({"parameters": {name: {"string_value": value} for name, value in values.items()}})


@pytest.mark.parametrize(
    ("value", "found"), [("true", True), ("On", True), ("1", True), ("FALSE", False), ("off", False), ("0", False)]
)
def test_a_flag_is_spelled_as_natively(value: str, found: bool) -> None:
    assert parameters(flag=value).flag("flag") is found


def test_what_is_left_out_has_its_default() -> None:
    given = parameters()

    assert (given.flag("a", default=True), given.flag("b"), given.count("c"), given.text("d", "x")) == (
        True,
        False,
        0,
        "x",
    )


@pytest.mark.parametrize(("value", "found"), [("3", 3), ("0", 0), ("-1", 0)])
def test_no_number_of_threads_is_all_cores(value: str, found: int) -> None:
    assert parameters(threads=value).count("threads") == found


def test_what_makes_no_sense_is_refused() -> None:
    given = parameters(flag="maybe", threads="many")

    with pytest.raises(LoadError, match="flag is 'maybe'; wanted true or false"):
        given.flag("flag")
    with pytest.raises(LoadError, match="threads is 'many'; wanted a number of threads"):
        given.count("threads")
    for wrong in ("-3", "--1", "1.5", ""):
        with pytest.raises(LoadError, match=f"threads is '{wrong}'"):
            parameters(threads=wrong).count("threads")


def test_what_nothing_reads_is_told_with_the_nearest_name() -> None:
    given = parameters(intra_op_threads="1", team="risk", EXECUTION_ENV_PATH="/x", tritonforge_files="1f", asked="1")
    given.count("intra_op_thread_count")
    given.count("asked")

    assert given.unread() == [
        "parameter intra_op_threads is none that this backend has, and does nothing; did you mean "
        "intra_op_thread_count?",
        "parameter team is none that this backend has, and does nothing",
    ]
