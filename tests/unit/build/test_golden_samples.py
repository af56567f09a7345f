"""Golden samples of a build: of examples, at random, kept, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tritonforge.build import build, check_build
from tritonforge.errors import DiagnosticError
from tritonforge.samples import golden_of

SOURCE = """
import numpy as np
from jaxtyping import Float32, Int64
from tritonforge import Batching, String, model, pipeline

@model(batching=Batching(max_batch_size=8))
def double(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    return x * 2

@model(batching=Batching(max_batch_size=8), examples={"x": np.array([[1, 2], [3, 4]], np.float32)})
def judge(x: Float32[np.ndarray, "batch 2"]) -> String[np.ndarray, "batch"]:
    return np.array(["big" if total > 4 else "small" for total in x.sum(1)], object)

@pipeline
def both(x: Float32[np.ndarray, "batch 2"]) -> String[np.ndarray, "batch"]:
    return judge(double(x))

@model
def lookup(i: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    return np.arange(1)[i]
"""


def test_a_manifest_that_names_a_file_elsewhere_is_refused(tmp_path: Path) -> None:
    """Nothing outside the repository is read."""
    outside = ("../secret.npz", "/etc/passwd", "double/../../secret.npz")
    faults = {name: f"names a path that leaves the repository: {name}" for name in outside}
    for name, fault in {**faults, "double/1.npz": "names golden samples that aren't beside it: double/1.npz"}.items():
        entry = {"version": 1, "kind": "python", "signature": {"batched": True}, "golden": {"file": name, "sha256": ""}}
        (tmp_path / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": {"double": entry}}))
        with pytest.raises(ValueError, match=fault):
            golden_of(tmp_path, "double")


def write(folder: Path, text: str = SOURCE) -> Path:
    (folder / "models.py").write_text(text)
    return folder / "models.py"


def test_definitions_are_run_on_examples_or_at_random(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    report = build([write(tmp_path)], repository, golden=4)
    assert [(one.code, one.where.subject) for one in report.warnings] == [("TF412", "lookup")]
    (judged,) = golden_of(repository, "judge")
    assert judged.outputs["output"].tolist() == [[b"small"], [b"big"]]
    doubled = golden_of(repository, "double")
    assert [len(sample.inputs["x"]) for sample in doubled] == [1, 2, 3, 1]
    assert all(np.array_equal(sample.outputs["output"], sample.inputs["x"] * 2) for sample in doubled)
    assert len(golden_of(repository, "both")) == 4
    assert golden_of(repository, "lookup") == ()


def test_samples_have_the_shapes_that_clients_see(tmp_path: Path) -> None:
    source = """
import numpy as np
from jaxtyping import Float32
from tritonforge import Tensor, model

@model(tensors={"x": Tensor(dims=(2, 3), reshape=(6,)), "output": Tensor(dims=(3, 2), reshape=(6,))})
def folded(x: Float32[np.ndarray, "batch 6"]) -> Float32[np.ndarray, "batch 6"]:
    return -x
"""
    repository = tmp_path / "repository"
    build([write(tmp_path, source)], repository, golden=1)
    (sample,) = golden_of(repository, "folded")
    assert (sample.inputs["x"].shape, sample.outputs["output"].shape) == ((1, 2, 3), (1, 3, 2))
    signature = json.loads((repository / "tritonforge.json").read_text())["models"]["folded"]["signature"]
    assert [(one["dims"], one["reshaped"]) for one in signature["inputs"] + signature["outputs"]] == [
        ([6], [2, 3]),
        ([6], [3, 2]),
    ]


def test_a_stream_has_none_and_no_examples_are_asked_of_it(tmp_path: Path) -> None:
    source = SOURCE.replace('-> Int64[np.ndarray, "n"]:\n    return', '-> Iterator[Int64[np.ndarray, "n"]]:\n    yield')
    source = f"from collections.abc import Iterator\n{source}"
    (warning,) = build([write(tmp_path, source)], tmp_path / "repository", golden=1).warnings
    assert warning.code == "TF412"
    assert "a stream or a sequence isn't one answer to one request" in warning.message
    assert "examples" not in warning.hint


def test_an_example_that_imports_what_no_environment_has_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritonforge.build.builder.add_environments", lambda repository, gathered: repository)
    (tmp_path / "own.txt").touch()
    source = SOURCE.replace('return np.array(["big"', 'import not_here\n    return np.array(["big"')
    source = source.replace("examples={", 'environment="own.txt", examples={')
    with pytest.raises(DiagnosticError, match=r"of its environment: add not_here to own\.txt and install it here"):
        build([write(tmp_path, source)], tmp_path / "repository")


def test_an_example_that_is_no_dict_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError, match="examples: example 0 is 5, and no dict of arrays by input"):
        build(
            [
                write(
                    tmp_path, SOURCE.replace("examples={", "examples=[5, {").replace("np.float32)})", "np.float32)}])")
                )
            ],
            tmp_path / "repository",
        )


def test_a_later_build_keeps_them_and_their_models_versions(tmp_path: Path) -> None:
    source, repository = write(tmp_path), tmp_path / "repository"
    build([source], repository, golden=2)
    before = {path.name: path.read_bytes() for path in repository.glob("*.npz")}
    assert check_build([source], repository) == ""
    assert {model.change for model in build([source], repository).models} == {"unchanged"}
    assert {path.name: path.read_bytes() for path in repository.glob("*.npz")} == before
    build([source], repository, golden=0)
    assert [path.name for path in repository.glob("*.npz")] == ["judge.golden.npz"]
    models = json.loads((repository / "tritonforge.json").read_bytes())["models"]
    assert {name for name in models if "golden" in models[name]} == {"judge"}


def test_a_changed_model_gets_new_ones_in_its_pipelines_too(tmp_path: Path) -> None:
    source, repository = write(tmp_path), tmp_path / "repository"
    build([source], repository, golden=2)
    before = golden_of(repository, "both")
    write(tmp_path, SOURCE.replace("x * 2", "x + 100"))
    build([source], repository)
    assert {value for sample in golden_of(repository, "both") for (value,) in sample.outputs["output"]} == {b"big"}
    assert [sample.inputs["x"].tolist() for sample in golden_of(repository, "both")] == [
        sample.inputs["x"].tolist() for sample in before
    ]


def test_a_definition_that_fails_on_its_example_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path, SOURCE.replace("[[1, 2], [3, 4]]", "[[1, 2, 3]]"))
    with pytest.raises(
        DiagnosticError, match="judge: it has no golden samples of its examples: InvalidTensor"
    ) as raised:
        build([source], tmp_path / "repository")
    assert [one.code for one in raised.value.diagnostics] == ["TF411"]
    assert not (tmp_path / "repository").exists()


def test_examples_whose_answers_cannot_be_kept_are_refused_as_such(tmp_path: Path) -> None:
    source = """
import itertools
import numpy as np
from jaxtyping import Int64
from tritonforge import Bytes, model

numbers = itertools.count()

@model(examples={"i": np.array([1])})
def ends(i: Int64[np.ndarray, "1"]) -> Bytes[np.ndarray, "1"]:
    return np.array([b"a" + bytes(1)], object)

@model(examples={"i": np.array([1])})
def counts(i: Int64[np.ndarray, "1"]) -> Int64[np.ndarray, "1"]:
    return np.array([next(numbers)])
"""
    hint = "leave examples= out, and test it by calls of your own; or give examples whose answers can be kept"
    with pytest.raises(DiagnosticError) as raised:
        build([write(tmp_path, source)], tmp_path / "repository")
    assert [(one.code, one.message, one.hint) for one in raised.value.diagnostics] == [
        ("TF411", f"it has no golden samples of its examples: {words}", hint)
        for words in (
            '"output" has a string that ends in NUL, which is lost in the file',
            'output "output" differs from call to call',
        )
    ]


def test_what_answers_otherwise_each_time_has_none(tmp_path: Path) -> None:
    text = SOURCE.replace("return x * 2", "return x + np.random.rand(*x.shape).astype(np.float32)")
    report = build([write(tmp_path, text)], tmp_path / "repository", golden=1)
    assert any("differs from call to call" in one.message for one in report.warnings)


def test_no_sample_is_longer_than_padding_goes(tmp_path: Path) -> None:
    padded = 'pad={"n": 0}, pad_to={"n": [1, 2]}'
    source = SOURCE.replace("max_batch_size=8))\ndef double", f"max_batch_size=8), {padded})\ndef double")
    report = build([write(tmp_path, source)], tmp_path / "repository", golden=2)
    assert [one.where.subject for one in report.warnings] == ["lookup"]
    assert [sample.inputs["x"].shape[1] <= 2 for sample in golden_of(tmp_path / "repository", "double")] == [True, True]


def test_a_file_that_was_changed_is_not_believed(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    build([write(tmp_path)], repository)
    (repository / "judge.golden.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="is not the file that the build wrote"):
        golden_of(repository, "judge")
