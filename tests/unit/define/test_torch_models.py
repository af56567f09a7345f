"""torch modules, exported to ONNX once for all of these tests, and TorchScript files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from jaxtyping import BFloat16, Float32, Int64
from numpy.typing import NDArray

from tritonforge import Bytes, String, torch_module, torchscript
from tritonforge.errors import DiagnosticError, InvalidTensor
from tritonforge.ir import Signature, TensorSpec

torch = pytest.importorskip("torch")
script_modules = pytest.importorskip("script_modules")

FOUR = Float32[np.ndarray, "batch 4"]

X: NDArray[np.float32] = np.random.default_rng(20).normal(size=(5, 4)).astype(np.float32)


class Network(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Two layers, with what evaluation mode changes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(20)
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))

    def forward(self, features: Any) -> Any:
        return self.layers(features)


NETWORK = Network()


class Pair(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, left: Any, right: Any) -> Any:
        return left + right, left * 2


class Named(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return {"double": x * 2, "sum": x.sum(dim=1)}


class Nested(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return {"a": x, "b": {"c": x * 2}}


class Scalar(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return x.sum()


class Broken(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return x if x.sum() > 0 else -x


def run(content: bytes, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


@pytest.fixture(scope="module")
def exported() -> Any:
    NETWORK.layers[0].eval()
    definition = torch_module(NETWORK, example=X[:1], outputs=("logits",), name="network")
    (file,) = definition.files
    return definition, file


def test_the_signature_is_that_of_the_example_with_a_variable_batch(exported: tuple[Any, Any]) -> None:
    definition, _ = exported
    assert definition.signature == Signature(
        (TensorSpec("features", "FP32", (4,)),), (TensorSpec("logits", "FP32", (2,)),), batched=True
    )


def test_an_eager_call_runs_the_exported_graph_in_evaluation_mode(exported: tuple[Any, Any]) -> None:
    definition, file = exported
    assert file.path == "model.onnx"
    with torch.inference_mode():
        wanted = Network().eval()(torch.from_numpy(X)).numpy()
    for rows in (1, 5, 3):
        (served,) = run(file.content, features=X[:rows])
        np.testing.assert_array_equal(definition(X[:rows]), served)
        np.testing.assert_allclose(served, wanted[:rows], rtol=1e-5, atol=1e-6)


def test_the_export_leaves_the_module_as_it_was(exported: tuple[Any, Any]) -> None:
    assert exported
    assert NETWORK.training
    assert [layer.training for layer in NETWORK.layers] == [False, True, True]


def test_the_export_has_nothing_of_this_machine_in_it(exported: tuple[Any, Any]) -> None:
    _, file = exported
    assert str(Path(__file__).parent).encode() not in file.content
    assert b"site-packages" not in file.content


def test_a_tuple_gives_numbered_outputs_and_several_inputs_are_named_after_forwards_parameters() -> None:
    definition = torch_module(Pair(), example=(X, X), name="pair")
    assert [spec.name for spec in definition.signature.inputs] == ["left", "right"]
    result = definition(X, right=X)
    assert result._fields == ("output_0", "output_1")
    np.testing.assert_array_equal(result.output_0, X + X)


def test_a_dict_gives_named_outputs() -> None:
    definition = torch_module(Named(), example={"x": X}, name="named")
    assert definition.signature.outputs == (TensorSpec("double", "FP32", (4,)), TensorSpec("sum", "FP32", ()))
    assert definition(X).sum.shape == (5,)


def test_arguments_are_held_against_the_example(exported: tuple[Any, Any]) -> None:
    definition, _ = exported
    with pytest.raises(
        InvalidTensor, match=r'network: argument "features" has shape \[5, 3\]; wanted FP32\[batch, 4\]'
    ):
        definition(X[:, :3])


@pytest.mark.parametrize(
    ("module", "example", "options", "message"),
    [
        (Pair(), (X, X, X), {}, "3 example arrays"),
        (Pair(), {"left": X, "rihgt": X}, {}, "the example has rihgt"),
        (NETWORK, X, {"outputs": ("a", "b")}, "outputs= gives 2 names, forward gives 1"),
        (Broken(), X, {}, "torch can't export it: Could not guard on data-dependent expression"),
        (Network(), X.astype(np.complex64), {}, 'the example of "features" is complex64[5, 4]'),
        (lambda: "no module", X, {}, "<lambda>() gave a str"),
        (lambda: torch.jit.trace(NETWORK, torch.from_numpy(X)), X, {}, "it is TorchScript"),
        (torch.export.export(NETWORK, (torch.from_numpy(X),)), X, {}, "it is an exported program"),
        (Nested(), X, {}, '"b" of what forward gives is of type dict: give tensors'),
        (Pair(), (X, X), {"inputs": {"left": FOUR}}, "inputs= and the example differ in right"),
        (NETWORK, X, {"outputs": ("features",)}, '"features" is an input and an output'),
        (NETWORK.state_dict(), X, {}, "of type OrderedDict"),
    ],
)
def test_what_cannot_be_served_is_told(module: Any, example: Any, options: Any, message: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        _ = torch_module(module, example=example, name="network", **options).signature
    (found,) = raised.value.diagnostics
    assert (found.code, message in found.message) == ("TF304", True)


@pytest.mark.filterwarnings("ignore:.*is deprecated. Please switch to:DeprecationWarning")  # inside torch.compile
@pytest.mark.parametrize(
    "wrap", [torch.compile, torch.nn.DataParallel, lambda one: torch.nn.DataParallel(torch.compile(one))]
)
def test_a_wrapper_is_left_out_of_what_is_exported(wrap: Any, exported: tuple[Any, Any]) -> None:
    definition = torch_module(wrap(NETWORK), example=X[:1], outputs=("logits",), name="network")
    assert definition.signature == exported[0].signature
    np.testing.assert_array_equal(definition(X), exported[0](X))


def test_a_failed_export_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DiagnosticError):
        _ = torch_module(Broken(), example=X, name="network").signature
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", [lambda x: x, lambda x: [x], lambda x: (x,), lambda x: {"features": x}])
def test_examples_may_be_tensors(form: Any) -> None:
    network = torch_module(NETWORK, example=form(torch.from_numpy(X).requires_grad_()), name="network")
    assert network.signature == Signature(
        (TensorSpec("features", "FP32", (4,)),), (TensorSpec("output", "FP32", (2,)),), batched=True
    )
    assert network(X).shape == (5, 2)


def test_a_tensor_that_numpy_has_not_is_told() -> None:
    with pytest.raises(DiagnosticError, match=r'the example of "features" is a torch\.bfloat16 tensor'):
        _ = torch_module(NETWORK, example=torch.zeros(2, 4, dtype=torch.bfloat16), name="network").signature


class Last(torch.nn.Module):  # type: ignore[misc,name-defined]
    """What torch exports of it has the size of the example's second dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.LSTM(4, 5)

    def forward(self, x: Any) -> Any:
        return self.layer(x)[0]


