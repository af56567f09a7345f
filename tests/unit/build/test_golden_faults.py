"""What is said of a definition that has no golden samples: the mend goes by what kept it from running."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.build import build
from tritonforge.errors import DiagnosticError

HEAD = """import numpy as np
from jaxtyping import Float32
from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch n"]
"""
CLASS = """
@model
class clf:
    def __init__(self) -> None:
        self.weights = open("nowhere/weights.bin")

    def __call__(self, x: Rows) -> Rows:
        return x

@pipeline
def both(x: Rows) -> Rows:
    return clf(x)
"""
RANDOM = "it has no golden samples, since it doesn't run on random input here: "


def warned(folder: Path, text: str) -> list[tuple[str, str, str]]:
    (folder / "models.py").write_text(HEAD + text)
    report = build([folder / "models.py"], folder / "repository", golden=1)
    return [(one.code, one.message, one.hint) for one in report.warnings]


def function(body: str) -> str:
    return f"\n@model\ndef f(x: Rows) -> Rows:\n    {body}\n"


def test_a_name_that_is_nowhere_is_to_be_mended_at_its_line(tmp_path: Path) -> None:
    assert warned(tmp_path, function("return scael(x)")) == [
        (
            "TF412",
            f"{RANDOM}NameError: name 'scael' is not defined",
            "mend models.py:9 (return scael(x)): that fails on any input",
        )
    ]


def test_an_attribute_that_is_nowhere_may_hang_on_the_input(tmp_path: Path) -> None:
    ((code, _, hint),) = warned(tmp_path, function("return x.mena()"))
    mend = "mend models.py:9 (return x.mena()), or give examples= where only this input fails there"
    assert (code, hint) == ("TF412", mend)


def test_a_result_that_is_not_as_annotated_is_to_be_mended(tmp_path: Path) -> None:
    ((code, message, hint),) = warned(tmp_path, function("return x.astype(np.float64)"))
    assert (code, 'result "output"' in message) == ("TF412", True)
    assert hint == "mend what it returns, or its annotation: served, a request with such an answer fails"


def test_a_package_that_is_missing_is_to_be_installed(tmp_path: Path) -> None:
    ((code, _, hint),) = warned(tmp_path, function("import not_here.part\n    return x"))
    assert (code, hint) == ("TF412", "install not_here in this environment")


def test_what_may_be_the_inputs_fault_asks_for_examples(tmp_path: Path) -> None:
    ((code, _, hint),) = warned(tmp_path, function("return x[100:][0]"))
    assert (code, hint) == ("TF412", "give it examples=, or leave it without")


def test_an_init_that_fails_is_told_as_such_of_the_class_and_its_pipelines(tmp_path: Path) -> None:
    reason = "FileNotFoundError: [Errno 2] No such file or directory: 'nowhere/weights.bin'"
    hint = 'mend models.py:10 (self.weights = open("nowhere/weights.bin")): '
    hint += "Triton serves no model whose __init__ raises"
    assert warned(tmp_path, CLASS) == [
        ("TF412", f"it has no golden samples, since {whose} fails here: {reason}", hint)
        for whose in ("the __init__ of clf", "its __init__")
    ]


def test_examples_of_what_fails_on_any_input_are_not_blamed(tmp_path: Path) -> None:
    text = function("return scael(x)").replace("@model", '@model(examples={"x": np.ones((1, 2), np.float32)})')
    with pytest.raises(DiagnosticError) as raised:
        warned(tmp_path, text)
    (one,) = raised.value.diagnostics
    assert (one.code, one.hint) == ("TF411", "mend models.py:9 (return scael(x)): that fails on any input")
