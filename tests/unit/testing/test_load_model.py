"""`tritonforge.testing`: models of a repository, run without a server."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritonforge.build import build
from tritonforge.testing import ModelError, load_model

BUILT = """
import numpy as np
from collections.abc import Iterator
from jaxtyping import Bool, Float32, Int64, BFloat16
from tritonforge import Batching, Bytes, Instance, Sequence, TritonError, asset, model, pipeline

@model(pad={"n": 0})
def scaled(x: Float32[np.ndarray, "batch n"], n_mask: Bool[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch n"]:
    import helper
    if (x < 0).any():
        raise TritonError("negative", code="INVALID_ARG")
    return x * helper.FACTOR

@model
def count(n: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    for index in range(n.item()):
        yield np.array([index])

@model
def brain(x: BFloat16[np.ndarray, "n"]) -> BFloat16[np.ndarray, "n"]:
    return x + x

@model
class Told:
    def __init__(self, own: Instance):
        self.own = own

    def __call__(self, x: Int64[np.ndarray, "n"]) -> Bytes[np.ndarray, "1"]:
        return np.array([f"{self.own.kind} {self.own.device_id} {self.own.version}"], dtype=object)

    def finalize(self):
        print("finalized")

@model(batching=Batching(max_batch_size=4))
def counted(ids: Int64[np.ndarray, "batch"], more: Int64[np.ndarray, "batch n"] | None = None) -> (
    Int64[np.ndarray, "batch"]
):
    names = {1: 10, 2: 20}
    return np.array([names[one] for one in ids], np.int64)

@model
def third(
    c: Float32[np.ndarray, "1"], a: Float32[np.ndarray, "1"] | None, b: Float32[np.ndarray, "1"] | None
) -> Float32[np.ndarray, "1"]:
    return c

@model
def any_of(a: Float32[np.ndarray, "1"] | None, b: Float32[np.ndarray, "1"] | None) -> Int64[np.ndarray, "1"]:
    return np.array([(a is not None) + (b is not None)])

@model
def any_rows(a: Int64[np.ndarray, "batch"] | None, b: Int64[np.ndarray, "batch"] | None) -> Int64[np.ndarray, "batch"]:
    return a if b is None else b

@model(batching=Batching(max_batch_size=4))
class Buffered:
    def __init__(self):
        self.out = np.zeros((8, 1), np.float32)

    def __call__(self, x: Float32[np.ndarray, "batch 1"]) -> tuple[
        Float32[np.ndarray, "batch 1"], Int64[np.ndarray, "batch"]
    ]:
        rows = len(x)
        x += 1
        self.out[:rows] = x
        return self.out[:rows], np.full(rows, rows)

@model
def refilled(n: Int64[np.ndarray, "1"]) -> Iterator[Int64[np.ndarray, "1"]]:
    for _ in range(3):
        n += 1
        yield n

@model(sequence=Sequence())
class Total:
    def start(self) -> dict[str, int]:
        return {"sum": 0}

    def __call__(self, state: dict[str, int], n: Int64[np.ndarray, "batch"]) -> Int64[np.ndarray, "batch"]:
        state["sum"] += int(n.sum())
        return np.array([state["sum"]] * len(n))

@pipeline(lowering="bls")
def both(ids: Int64[np.ndarray, "batch"]) -> Int64[np.ndarray, "batch"]:
    return counted(counted(ids)) if (ids > 5).any() else counted(ids)
"""
HAND_WRITTEN = """
import json
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        output = pb_utils.get_output_config_by_name(config, "y")
        self.dtype = pb_utils.triton_string_to_numpy(output["data_type"])
        assert output["dims"] == [-1, 2] and config["max_batch_size"] == 0
        pb_utils.Logger.log_info("ready")

    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("y", pb_utils.get_input_tensor_by_name(request, "x").as_numpy().astype(self.dtype))]
            )
            for request in requests
        ]
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("testing")
    (folder / "pyproject.toml").touch()
    (folder / "helper.py").write_text("import numpy as np\nFACTOR = np.float32(3)\n")
    (folder / "served.py").write_text(BUILT)
    build([folder / "served.py"], folder / "model_repository")
    return folder / "model_repository"


def test_a_built_model_answers_as_in_triton(repository: Path) -> None:
    with load_model(repository / "scaled") as model:
        assert model.infer(x=np.ones((2, 1), np.float32))["output"].tolist() == [[3], [3]]
        answers = model.infer_together(
            [{"x": np.full((1, size), value, np.float32)} for size, value in ((1, 1), (3, -1), (2, 2))]
        )

    one, refused, two = answers
    assert isinstance(refused, ModelError)
    assert (refused.message, refused.code) == ("negative", "INVALID_ARG")
    assert not isinstance(one, ModelError)
    assert not isinstance(two, ModelError)
    assert (one["output"].tolist(), two["output"].tolist()) == ([[3]], [[6, 6]])


