"""ONNX files: signatures read from graphs, declarations held against them, and eager calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files
import onnxruntime
import pytest
from jaxtyping import Float32, Float64, Int64
from onnx import TensorProto, helper, numpy_helper
from onnx_files import value

from tritonforge import Batching
from tritonforge import onnx as onnx_model
from tritonforge.dtypes import DTYPES
from tritonforge.errors import DiagnosticError, InvalidTensor
from tritonforge.ir import ANONYMOUS, Dim, Signature, TensorSpec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def fp32(name: str, *dims: Dim) -> TensorSpec:
    return TensorSpec(name, "FP32", dims)


@pytest.mark.parametrize(
    ("shape", "batched", "dims"),
    [
        (("batch", 3), True, (3,)),
        (("N", "seq"), True, ("seq",)),
        ((None, None), True, (ANONYMOUS,)),
        ((None,), True, ()),
        (("N", "a b"), True, (ANONYMOUS,)),
        (("N", "floor(h/2)"), True, (ANONYMOUS,)),
        ((2, 3), False, (2, 3)),
        ((1, "seq"), False, (1, "seq")),
    ],
)
def test_a_variable_first_dimension_is_the_batch(
    path: Path, shape: tuple[Any, ...], batched: bool, dims: tuple[Dim, ...]
) -> None:
    onnx.save(onnx_files.identity(shape), path)
    assert onnx_model(path).signature == Signature((fp32("x", *dims),), (fp32("y", *dims),), batched=batched)


def test_one_tensor_with_a_fixed_first_dimension_makes_the_model_unbatched(path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "bias"], ["y"])]
    onnx.save(onnx_files.make([value("x", ("N", 3)), value("bias", (3,))], [value("y", ("N", 3))], nodes), path)
    assert onnx_model(path).signature == Signature(
        (fp32("x", "N", 3), fp32("bias", 3)), (fp32("y", "N", 3),), batched=False
    )


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES.values() if dtype.name != "BF16"], ids=str)
def test_every_data_type_that_the_backend_serves_is_read(path: Path, dtype: Any) -> None:
    onnx.save(onnx_files.identity(("N", 2), dtype.onnx), path)
    spec = TensorSpec("x", dtype.name, (2,), text=dtype.name == "BYTES")
    assert onnx_model(path).signature.inputs == (spec,)


def test_initialisers_that_are_listed_as_inputs_are_none(path: Path) -> None:
    onnx.save(onnx_files.linear(np.ones((3, 2), np.float32), listed=True), path)
    classifier = onnx_model(path)
    assert [spec.name for spec in classifier.signature.inputs] == ["x"]
    np.testing.assert_array_equal(classifier(np.ones((4, 3), np.float32)), np.full((4, 2), 3, np.float32))


def test_an_input_with_an_initializer_may_be_declared_as_optional(path: Path) -> None:
    """Undeclared it is none of the model's inputs, as Triton's completion leaves it out too."""
    onnx.save(onnx_files.scaled(), path)
    x, half = np.arange(4, dtype=np.float32), np.full(1, 0.5, np.float32)
    assert [spec.name for spec in onnx_model(path).signature.inputs] == ["x"]
    declared = onnx_model(path, inputs={"x": Float32[np.ndarray, "4"], "scale": Float32[np.ndarray, "1"] | None})
    assert [(spec.name, spec.optional) for spec in declared.signature.inputs] == [("x", False), ("scale", True)]
    np.testing.assert_array_equal(declared(x=x), x * 2)
    np.testing.assert_array_equal(declared(x=x, scale=half), x / 2)


def test_external_data_travel_under_their_own_names(path: Path) -> None:
    onnx_files.save_external(onnx_files.linear(np.ones((3, 2), np.float32)), path, location="weights.bin")
    classifier = onnx_model(path)
    files = {file.path: file.source for file in classifier.files}
    assert files == {"model.onnx": path, "weights.bin": path.with_name("weights.bin")}
    assert classifier(np.ones((1, 3), np.float32)).tolist() == [[3, 3]]


def test_weights_that_a_cache_keeps_under_other_names_travel_under_those_of_its_links(path: Path) -> None:
    onnx_files.save_external(onnx_files.linear(np.ones((3, 2), np.float32)), path, location="weights.bin")
    blobs = path.parent / "blobs"
    blobs.mkdir()
    for file, blob in ((path, blobs / "1a"), (path.with_name("weights.bin"), blobs / "2b")):
        file.rename(blob)
        file.symlink_to(blob)
    files = {file.path: file.source for file in onnx_model(path).files}
    assert files == {"model.onnx": path, "weights.bin": path.with_name("weights.bin")}


def test_external_data_of_constants_inside_branches_travel_too(path: Path) -> None:
    def branch(name: str) -> onnx.GraphProto:
        constant = numpy_helper.from_array(np.full(3, 7, np.float32), f"{name}_constant")
        node = helper.make_node("Constant", [], [name], value=constant)
        return helper.make_graph([node], name, [], [value(name, (3,))])

    node = helper.make_node("If", ["flag"], ["y"], then_branch=branch("yes"), else_branch=branch("no"))
    model = onnx_files.make([value("flag", (1,), TensorProto.BOOL)], [value("y", (3,))], [node])
    onnx.save_model(
        model,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location="inner.bin",
        size_threshold=0,
        convert_attribute=True,
    )
    assert path.with_name("inner.bin").is_file()
    assert [file.path for file in onnx_model(path).files] == ["model.onnx", "inner.bin"]


def test_weights_that_are_not_beside_the_model_are_told(path: Path) -> None:
    onnx_files.save_external(onnx_files.linear(np.ones((3, 2), np.float32)), path, location="weights.bin")
    path.with_name("weights.bin").unlink()
    with pytest.raises(DiagnosticError, match=r'keeps weights in "weights.bin", which is not beside it'):
        _ = onnx_model(path, name="classifier").files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an ONNX model: it has no outputs"),
        (b"not a model", "is not an ONNX model: "),
        (onnx_files.identity().SerializeToString()[:-9], "is not an ONNX model: "),
    ],
)
def test_a_file_that_is_no_model_is_told(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DiagnosticError, match=rf"classifier: model.onnx {message}") as raised:
        _ = onnx_model(path, name="classifier").signature
    assert {diagnostic.code for diagnostic in raised.value.diagnostics} == {"TF302"}


def test_a_tensor_of_unknown_rank_must_be_declared(path: Path) -> None:
    model = onnx_files.identity(("N", 3))
    model.graph.output[0].CopyFrom(value("y", None))
    onnx.save(model, path)
    with pytest.raises(DiagnosticError, match="the graph doesn't say how many dimensions y has"):
        _ = onnx_model(path).signature
    declared = onnx_model(
        path, inputs={"x": Float32[np.ndarray, "batch 3"]}, outputs={"y": Float32[np.ndarray, "batch 3"]}
    )
    assert declared.signature == Signature((fp32("x", 3),), (fp32("y", 3),), batched=True)
    assert declared(np.ones((2, 3), np.float32)).shape == (2, 3)


def test_a_data_type_that_triton_has_not_is_told(path: Path) -> None:
    model = onnx_files.identity(("N", 3), TensorProto.COMPLEX64)
    onnx.save(model, path)
    with pytest.raises(DiagnosticError, match="the graph's type for it is none of Triton's tensors") as raised:
        _ = onnx_model(path, name="classifier").signature
    assert [one.where.subject for one in raised.value.diagnostics] == [
        'classifier, input "x"',
        'classifier, output "y"',
    ]


def test_batching_of_a_graph_with_a_fixed_first_dimension_is_refused(path: Path) -> None:
    onnx.save(onnx_files.identity((1, 3)), path)
    with pytest.raises(DiagnosticError, match=r'TF111|the first dimension of "x" is fixed: FP32\[1, 3\]'):
        _ = onnx_model(path, batching=Batching()).signature


def test_a_declaration_names_and_narrows_dimensions(path: Path) -> None:
    onnx.save(onnx_files.identity(("N", None)), path)
    declared = onnx_model(
        path, inputs={"x": Float32[np.ndarray, "batch 3"]}, outputs={"y": Float32[np.ndarray, "batch width"]}
    )
    assert declared.signature == Signature((fp32("x", 3),), (fp32("y", "width"),), batched=True)


def test_one_side_may_be_declared(path: Path) -> None:
    onnx.save(onnx_files.identity(("N", "seq")), path)
    declared = onnx_model(path, inputs={"x": Float32[np.ndarray, "batch tokens"]})
    assert declared.signature == Signature((fp32("x", "tokens"),), (fp32("y", "seq"),), batched=True)


def test_a_variable_first_dimension_may_be_declared_no_batch(path: Path) -> None:
    onnx.save(onnx_files.identity(("N", 3)), path)
    declared = onnx_model(
        path, inputs={"x": Float32[np.ndarray, "rows 3"]}, outputs={"y": Float32[np.ndarray, "rows 3"]}
    )
    assert declared.signature == Signature((fp32("x", "rows", 3),), (fp32("y", "rows", 3),), batched=False)


@pytest.mark.parametrize(
    ("declared", "x", "y"),
    [
        ({"inputs": {"x": Float32[np.ndarray, "rows 3"]}}, "rows", "N"),
        ({"outputs": {"y": Float32[np.ndarray, "rows 3"]}}, "N", "rows"),
    ],
)
def test_the_side_that_is_not_declared_keeps_its_first_dimension_where_the_other_has_no_batch(
    path: Path, declared: Any, x: str, y: str
) -> None:
    onnx.save(onnx_files.identity(("N", 3)), path)
    definition = onnx_model(path, name="model", **declared)
    assert definition.signature == Signature((fp32("x", x, 3),), (fp32("y", y, 3),), batched=False)
    rows = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(definition(rows), rows)


@pytest.mark.parametrize(
    ("declared", "messages"),
    [
        (
            {"inputs": {"x": Float32[np.ndarray, "batch 4"]}},
            ['classifier, input "x": declared as FP32[batch, 4], but the graph says FP32[N, 3]'],
        ),
        (
            {"inputs": {"x": Float64[np.ndarray, "batch 3"]}},
            ['classifier, input "x": declared as FP64[batch, 3], but the graph says FP32[N, 3]'],
        ),
        (
            {"inputs": {"x": Float32[np.ndarray, "batch"]}},
            ['classifier, input "x": declared as FP32[batch], but the graph says FP32[N, 3]'],
        ),
        (
            {"inputs": {"x": Float32[np.ndarray, "batch n"]}},
            ['classifier, input "x": declared as FP32[batch, n], but the graph says FP32[N, 3]: n is fixed at 3'],
        ),
        (
            {"inputs": {"z": Float32[np.ndarray, "batch 3"]}},
            [
                'classifier, input "z": the graph has no such input',
                'classifier, input "x": the graph needs it, but it isn\'t declared',
            ],
        ),
        (
            {"outputs": {"label": Int64[np.ndarray, "batch"]}},
            ['classifier, output "label": the graph has no such output'],
        ),
        (
            {"inputs": {"x": Float32[np.ndarray, "batch 3"]}, "outputs": {"y": Float32[np.ndarray, "rows 3"]}},
            ["classifier: some of its declared tensors have a batch dimension, some have none"],
        ),
        ({"inputs": {"x": float}}, ['classifier, input "x": float is not a tensor']),
    ],
)
def test_a_declaration_that_disagrees_is_told(path: Path, declared: Any, messages: list[str]) -> None:
    onnx.save(onnx_files.identity(("N", 3)), path)
    with pytest.raises(DiagnosticError) as raised:
        _ = onnx_model(path, name="classifier", **declared).signature
    assert [f"{one.where.subject}: {one.message}" for one in raised.value.diagnostics] == messages


def test_eager_calls_are_onnxruntimes(path: Path) -> None:
    weights = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    onnx.save(onnx_files.linear(weights), path)
    x = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)
    (wanted,) = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": x})
    np.testing.assert_array_equal(onnx_model(path)(x=x), wanted)


def test_several_outputs_come_as_a_named_tuple_in_their_order(path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["b"]), helper.make_node("Neg", ["x"], ["a.1"])]
    outputs = [value("b", ("N", 3)), value("a.1", ("N", 3))]
    onnx.save(onnx_files.make([value("x", ("N", 3))], outputs, nodes), path)
    x = np.ones((1, 3), np.float32)
    result = onnx_model(path)(x)
    assert result._fields == ("b", "_1")
    assert result.b.tolist() == x.tolist()
    assert result[1].tolist() == (-x).tolist()


def test_outputs_that_are_not_declared_are_not_given(path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["b"])]
    model = onnx_files.make([value("x", ("N", 3))], [value("a", ("N", 3)), value("b", ("N", 3))], nodes)
    onnx.save(model, path)
    only = onnx_model(path, outputs={"b": Float32[np.ndarray, "batch 3"]})
    assert only(np.ones((1, 3), np.float32)).tolist() == [[-1, -1, -1]]


def test_text_goes_through(path: Path) -> None:
    onnx.save(onnx_files.identity(("N",), TensorProto.STRING), path)
    assert onnx_model(path)(np.array(["ä", b"b"], dtype=object)).tolist() == ["ä", "b"]


def test_arguments_are_held_against_the_graph(path: Path) -> None:
    onnx.save(onnx_files.identity(("N", 3)), path)
    with pytest.raises(InvalidTensor, match=r'classifier: argument "x" is FP64\[1, 3\]; wanted FP32\[batch, 3\]'):
        onnx_model(path, name="classifier")(np.ones((1, 3)))


def test_nothing_is_read_before_it_is_needed(tmp_path: Path) -> None:
    assert onnx_model(tmp_path / "later.onnx", name="later").name == "later"
