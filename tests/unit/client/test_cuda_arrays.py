"""Arrays in a GPU's memory, which a stand-in for the driver has: what they are, and when they are freed."""

from __future__ import annotations

import copy
import gc
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tritonforge.client import CudaArray
from tritonforge.client.cuda.arrays import CudaMemory
from tritonforge.client.cuda.driver import CudaDriver
from tritonforge.client.shared_memory.segments import PREFIX, abandoned
from tritonforge.client.tensors.checks import find_problems
from tritonforge.ir import Signature, TensorSpec

from .cuda_stand_in import StandIn

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(devices=2)


@pytest.fixture
def memory(stand_in: StandIn) -> Iterator[CudaMemory]:
    memory = CudaMemory(CudaDriver(stand_in), 1, 1000, "http://127.0.0.1:8000")
    yield memory
    memory.end()


def array_of(memory: CudaMemory, shape: tuple[int, ...] = (4, 3), dtype: object = np.float32, offset: int = 256):
    return CudaArray(memory, offset, shape, np.dtype(dtype))


def test_it_says_what_it_is(memory):
    array = array_of(memory)
    assert (array.shape, array.dtype, array.ndim, array.nbytes, array.device, len(array)) == (
        (4, 3),
        np.float32,
        2,
        48,
        1,
        4,
    )
    assert repr(array) == "<CudaArray FP32[4, 3] on device 1>"
    assert array.region == (memory.name, 256, 48)


def test_it_is_all_zeros_and_copied_to_and_from_numpy(memory):
    array = array_of(memory)
    assert not array.numpy().any()
    array.copy_from(ROWS)
    assert np.array_equal(array.numpy(), ROWS)
    array.copy_from(np.asfortranarray(ROWS[::-1]))
    assert np.array_equal(array.numpy(), ROWS[::-1])
    assert not array_of(memory, offset=512).numpy().any()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (ROWS[:2], ValueError, r"FP32\[2, 3\] given, for <CudaArray FP32\[4, 3\] on device 1>"),
        (ROWS.astype(float), ValueError, r"FP64\[4, 3\] given"),
        (ROWS.tolist(), TypeError, "takes a NumPy array, not a list"),
    ],
)
def test_nothing_else_is_copied_to_it(memory, given, error, message):
    with pytest.raises(error, match=message):
        array_of(memory).copy_from(given)


def test_slices_along_the_first_dimension_lie_in_it(memory):
    array = array_of(memory)
    array.copy_from(ROWS)
    for cut in (slice(1, 3), slice(2, None), slice(-1, None), slice(None), slice(3, 1), slice(9, 12)):
        assert np.array_equal(array[cut].numpy(), ROWS[cut])
    assert np.array_equal(array[1:][1:].numpy(), ROWS[2:])
    assert array[..., np.newaxis].shape == (4, 3, 1)
    assert np.array_equal(array.reshape((2, 6)).numpy(), ROWS.reshape(2, 6))
    with pytest.raises(ValueError, match=r"has no shape \[5\]"):
        array.reshape((5,))


@pytest.mark.parametrize("key", [0, (0, 1), slice(None, None, 2), (slice(1), slice(1)), ..., None, "x"])
def test_other_slices_are_refused(memory, key):
    with pytest.raises(TypeError, match=r"takes slices along the first dimension, such as \[2:5\]"):
        array_of(memory)[key]


def test_its_bytes_are_seen_as_another_dtype_of_that_size(memory):
    array = array_of(memory)
    array.copy_from(ROWS)
    assert np.array_equal(array.view(np.int32).numpy(), ROWS.view(np.int32))
    for other in (np.float64, object):
        with pytest.raises(ValueError, match=r"has elements of 4 bytes; those of .* are others"):
            array.view(other)


def test_it_is_what_torch_and_cupy_take(memory):
    assert array_of(memory)[1:].__cuda_array_interface__ == {
        "shape": (3, 3),
        "typestr": "<f4",
        "data": (memory.address + 256 + 12, False),
        "strides": None,
        "stream": None,
        "version": 3,
    }
    assert array_of(memory, (0, 3)).__cuda_array_interface__["data"] == (0, False)
    assert array_of(memory, dtype=bool).__cuda_array_interface__["typestr"] == "|b1"


def test_bf16_has_no_name_in_that_interface(memory):
    array = array_of(memory, dtype=ml_dtypes.bfloat16)
    with pytest.raises(TypeError, match=r"view\(np.int16\)"):
        _ = array.__cuda_array_interface__
    assert array.view(np.int16).__cuda_array_interface__["typestr"] == "<i2"
    assert array.numpy().dtype == ml_dtypes.bfloat16


def test_bf16_that_is_given_as_the_integers_that_torch_takes_has_its_mend(memory: CudaMemory):
    signature = Signature((TensorSpec("x", "BF16", (4, 3)),), (), batched=False)
    bits = array_of(memory, dtype=np.int16)
    mend = find_problems(signature, {"x": bits})[0].partition("; to take its bits: ")[2]
    assert not find_problems(signature, {"x": eval(mend, {"x": bits, "ml_dtypes": ml_dtypes})})


@pytest.mark.parametrize(
    "use", [np.asarray, np.array, lambda array: array + np.ones(3), lambda array: np.ones(3) + array, np.sum]
)
def test_numpy_never_copies_it_unasked(memory, use):
    with pytest.raises(TypeError, match=r"not in the host's memory; numpy\(\) copies it|unsupported operand"):
        use(array_of(memory))


@pytest.mark.parametrize("use", [list, iter, len, pickle.dumps, copy.copy, copy.deepcopy])
def test_what_it_is_not_is_told(memory, use):
    with pytest.raises(TypeError, match=r"not iterable|without dimensions|can't be copied or pickled"):
        use(array_of(memory, ()))


def test_its_memory_is_freed_with_the_last_array_that_lies_in_it(stand_in):
    memory = CudaMemory(CudaDriver(stand_in), 0, 100, "")
    kept = array_of(memory)[1:]
    memory.end()
    del memory
    gc.collect()
    assert kept.numpy().shape == (3, 3)
    assert stand_in.memory
    del kept
    gc.collect()
    assert not stand_in.memory
    assert not stand_in.contexts


def test_memory_is_whole_pieces_of_what_another_process_maps(stand_in):
    memory = CudaMemory(CudaDriver(stand_in), 0, (1 << 21) + 1, "")
    assert memory.size == 1 << 22
    memory.end()


def test_memory_is_marked_as_a_segment_of_a_client_is(memory):
    marker = Path("/dev/shm", memory.name)
    assert memory.name.startswith(PREFIX)
    assert marker.exists()
    assert memory.name not in set(abandoned())
    memory.end()
    assert not marker.exists()


@pytest.mark.parametrize("failing", ["cuMemAlloc_v2", "cuIpcGetMemHandle"])
def test_memory_that_can_not_be_made_leaves_nothing(stand_in, failing):
    stand_in.failing[failing] = 1
    with pytest.raises(OSError, match=failing):
        CudaMemory(CudaDriver(stand_in), 0, 100, "")
    gc.collect()
    assert not stand_in.memory
    assert not [name for name in os.listdir("/dev/shm") if name.startswith(f"{PREFIX}{os.getpid()}_")]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # CPython 3.12
def test_a_forked_child_frees_nothing(stand_in):
    memory = CudaMemory(CudaDriver(stand_in), 0, 100, "")
    frees = stand_in.calls.count("cuMemFree_v2")
    if not (child := os.fork()):
        del memory
        os._exit(stand_in.calls.count("cuMemFree_v2") - frees)
    assert os.waitpid(child, 0)[1] == 0
    memory.end()