def test_shapes_are_those_of_the_wire(repository: Path) -> None:
    with load_model(repository / "counted") as model:
        assert model.infer(ids=np.array([[1], [2]]))["output"].tolist() == [[10], [20]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {},
            r"expected number of inputs between 1 and 2 but got 0 inputs .* missing required input\(s\) \['ids'\]",
        ),
        ({"ids": np.array([[1]]), "x": np.array([1])}, "unexpected inference input 'x' for model 'counted'"),
        ({"ids": np.array([[1.0]])}, "inference input 'ids' data-type is 'FP64', but model 'counted' expects 'INT64'"),
        (
            {"ids": np.array([1])},
            r"unexpected shape for input 'ids' .*\. Expected \[-1,1\], got \[1\]",
        ),
        ({"ids": np.ones((5, 1), np.int64)}, "inference request batch-size must be <= 4 for 'counted'"),
        (
            {"ids": np.array([[1], [2]]), "more": np.array([[3]])},
            "input '(ids|more)' batch size does not match other inputs for 'counted'",
        ),
        ({"ids": [1]}, "inference input 'ids' is a list; give an np.ndarray"),
    ],
)
def test_what_the_server_refuses_reaches_no_model(repository: Path, inputs: dict[str, Any], message: str) -> None:
    with load_model(repository / "counted") as model:
        refused, taken = model.infer_together([inputs, {"ids": np.array([[2]])}])
        with pytest.raises(ModelError, match=message):
            model.infer(**inputs)
    assert isinstance(refused, ModelError)
    assert refused.code == "INVALID_ARG"
    assert not isinstance(taken, ModelError)
    assert taken["output"].tolist() == [[20]]


def test_an_optional_input_stands_for_no_required_one(repository: Path) -> None:
    """The server counts inputs alone, and the runtime knows them."""
    with (
        load_model(repository / "third") as model,
        pytest.raises(ModelError, match='third: input "c" is missing') as told,
    ):
        model.infer(a=np.ones(1, np.float32))
    assert told.value.code == "INVALID_ARG"


def test_a_request_without_inputs_is_one_without_a_batch(repository: Path) -> None:
    """The Python backend takes the number of rows from the first input."""
    with (
        load_model(repository / "any_rows") as model,
        pytest.raises(ModelError, match="out of bounds index 0: request has 0 inputs") as told,
    ):
        model.infer()
    assert told.value.code == "INVALID_ARG"
    with load_model(repository / "any_of") as model:
        assert model.infer()["output"].tolist() == [0]


def test_a_sequence_keeps_its_state(repository: Path) -> None:
    requests = [{"n": np.array([[number]])} for number in (1, 2, 3)]
    with load_model(repository / "Total") as model:
        for _ in range(2):
            answers = model.sequence(requests, correlation_id=7)
            assert [one["output"].item() for one in answers] == [1, 3, 6]  # type: ignore[index]
        with pytest.raises(ModelError, match="must specify a non-zero or non-empty correlation ID"):
            model.infer(n=np.array([[1]]))


def test_a_request_of_a_sequence_has_one_row(repository: Path) -> None:
    with load_model(repository / "Total") as model:
        two, one = model.sequence([{"n": np.array([[1], [2]])}, {"n": np.array([[3]])}])
        assert isinstance(two, ModelError)
        assert two.message.startswith(
            "inference request to model 'Total' must specify batch-size 1 due to requirements"
        )
        assert isinstance(one, ModelError), "nothing has started the sequence"


def test_a_body_calls_stand_ins(repository: Path) -> None:
    x = np.array([[1], [2]])
    with load_model(repository / "both", models={"counted": lambda ids: {"output": ids * 7}}) as model:
        assert model.infer(ids=x)["output"].tolist() == [[7], [14]]
        assert model.infer(ids=x + 5)["output"].tolist() == [[6 * 49], [7 * 49]]
    with (
        load_model(repository / "counted") as counted,
        load_model(repository / "both", models={"counted": counted.infer}) as model,
    ):
        assert model.infer(ids=x)["output"].tolist() == [[10], [20]]


def test_a_call_without_a_stand_in_says_what_to_give(repository: Path) -> None:
    with load_model(repository / "both") as model, pytest.raises(ModelError, match=r'"counted" isn.t here: .*models='):
        model.infer(ids=np.array([[1]]))


def test_arrays_are_the_models_own(repository: Path) -> None:
    """They come over the wire, and go over it: what either side writes the other doesn't see."""
    x = np.ones((1, 1), np.float32)
    x.setflags(write=False)
    with load_model(repository / "Buffered") as model:
        first = model.infer(x=x)["output_0"]
        both = model.infer_together([{"x": x}, {"x": x}])
        model.infer(x=x + 5)
    assert x.item() == 1
    assert first.tolist() == [[2]]
    assert [one["output_0"].tolist() for one in both] == [[[2]], [[2]]]  # type: ignore[index]
    with load_model(repository / "refilled") as model:
        assert [one["output"].item() for one in model.stream(n=np.array([0]))] == [1, 2, 3]  # type: ignore[index]


