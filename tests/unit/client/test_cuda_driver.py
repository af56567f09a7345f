"""CUDA's driver by ctypes, with a stand-in for it: what is asked of it in which order, and what its failures become."""

from __future__ import annotations

import errno
import threading

import numpy as np
import pytest

from tritonforge.client.cuda import driver as cuda_driver
from tritonforge.client.cuda.driver import HANDLE_BYTES, CudaDriver, load_driver

from .cuda_stand_in import CONTEXT, StandIn


def test_memory_is_made_of_zeros_written_read_shared_and_given_back():
    stand_in = StandIn()
    driver = CudaDriver(stand_in)
    address = driver.allocate(0, 64)
    there = np.ones(8)
    driver.copy_out(0, address, there.ctypes.data, 64)
    assert not there.any()
    driver.copy_in(0, address, np.arange(8.0).ctypes.data, 64)
    driver.copy_out(0, address, there.ctypes.data, 64)
    assert there.tolist() == list(range(8))
    handle = driver.handle(0, address)
    assert len(handle) == HANDLE_BYTES
    assert handle[:8] == address.to_bytes(8, "little")
    driver.free(0, address)
    assert not stand_in.memory
    assert not stand_in.contexts


def test_each_operation_has_its_devices_context_and_gives_the_callers_back():
    stand_in = StandIn(devices=2)
    driver = CudaDriver(stand_in)
    stand_in.contexts.append(5)
    for device in (0, 1, 1):
        driver.free(device, driver.allocate(device, 8))
        assert stand_in.contexts == [5]
    assert stand_in.calls.count("cuDevicePrimaryCtxRetain") == 2
    pushed: list[int] = []
    stand_in.watch = lambda: pushed.append(stand_in.contexts[-1])
    driver.free(1, driver.allocate(1, 8))
    assert set(pushed) == {CONTEXT + 1}


def test_what_the_driver_only_begins_is_waited_for():
    stand_in = StandIn()
    driver = CudaDriver(stand_in)
    address = driver.allocate(0, 8)
    assert not stand_in.waiting
    driver.copy_in(0, address, np.ones(1).ctypes.data, 8)
    assert not stand_in.waiting


def test_several_threads_have_contexts_of_their_own():
    stand_in = StandIn()
    driver = CudaDriver(stand_in)
    threads = [threading.Thread(target=lambda: driver.free(0, driver.allocate(0, 1 << 16))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not stand_in.memory
    assert stand_in.calls.count("cuCtxPushCurrent_v2") == stand_in.calls.count("cuCtxPopCurrent_v2") == 16


@pytest.mark.parametrize(
    ("devices", "asked", "message"),
    [
        (1, 1, "there is no CUDA device 1; there is 0 alone"),
        (3, -1, "there is no CUDA device -1; there is 0 to 2"),
    ],
)
def test_a_device_that_is_not_there_is_told(devices, asked, message):
    with pytest.raises(ValueError, match=message):
        CudaDriver(StandIn(devices)).require_device(asked)


def test_a_machine_without_a_device_is_told():
    with pytest.raises(OSError, match="has a CUDA driver, but no device that this process may use"):
        CudaDriver(StandIn(devices=0))


@pytest.mark.parametrize("size", [4096, 1 << 70])
def test_a_device_without_room_is_told(size):
    with pytest.raises(OSError, match=f"CUDA device 0 has no room for {size} bytes") as caught:
        CudaDriver(StandIn(room=100)).allocate(0, size)
    assert caught.value.errno == errno.ENOMEM


@pytest.mark.parametrize("failing", ["cuMemAlloc_v2", "cuMemsetD8_v2", "cuStreamSynchronize", "cuCtxPushCurrent_v2"])
def test_memory_that_can_not_be_made_is_given_back(failing):
    stand_in = StandIn()
    stand_in.failing[failing] = 1
    with pytest.raises(OSError, match=f"CUDA's {failing} failed: CUDA_ERROR_INVALID_VALUE"):
        CudaDriver(stand_in).allocate(0, 64)
    assert not stand_in.memory
    assert not stand_in.contexts


def test_an_error_without_a_name_is_told_by_its_number():
    stand_in = StandIn()
    stand_in.failing["cuInit"] = 999
    with pytest.raises(OSError, match="cuInit failed: error 999"):
        CudaDriver(stand_in)


def test_a_machine_without_a_driver_is_told(monkeypatch):
    monkeypatch.setattr(cuda_driver, "_LIBRARY", "libcuda-that-is-not-there.so.1")
    load_driver.cache_clear()
    with pytest.raises(OSError, match=r"this machine has no CUDA driver: libcuda-that-is-not-there.so.1: ") as caught:
        load_driver()
    assert caught.value.errno == errno.ENODEV
    assert str(caught.value).count("libcuda") == 1


def test_a_driver_without_a_function_is_told(monkeypatch):
    monkeypatch.setattr(cuda_driver, "_LIBRARY", "libc.so.6")
    load_driver.cache_clear()
    with pytest.raises(OSError, match=r"too old: .*cuInit"):
        load_driver()
