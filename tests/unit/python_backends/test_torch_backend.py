"""The backend that stands in for the native `pytorch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import stub_utils
import torch
import torch_arrays
import torchscript_module
from stub_utils import tensor
from tritonforge_runtime import LoadError
from tritonforge_runtime.spec import parse_spec

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, -2]], np.float32),
        np.array([[1, 2]], np.uint16),
        np.array([[True, False]]),
        np.array([[1.5, -2]], ml_dtypes.bfloat16),
        np.zeros((0, 2), np.float16),
    ],
)
def test_arrays_go_to_torch_and_back(array: np.ndarray) -> None:
    back = torch_arrays.to_numpy(torch_arrays.to_torch(array, CPU))

    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_what_is_no_tensor_is_left_for_the_runtime_to_refuse() -> None:
    assert torch_arrays.to_numpy(3) == 3
    assert torch_arrays.to_torch(None, CPU) is None


@pytest.mark.parametrize(
    ("content", "parameters", "said"),
    [
        (None, {}, r"unable to find .*model\.pt"),
        ("no module", {}, r"torch can't load .*model\.pt: "),
        (None, {"INTRA_OP_THREAD_COUNT": "many"}, "INTRA_OP_THREAD_COUNT is 'many'; wanted a number of threads"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_loaded_is_named(
    tmp_path: Path, content: str | None, parameters: dict[str, str], said: str
) -> None:
    (tmp_path / "1").mkdir()
    if content is not None:
        (tmp_path / "1" / "model.pt").write_text(content)
    more: dict[str, Any] = {name: {"string_value": value} for name, value in parameters.items()}
    args = stub_utils.arguments(
        [tensor("x", "FP32", [2])],
        [tensor("y", "FP32", [2])],
        folder=tmp_path,
        default_model_filename="",
        parameters=more,
    )

    with pytest.raises(LoadError, match=said):
        torchscript_module.load(parse_spec(args["model_config"]), args)
