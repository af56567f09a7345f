"""Diagnostics as people read them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from tritonforge.errors import Diagnostic, DiagnosticError, InvalidTensor, TritonForgeError, Where


def test_a_place_below_the_working_directory_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Where(str(tmp_path / "serving" / "fraud.py"), 27, "fraud → classifier")) == (
        "serving/fraud.py:27 fraud → classifier"
    )


def test_a_place_elsewhere_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    elsewhere = str(tmp_path / "fraud.py")
    assert str(Where(elsewhere)) == elsewhere


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Where(), ""),
        (Where("fraud.py"), "fraud.py"),
        (Where("fraud.py", 3), "fraud.py:3"),
        (Where(subject="fraud"), "fraud"),
        (Where("", 3, "fraud"), "fraud"),
        (Where("<stdin>", 1, "fraud"), "<stdin>:1 fraud"),
    ],
)
def test_a_place_says_what_is_known_of_it(where: Where, text: str) -> None:
    assert str(where) == text


def test_another_subject_keeps_file_and_line() -> None:
    assert Where("fraud.py", 3, "fraud").at("classifier") == Where("fraud.py", 3, "classifier")


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        (Diagnostic("TF1", Where("a.py", 1), "it is wrong", "mend it"), "a.py:1: it is wrong\n  hint: mend it  [TF1]"),
        (Diagnostic("TF1", Where("a.py", 1), "it is wrong"), "a.py:1: it is wrong  [TF1]"),
        (Diagnostic("TF1", Where(), "it is wrong", "mend it"), "it is wrong\n  hint: mend it  [TF1]"),
        (Diagnostic("TF1", Where("a.py"), "odd", severity="warning"), "warning: a.py: odd  [TF1]"),
    ],
)
def test_a_diagnostic_gives_place_message_hint_and_code(diagnostic: Diagnostic, text: str) -> None:
    assert str(diagnostic) == text


def test_an_error_holds_all_diagnostics_and_shows_them_in_order() -> None:
    found = [Diagnostic("TF1", Where("a.py", 1), "one"), Diagnostic("TF2", Where("a.py", 2), "two", "mend")]
    error = DiagnosticError(iter(found))
    assert error.diagnostics == tuple(found)
    assert str(error) == "a.py:1: one  [TF1]\na.py:2: two\n  hint: mend  [TF2]"
    assert isinstance(error, TritonForgeError)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_of_diagnostics_travels_between_processes(
    copied: Callable[[DiagnosticError], DiagnosticError],
) -> None:
    error = DiagnosticError([Diagnostic("TF1", Where("a.py", 1), "one"), Diagnostic("TF2", Where(), "two", "mend")])
    there = copied(error)
    assert (there.diagnostics, str(there)) == (error.diagnostics, str(error))


def test_an_invalid_tensor_is_also_a_value_error() -> None:
    assert issubclass(InvalidTensor, ValueError)
    assert issubclass(InvalidTensor, TritonForgeError)
