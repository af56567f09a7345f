"""The CUDA driver, as far as memory that another process maps needs it, by ctypes: it comes with a GPU's driver.

https://docs.nvidia.com/cuda/cuda-driver-api. Each function gives a number, 0 for success. Those that concern a device
act on the current context of the thread, which is its primary one here, as it is in torch and CuPy.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from functools import cache
from typing import Any

__all__ = ["HANDLE_BYTES", "CudaDriver", "load_driver"]

HANDLE_BYTES = 64

_LIBRARY = "libcuda.so.1"
_OUT_OF_MEMORY, _NO_DEVICE = 2, 100

_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (POINTER(c_void_p),),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemcpyHtoD_v2": (c_uint64, c_void_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, c_uint64, c_size_t),
    "cuMemsetD8_v2": (c_uint64, c_ubyte, c_size_t),
    "cuStreamSynchronize": (c_void_p,),
    "cuIpcGetMemHandle": (c_void_p, c_uint64),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
}
"""The types of each one's arguments."""


class CudaDriver:
    """The driver's functions, for any number of threads; addresses are those of a device's memory.

    Each method raises OSError where the driver fails.
    """

    def __init__(self, library: Any) -> None:
        """Set the driver up. Raise OSError where it can't be, as without a GPU."""
        self._library = library
        self._contexts: dict[int, c_void_p] = {}
        for name, types in _FUNCTIONS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, c_int
        self._call("cuInit", 0)

    def require_device(self, device: int) -> None:
        """Raise ValueError where there is no device of that number."""
        count = c_int()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if not 0 <= device < count.value:
            there = f"0 to {count.value - 1}" if count.value > 1 else "0 alone" if count.value else "none"
            raise ValueError(f"there is no CUDA device {device}; there is {there}")

    def allocate(self, device: int, size: int) -> int:
        """Give the address of so many bytes, all 0."""
        address = c_uint64()
        if size >= 1 << 63:  # of which ctypes would pass the last bits
            raise _no_room(device, size)
        with self._current(device):
            self._call("cuMemAlloc_v2", ctypes.byref(address), size, size=size, device=device)
            try:
                self._call("cuMemsetD8_v2", address.value, 0, size)
                self._wait()
            except BaseException:
                self._call("cuMemFree_v2", address.value)
                raise
        return address.value

    def free(self, device: int, address: int) -> None:
        """Give memory back."""
        with self._current(device):
            self._call("cuMemFree_v2", address)

    def handle(self, device: int, address: int) -> bytes:
        """Give what another process maps the memory by."""
        handle = ctypes.create_string_buffer(HANDLE_BYTES)
        with self._current(device):
            self._call("cuIpcGetMemHandle", handle, address)
        return handle.raw

    def copy_in(self, device: int, address: int, source: int, size: int) -> None:
        """Copy from an address of the host's memory. It is there when this is over, for other processes, too."""
        with self._current(device):
            self._call("cuMemcpyHtoD_v2", address, source, size)
            self._wait()

    def copy_out(self, device: int, address: int, target: int, size: int) -> None:
        """Copy to an address of the host's memory."""
        with self._current(device):
            self._call("cuMemcpyDtoH_v2", target, address, size)

    def _wait(self) -> None:
        """Wait for the default stream: of memset, and of a copy from memory that isn't pinned, the call may be over
        before the work is."""
        self._call("cuStreamSynchronize", None)

    @contextmanager
    def _current(self, device: int) -> Iterator[None]:
        """Have a device's primary context be the thread's; the caller's own is that again afterwards."""
        context = self._contexts.get(device)
        if context is None:
            number, context = c_int(), c_void_p()
            self._call("cuDeviceGet", ctypes.byref(number), device)
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), number)
            self._contexts[device] = context
        self._call("cuCtxPushCurrent_v2", context)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(c_void_p()))

    def _call(self, name: str, *args: object, size: int = 0, device: int = 0) -> None:
        code = getattr(self._library, name)(*args)
        if code == 0:
            return
        if code == _OUT_OF_MEMORY and size:
            raise _no_room(device, size)
        if code == _NO_DEVICE:
            raise OSError(errno.ENODEV, "this machine has a CUDA driver, but no device that this process may use")
        words = " ".join(self._text(of, code) for of in ("cuGetErrorName", "cuGetErrorString"))
        raise OSError(errno.EIO, f"CUDA's {name} failed: {words}")

    def _text(self, name: str, code: int) -> str:
        text = c_char_p()
        getattr(self._library, name)(code, ctypes.byref(text))
        return text.value.decode(errors="replace") if text.value else f"error {code}"


def _no_room(device: int, size: int) -> OSError:
    return OSError(errno.ENOMEM, f"CUDA device {device} has no room for {size} bytes")


@cache
def load_driver() -> CudaDriver:
    """Load the driver, once. Raise OSError where this machine has none, or no GPU."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise OSError(errno.ENODEV, f"this machine has no CUDA driver: {error}") from error
    try:
        return CudaDriver(library)
    except AttributeError as error:
        raise OSError(errno.ENOSYS, f"this machine's CUDA driver is too old: {error}") from error