class Placed(torch.nn.Module):  # type: ignore[misc,name-defined]
    """It has places for seven rows."""

    def __init__(self) -> None:
        super().__init__()
        self.places = torch.nn.Parameter(torch.zeros(7, 4))

    def forward(self, x: Any) -> Any:
        return x + self.places


SEVEN = np.zeros((7, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("module", "example", "inputs", "message"),
    [
        (Last, SEVEN, {"x": Float32[np.ndarray, "t n 4"]}, "t is fixed at 7 by the graph that torch exports: for 14 "),
        (Placed, SEVEN.swapaxes(0, 1), {"x": Float32[np.ndarray, "batch t 4"]}, "FP32[batch, 7, 4]: t is fixed at 7"),
    ],
)
def test_a_dimension_that_the_export_fixed_is_told(module: Any, example: Any, inputs: Any, message: str) -> None:
    """torch's exporter says nothing of it."""
    with pytest.raises(DiagnosticError) as raised:
        _ = torch_module(module, example=example, inputs=inputs, outputs=["y"], name="network").signature

    (found,) = raised.value.diagnostics
    assert found.code == "TF303"
    assert message in found.message


def test_outputs_may_be_annotated() -> None:
    declared = {"logits": Float32[np.ndarray, "batch 2"]}
    network = torch_module(NETWORK, example=X, outputs=declared, name="network")
    assert network.signature.outputs == (TensorSpec("logits", "FP32", (2,)),)

    with pytest.raises(DiagnosticError, match=r"declared as FP32\[batch, 3\], but the graph says FP32\[batch, 2\]"):
        _ = torch_module(NETWORK, example=X, outputs={"logits": Float32[np.ndarray, "batch 3"]}, name="n").signature


def test_outputs_that_are_the_keys_of_a_dict_are_found_by_them() -> None:
    named = torch_module(Named(), example={"x": X}, outputs=("sum", "double"), name="named")
    np.testing.assert_array_equal(named(X).double, X * 2)


def test_a_result_without_a_batch_is_told() -> None:
    with pytest.raises(DiagnosticError) as raised:
        _ = torch_module(Scalar(), example=X, name="scalar").signature
    assert 'the first dimension of "output" is fixed' in str(raised.value)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import warnings

    folder = tmp_path_factory.mktemp("scripts")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that TorchScript is deprecated
        torch.jit.trace(Network().eval(), torch.from_numpy(X)).save(folder / "network.pt")
        torch.jit.trace(Pair().eval(), (torch.from_numpy(X), torch.from_numpy(X))).save(folder / "pair.pt")
    script_modules.save(folder)
    (folder / "nothing.pt").write_bytes(b"nothing")
    return folder


def test_torchscript_outputs_get_the_position_that_triton_wants(scripts: Path) -> None:
    definition = torchscript(
        scripts / "network.pt",
        inputs={"features": Float32[np.ndarray, "batch 4"]},
        outputs={"logits": Float32[np.ndarray, "batch 2"]},
        name="network",
    )
    assert definition.signature.outputs == (TensorSpec("logits__0", "FP32", (2,)),)
    assert [(file.path, file.source) for file in definition.files] == [("model.pt", scripts / "network.pt")]
    with torch.inference_mode():
        wanted = Network().eval()(torch.from_numpy(X)).numpy()
    np.testing.assert_array_equal(definition(X), wanted)


def test_torchscript_tensors_are_picked_by_position(scripts: Path) -> None:
    tensor = Float32[np.ndarray, "batch 4"]
    definition = torchscript(
        scripts / "pair.pt",
        inputs={"b__1": tensor, "a__0": tensor},
        outputs={"double__1": tensor, "sum__0": tensor},
        name="pair",
    )
    double, total = definition(a__0=X, b__1=X * 2)
    np.testing.assert_array_equal(double, X * 2)
    np.testing.assert_array_equal(total, X * 3)


@pytest.mark.parametrize("kind", [String, Bytes])
def test_torchscript_gets_strings_as_a_list(scripts: Path, kind: Any) -> None:
    """Text, whatever the annotation says; what comes back is as annotated."""
    words = kind[np.ndarray, "n"]
    definition = torchscript(scripts / "strings.pt", inputs={"words": words}, outputs={"o": words}, name="strings")
    assert [file.path for file in definition.files] == ["model.pt"]
    wanted = ["<é>", "<b>"] if kind is String else ["<é>".encode(), b"<b>"]
    assert definition(np.array(["é", "b"], object)).tolist() == wanted


def test_torchscript_gets_strings_that_are_utf_8(scripts: Path) -> None:
    words = Bytes[np.ndarray, "n"]
    definition = torchscript(scripts / "strings.pt", inputs={"words": words}, outputs={"o": words}, name="strings")
    with pytest.raises(InvalidTensor, match="strings: TorchScript has text alone, and a string is not UTF-8"):
        definition(np.array([b"\xff"], object))


def test_torchscript_gets_all_inputs_in_one_dictionary(scripts: Path) -> None:
    definition = torchscript(scripts / "difference.pt", inputs={"a": FOUR, "b": FOUR}, outputs={"y": FOUR}, name="d")
    assert [file.path for file in definition.files] == ["model.pt"]
    np.testing.assert_array_equal(definition(a=X, b=X * 2), -X)


def test_torchscript_gets_none_for_an_optional_input_that_is_left_out(scripts: Path) -> None:
    definition = torchscript(
        scripts / "optional.pt", inputs={"x": FOUR, "factor": FOUR | None}, outputs={"y": FOUR}, name="optional"
    )
    np.testing.assert_array_equal(definition(x=X), X + 1)
    np.testing.assert_array_equal(definition(x=X, factor=X), X * X)


def test_torchscript_takes_and_gives_bf16(scripts: Path) -> None:
    tensor = BFloat16[np.ndarray, "batch 4"]
    definition = torchscript(
        scripts / "pair.pt", inputs={"left": tensor, "right": tensor}, outputs={"sum": tensor}, name="pair"
    )
    x = X.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(definition(left=x, right=x).astype(np.float32), (x + x).astype(np.float32))


@pytest.mark.parametrize(
    ("file", "inputs", "code", "message"),
    [
        (
            "network.pt",
            {"x": Float32[np.ndarray, "batch 4"]},
            "TF303",
            'forward has no argument "x"; it takes features',
        ),
        ("network.pt", {"x__1": Float32[np.ndarray, "batch 4"]}, "TF303", 'forward has no argument "x__1"'),
        ("pair.pt", {"left": FOUR, "b__1": FOUR}, "TF303", "inputs left, b__1 are named in two ways, or twice by one"),
        ("pair.pt", {"a__1": FOUR, "b__1": FOUR}, "TF303", "inputs a__1, b__1 are named in two ways, or twice by one"),
        ("named.pt", {"x": FOUR}, "TF303", "forward returns Dict[str, Tensor], and Triton finds outputs by position"),
        ("network.pt", {"features": Float32[np.ndarray, "4"]}, "TF104", "some of its declared tensors have a batch"),
        ("nothing.pt", {"x__0": Float32[np.ndarray, "batch 4"]}, "TF302", "nothing.pt is not a TorchScript file"),
        ("missing.pt", {"x__0": Float32[np.ndarray, "batch 4"]}, "TF301", "is missing beside test_torch_models.py"),
    ],
)
def test_a_torchscript_file_that_disagrees_is_told(
    scripts: Path, file: str, inputs: Any, code: str, message: str
) -> None:
    definition = torchscript(scripts / file, inputs=inputs, outputs={"y": Int64[np.ndarray, "batch 2"]}, name="network")
    with pytest.raises(DiagnosticError) as raised:
        _ = definition.files
    (found,) = raised.value.diagnostics
    assert (found.code, message in found.message) == (code, True)
