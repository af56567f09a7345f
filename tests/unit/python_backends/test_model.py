"""The life of a model: imported, made, called, finalized."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, message, outputs, tensor
from tritonforge_runtime import Loaded, LoadError, ServedModel

ARGS = stub_utils.arguments([tensor("x", "FP32", [2])], [tensor("y", "FP32", [2])])
ONE = np.ones((1, 2), np.float32)

Serve = Callable[..., Any]


def test_a_function_is_served(serve: Serve) -> None:
    model = serve(
        """
from __future__ import annotations
import numpy as np
from jaxtyping import Float32
from tritonforge import Batching, Instances, asset, model, onnx, pipeline

STATS = np.load(asset("stats.npy")) if False else 3

@model(batching=Batching(max_batch_size=64), instances=Instances(cpu=2))
def predict(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return x * np.float32(STATS)

classifier = onnx("classifier.onnx", batching=Batching(max_batch_size=64))

@pipeline
def fraud(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return classifier(predict(x))
""",
        ARGS,
    )

    assert outputs(model.execute([InferenceRequest(x=ONE)])[0])["y"].tolist() == [[3, 3]]
    model.finalize()


def test_a_class_is_made_once_and_finalized(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    model = serve(
        """
from tritonforge import model
print("imported")

@model
class Predict:
    def __init__(self):
        print("made")
        self.calls = 0
    def __call__(self, x):
        self.calls += 1
        return x * self.calls
    def finalize(self):
        print("finalized", self.calls)
""",
        ARGS,
        attribute="Predict",
    )

    for expected in (1, 2):
        assert outputs(model.execute([InferenceRequest(x=ONE)])[0])["y"][0, 0] == expected
    model.finalize()

    assert capsys.readouterr().out.split("\n") == ["imported", "made", "finalized 2", ""]


def test_a_class_names_itself(serve: Serve) -> None:
    """Its name in the module is the part's, which has the class's attributes."""
    model = serve(
        """
from tritonforge import model

@model
class Predict:
    count = 0
    _instance = load = finalize = None
    def __init__(self):
        Predict.count += 1
        Predict.added = 1
        assert Predict._instance is Predict.load is Predict.finalize is None
    def __call__(self, x):
        return x + self.count + Predict.added
""",
        ARGS,
        attribute="Predict",
    )

    assert outputs(model.execute([InferenceRequest(x=ONE)])[0])["y"].tolist() == [[3, 3]]


def test_an_error_names_the_innermost_line_of_the_users_own(serve: Serve) -> None:
    model = serve(
        "import helpers.check\n\ndef predict(x):\n    return helpers.check.positive(x)\n",
        ARGS,
        helpers__check="import numpy as np\n\ndef positive(x):\n    return np.linalg.inv(x)\n",
    )

    (response,) = model.execute([InferenceRequest(x=ONE)])

    assert message(response).startswith("LinAlgError: ")
    assert message(response).endswith("  (helpers/check.py:4 in positive)")


def test_a_wrong_result_names_the_function(serve: Serve) -> None:
    model = serve("def predict(x):\n    return x[:, :1]\n", ARGS)

    (response,) = model.execute([InferenceRequest(x=ONE)])

    assert message(response) == ('fraud: output "y" has shape [1, 1]; wanted FP32[batch, 2]  (fraud.py:1 predict)')


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'  (fraud.py:1"),
        ("\n\n1 / 0\n", "ZeroDivisionError: division by zero  (fraud.py:3 in <module>)"),
        ("def predict(x:\n", "SyntaxError: "),
        ("import sys\nsys.exit(2)\n", "SystemExit: 2  (fraud.py:2 in <module>)"),
        (r"raise OSError('kein Ger\udce4t\0')", r"OSError: kein Ger\udce4t\x00  (fraud.py:1 in <module>)"),
        ("class Own(BaseException): ...\nraise Own\n", "Own  (fraud.py:2 in <module>)"),
        ("def other(x): ...\n", "AttributeError: module 'fraud' has no attribute 'predict'"),
        ("class predict:\n    def __init__(self):\n        open('/nowhere')\n", "FileNotFoundError: "),
        ("from tritonforge import build\n", "ImportError: tritonforge.build is not there inside Triton: "),
        ("import tritonforge.elsewhere\n", "ModuleNotFoundError: tritonforge.elsewhere is not there inside Triton: "),
        ("from tritonforge import asset\nasset('gone.npz')\n", 'FileNotFoundError: asset "gone.npz" is missing beside'),
    ],
)
def test_a_module_that_cannot_be_loaded_says_why(
    serve: Serve, capfd: pytest.CaptureFixture[str], source: str, said: str
) -> None:
    with pytest.raises(LoadError) as caught:
        serve(source, ARGS)

    first, *rest = str(caught.value).split("\n")
    assert first.startswith(said)
    assert "Traceback (most recent call last):" in rest[0]
    assert "Traceback (most recent call last):" in capfd.readouterr().err


def test_the_users_part_of_the_traceback_starts_in_the_users_file(serve: Serve) -> None:
    with pytest.raises(LoadError) as caught:
        serve("def fail():\n    raise OSError('no')\nfail()\n", ARGS)

    lines = str(caught.value).split("\n")
    assert lines[2].strip().endswith('source/fraud.py", line 3, in <module>')
    assert lines[-1] == "OSError: no"


def test_a_module_hidden_by_another_is_refused(serve: Serve, tmp_path: Path) -> None:
    sys.modules["fraud"] = type(sys)("fraud")

    with pytest.raises(LoadError, match="the user's module fraud is hidden by a built-in module of that name"):
        serve("def predict(x): return x\n", ARGS)


def test_assets_are_found_beside_the_file_that_names_them(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "source" / "data").mkdir(parents=True)
    (tmp_path / "source" / "data" / "factor.txt").write_text("4")
    model = serve(
        "from data.factors import FACTOR\n\ndef predict(x):\n    return x * FACTOR\n",
        ARGS,
        data__factors="import numpy as np\nfrom tritonforge import asset\n"
        "FACTOR = np.float32(asset('factor.txt').read_text())\n",
    )

    assert outputs(model.execute([InferenceRequest(x=ONE)])[0])["y"].tolist() == [[4, 4]]


def test_no_compiled_files_are_left(serve: Serve, tmp_path: Path) -> None:
    serve("import helper\n\ndef predict(x): return x\n", ARGS, helper="")

    assert not list((tmp_path / "source").rglob("*.pyc"))


def test_a_generator_function_is_a_stream(serve: Serve) -> None:
    args = stub_utils.arguments([tensor("x", "FP32", [2])], [tensor("y", "FP32", [2])], decoupled=True)
    model = serve("def predict(x):\n    yield x\n    yield x + 1\n", args)
    request = InferenceRequest(x=ONE)

    assert model.execute([request]) is None
    model.finalize()

    assert request.sender.finals == 1
    assert len(request.sender.responses) == 2


@pytest.mark.parametrize(("instance", "lines"), [("fraud_0_0", 1), ("gpus_0", 1), ("fraud_0_1", 0), ("fraud_0_10", 0)])
def test_what_is_unlike_the_native_backend_is_logged_by_one_instance(
    capsys: pytest.CaptureFixture[str], instance: str, lines: int
) -> None:
    class Told(ServedModel):
        def load(self, spec: Any, args: Any) -> Loaded:
            return Loaded(lambda x: x, notices=["weights are not shared"])

    Told().initialize({**ARGS, "model_instance_name": instance})

    assert capsys.readouterr().err == "W fraud: weights are not shared\n" * lines
