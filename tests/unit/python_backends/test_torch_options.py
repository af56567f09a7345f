"""The pytorch backend's parameters, set in this process; each test puts them back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch_options
from tritonforge_runtime import LoadError

native: Any = torch._C


def fields(**parameters: str) -> dict[str, Any]:
    return {"parameters": {name: {"string_value": value} for name, value in parameters.items()}}


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn.enabled
    executor = native._jit_set_profiling_executor(True)
    profiling = native._jit_set_profiling_mode(True)
    fuser = native._jit_texpr_fuser_enabled()
    native._jit_set_profiling_executor(executor)
    native._jit_set_profiling_mode(profiling)
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.enabled = cudnn
    native._jit_set_profiling_executor(executor)
    native._jit_set_profiling_mode(profiling)
    native._jit_set_texpr_fuser_enabled(fuser)


def test_the_defaults_are_the_native_ones() -> None:
    found = torch_options.set_options(fields())

    assert found == torch_options.Options(torch.inference_mode, optimized=True, cleans=False, notices=())
    assert torch.backends.cudnn.enabled


def test_each_parameter_reaches_torch() -> None:
    given = fields(
        DISABLE_OPTIMIZED_EXECUTION="true",
        INFERENCE_MODE="0",
        DISABLE_CUDNN="1",
        ENABLE_CACHE_CLEANING="true",
        ENABLE_JIT_EXECUTOR="false",
        ENABLE_JIT_PROFILING="off",
        ENABLE_TENSOR_FUSER="false",
        INTRA_OP_THREAD_COUNT="1",
    )

    found = torch_options.set_options(given)

    assert found == torch_options.Options(torch.no_grad, optimized=False, cleans=True, notices=())
    assert torch.get_num_threads() == 1
    assert not torch.backends.cudnn.enabled
    assert not native._jit_texpr_fuser_enabled()
    assert not native._jit_set_profiling_executor(True), "it tells what was set"
    assert not native._jit_set_profiling_mode(True)


def test_parameters_without_effect_are_told() -> None:
    given = fields(ENABLE_NVFUSER="true", ENABLE_WEIGHT_SHARING="true", inference_mode="true")

    assert torch_options.set_options(given).notices == (
        "ENABLE_NVFUSER has no effect: NVFuser is no part of torch any more",
        "ENABLE_WEIGHT_SHARING has no effect: each instance is a process here, with weights of its own",
        "parameter inference_mode is none that this backend has, and does nothing; did you mean INFERENCE_MODE?",
    )
    assert torch_options.set_options(fields(ENABLE_WEIGHT_SHARING="false")).notices == ()


def test_a_setting_that_this_torch_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(torch_options._JIT, "ENABLE_JIT_EXECUTOR", "_jit_of_another_time")

    (notice,) = torch_options.set_options(fields(ENABLE_JIT_EXECUTOR="true")).notices

    assert notice.startswith("ENABLE_JIT_EXECUTOR has no effect: torch ")


@pytest.mark.parametrize("name", ["DISABLE_CUDNN", "INFERENCE_MODE", "ENABLE_TENSOR_FUSER", "ENABLE_WEIGHT_SHARING"])
def test_what_is_neither_on_nor_off_is_refused(name: str) -> None:
    with pytest.raises(LoadError, match=f"{name} is 'maybe'; wanted true or false"):
        torch_options.set_options(fields(**{name: "maybe"}))