def test_an_execution_has_no_more_rows_than_the_largest_batch(repository: Path) -> None:
    requests = [{"x": np.ones((rows, 1), np.float32)} for rows in (1, 2, 2, 4, 1)]
    with load_model(repository / "Buffered") as model:
        answers = model.infer_together(requests)
    assert [one["output_1"].ravel().tolist() for one in answers] == [[3], [3, 3], [2, 2], [4] * 4, [1]]  # type: ignore[index]


def test_a_stand_in_and_its_caller_share_no_array(repository: Path) -> None:
    out = np.zeros((2, 1), np.int64)

    def counted(ids: np.ndarray) -> np.ndarray:
        ids += 1
        out[:] = ids
        return out

    with load_model(repository / "both", models={"counted": counted}) as model:
        first = model.infer(ids=np.array([[1], [9]]))["output"]
        model.infer(ids=np.array([[3], [9]]))
    assert first.tolist() == [[3], [11]]


def test_an_error_is_raised(repository: Path) -> None:
    with load_model(repository / "scaled") as model, pytest.raises(ModelError, match="negative"):
        model.infer(x=-np.ones((1, 1), np.float32))


def test_a_stream_is_collected(repository: Path) -> None:
    with load_model(repository / "count") as model:
        assert [answer["output"].item() for answer in model.stream(n=np.array([3]))] == [0, 1, 2]  # type: ignore[index]


def test_what_is_a_stream_and_what_is_none_are_told(repository: Path) -> None:
    with (
        load_model(repository / "count") as model,
        pytest.raises(TypeError, match=r"count is a stream, .* model\.stream"),
    ):
        model.infer(n=np.array([3]))
    with (
        load_model(repository / "brain") as model,
        pytest.raises(TypeError, match=r"brain is no stream, .* model\.infer"),
    ):
        model.stream(x=np.ones(1))


def test_what_is_no_python_model_is_told(tmp_path: Path, repository: Path) -> None:
    configs = {"chain": 'platform: "ensemble"', "net": 'backend: "onnxruntime"', "old": 'platform: "onnxruntime_onnx"'}
    for name, config in configs.items():
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(config)

    for name, kind in (("chain", "an ensemble"), ("net", "a model of the backend onnxruntime"), ("old", "a model of")):
        with pytest.raises(ValueError, match=f"{name} is {kind}.*: only Python models"), load_model(tmp_path / name):
            pass
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match=r"no config\.pbtxt; .* are chain, net, old$"), load_model(folder):
            pass


def test_bf16_goes_in_and_out(repository: Path) -> None:
    import ml_dtypes

    with load_model(repository / "brain") as model:
        answer = model.infer(x=np.array([1.5], ml_dtypes.bfloat16))["output"]
    assert (answer.dtype, answer.tolist()) == (np.dtype(ml_dtypes.bfloat16), [3.0])


def test_the_instance_is_as_told_and_finalized(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with load_model(repository / "Told", kind="GPU", device_id=2) as model:
        assert model.infer(x=np.arange(1))["output"].tolist() == [b"GPU 2 1"]
    assert capsys.readouterr().out == "finalized\n"


def test_a_test_may_import_what_it_has_built(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(repository.parent))
    served = importlib.import_module("served")
    x = np.ones((2, 1), np.float32)
    try:
        with load_model(repository / "scaled") as model:
            np.testing.assert_array_equal(model.infer(x=x)["output"], served.scaled(x=x))
            assert sys.modules["served"] is served
    finally:
        for name in ("served", "helper"):
            del sys.modules[name]


def test_nothing_of_a_model_stays_behind(repository: Path) -> None:
    before = dict(sys.modules), list(sys.path), list(sys.meta_path)

    with load_model(repository / "scaled") as one, load_model(repository / "count"):
        assert one.infer(x=np.ones((1, 1), np.float32))["output"].item() == 3
        assert sys.modules["tritonforge"] is before[0]["tritonforge"]
    assert (dict(sys.modules), sys.path, sys.meta_path) == before


def test_a_model_written_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("1", "2"):
        (tmp_path / "hand" / version).mkdir(parents=True)
        (tmp_path / "hand" / version / "model.py").write_text(HAND_WRITTEN.replace("ready", f"ready {version}"))
    (tmp_path / "hand" / "config.pbtxt").write_text(
        'backend: "python" input { name: "x" data_type: TYPE_INT64 dims: [-1, 2] } '
        'output { name: "y" data_type: TYPE_FP16 dims: [-1, 2] }'
    )

    with load_model(tmp_path / "hand") as model:
        assert model.infer(x=np.ones((1, 2), np.int64))["y"].dtype == np.float16
    assert "ready 2" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match=r"model\.py is missing"), load_model(tmp_path / "hand", version=3):
        pass
