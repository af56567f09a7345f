"""What of a TorchScript module NVIDIA's backend would refuse, and modules that take a dictionary or a list."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stub_utils
import torch
import torch_modules
import torchscript_module
from stub_utils import tensor
from tritonforge_runtime.spec import parse_spec

X, Y = tensor("x", "FP32", [2]), tensor("y", "FP32", [2])
ARRAY = np.array([[1, 2]], np.float32)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """Load a module with a configuration, as the backend does."""

    def make(
        module: type[torch.nn.Module], inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], **more: Any
    ) -> Any:
        (tmp_path / "1").mkdir(exist_ok=True)
        torch_modules.save(module(), tmp_path / "1" / "model.pt")
        args = stub_utils.arguments(inputs, outputs, folder=tmp_path, **{"default_model_filename": "", **more})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript's own
            return torchscript_module.load(parse_spec(args["model_config"]), args)

    return make


@pytest.mark.parametrize(
    ("module", "inputs", "outputs", "told"),
    [
        (
            torch_modules.GivesDictionary,
            [X],
            [Y],
            "forward returns Dict[str, Tensor], whose keys are the outputs' names",
        ),
        (torch_modules.GivesList, [X], [Y, tensor("z", "FP32", [2])], "forward returns List[Tensor]"),
        (torch_modules.Optional, [X, tensor("z", "FP32", [2])], [Y], "forward's argument z is Optional[Tensor]"),
        (
            torch_modules.Strings,
            [tensor("x", "BYTES", [2])],
            [tensor("y", "BYTES", [1], reshape={"shape": []})],
            "x is BYTES[batch, 2], and a list of strings has one dimension",
        ),
    ],
)
def test_what_the_native_backend_refuses_is_told(
    load: Callable[..., Any], module: type[torch.nn.Module], inputs: list[Any], outputs: list[Any], told: str
) -> None:
    assert list(load(module, inputs, outputs).notices) == [f"{told}; NVIDIA's backend refuses that"]


def test_a_type_that_not_all_releases_take_is_told(load: Callable[..., Any]) -> None:
    assert load(torch_modules.Plain, [tensor("x", "BF16", [2])], [Y]).notices == (
        "x is BF16; not all releases of NVIDIA's backend take that",
    )


def test_an_argument_that_is_left_out_is_told(load: Callable[..., Any]) -> None:
    assert load(torch_modules.Optional, [X], [Y]).notices == (
        "forward's argument z is Optional[Tensor]; NVIDIA's backend refuses that",
        "the configuration has 1 inputs, and forward takes 2; NVIDIA's backend refuses that",
    )


@pytest.mark.parametrize(("name", "told"), [("z", True), ("START", True), ("START__1", False)])
def test_controls_without_a_place_in_their_names_are_told(load: Callable[..., Any], name: str, told: bool) -> None:
    control = {"name": name, "control": [{"kind": "CONTROL_SEQUENCE_START", "fp32_false_true": [0, 1]}]}

    notices = load(torch_modules.Optional, [X], [Y], sequence_batching={"control_input": [control]}).notices

    wanted = f"control_input {name} has no place in its name, as {name}__1; NVIDIA's backend refuses that"
    assert (wanted in notices) is told


def test_states_without_a_place_in_their_names_are_told(load: Callable[..., Any]) -> None:
    state = {"input_name": "z", "output_name": "after__1", "data_type": "TYPE_FP32", "dims": [2]}

    loaded = load(
        torch_modules.Optional,
        [tensor("x__0", "FP32", [2])],
        [tensor("y__0", "FP32", [2])],
        sequence_batching={"state": [state]},
    )

    assert any("z is no name as x__0" in notice for notice in loaded.notices)


@pytest.mark.parametrize(
    ("names", "found"),
    [(("OUT__2",), [4]), (("OUT__1", "OUT__0"), [3, 2]), (("first", "second"), [2, 3]), (("y",), [2])],
)
def test_some_of_the_results_are_enough(load: Callable[..., Any], names: tuple[str, ...], found: list[int]) -> None:
    loaded = load(torch_modules.Three, [X], [tensor(name, "FP32", [2]) for name in names])

    assert [array[0, 0] for array in loaded.function(x=ARRAY)] == found
    assert loaded.notices == ()


def test_a_module_that_takes_a_dictionary_gets_all_inputs_by_name(load: Callable[..., Any]) -> None:
    loaded = load(torch_modules.TakesDictionary, [tensor("b", "FP32", [2]), tensor("a", "FP32", [2])], [Y])

    np.testing.assert_array_equal(loaded.function(a=ARRAY, b=ARRAY * 3)[0], ARRAY * -2)
    assert loaded.notices == ()


def test_a_module_that_says_its_own_device_is_left_there(load: Callable[..., Any], monkeypatch: Any) -> None:
    """KIND_MODEL: nothing is mapped."""
    asked: list[Any] = []
    plain = torch.jit.load
    monkeypatch.setattr(
        torchscript_module.jit, "load", lambda path, map_location: asked.append(map_location) or plain(path)
    )
    kind = stub_utils.arguments
    monkeypatch.setattr(stub_utils, "arguments", lambda *a, **k: {**kind(*a, **k), "model_instance_kind": "MODEL"})

    np.testing.assert_array_equal(load(torch_modules.Plain, [X], [Y]).function(x=ARRAY)[0], ARRAY * 2)
    assert asked == [None]


def test_a_gpu_instance_without_cuda_is_told(load: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    kind = stub_utils.arguments
    monkeypatch.setattr(stub_utils, "arguments", lambda *a, **k: {**kind(*a, **k), "model_instance_kind": "GPU"})

    (notice,) = load(torch_modules.Plain, [X], [Y]).notices

    assert notice.startswith("this torch has no CUDA: a GPU instance runs on the CPU")
