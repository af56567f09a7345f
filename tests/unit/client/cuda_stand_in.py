"""A stand-in for the CUDA driver: its functions by ctypes, on the host's memory, and what was asked of it."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any

CONTEXT = 0x1000
"""The first device's context; each one's is higher by its number."""
HANDLE_BYTES = 64
NAMES = {1: b"CUDA_ERROR_INVALID_VALUE", 201: b"CUDA_ERROR_INVALID_CONTEXT"}


class StandIn:
    """What `ctypes.CDLL("libcuda.so.1")` gives, with `devices` GPUs of `room` bytes.

    `failing` has the number with which a function fails, `calls` the functions in the order of asking. What concerns
    memory calls `watch`, and fails outside of a context. `waiting` is whether work is under way.
    """

    def __init__(self, devices: int = 1, room: int = 1 << 26) -> None:
        self.devices, self.room = devices, room
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}
        self.memory: dict[int, Any] = {}
        self.waiting = False
        self.watch: Callable[[], object] = lambda: None
        self._mine = threading.local()
        self._text = {code: ctypes.create_string_buffer(name) for code, name in NAMES.items()}
        number, address, context = POINTER(c_int), POINTER(c_uint64), POINTER(c_void_p)
        self.cuInit = self._function(self._init, c_uint)
        self.cuDeviceGetCount = self._function(self._count, number)
        self.cuDeviceGet = self._function(self._device, number, c_int)
        self.cuDevicePrimaryCtxRetain = self._function(self._retain, context, c_int)
        self.cuCtxPushCurrent_v2 = self._function(self._push, c_void_p)
        self.cuCtxPopCurrent_v2 = self._function(self._pop, context)
        self.cuMemAlloc_v2 = self._function(self._allocate, address, c_size_t)
        self.cuMemFree_v2 = self._function(self._free, c_uint64)
        self.cuMemcpyHtoD_v2 = self._function(self._copy_in, c_uint64, c_void_p, c_size_t)
        self.cuMemcpyDtoH_v2 = self._function(self._copy_out, c_void_p, c_uint64, c_size_t)
        self.cuMemsetD8_v2 = self._function(self._fill, c_uint64, c_ubyte, c_size_t)
        self.cuStreamSynchronize = self._function(self._synchronize, c_void_p)
        self.cuIpcGetMemHandle = self._function(self._handle, c_void_p, c_uint64)
        self.cuGetErrorName = self._function(self._name, c_int, POINTER(c_char_p))
        self.cuGetErrorString = self._function(self._name, c_int, POINTER(c_char_p))

    @property
    def contexts(self) -> list[int]:
        """The contexts that the thread has pushed and not popped."""
        stack: list[int] = self._mine.__dict__.setdefault("stack", [])
        return stack

    def _function(self, run: Callable[..., int], *types: Any) -> Any:
        def call(*args: Any) -> int:
            name = next(key for key, value in vars(self).items() if value is function)
            self.calls.append(name)
            if name.startswith(("cuMem", "cuStream", "cuIpc")) and not self.contexts:
                return 201
            if name.startswith("cuMem"):
                self.watch()
            return self.failing.get(name) or run(*args)

        function = CFUNCTYPE(c_int, *types)(call)
        return function

    def _init(self, flags: int) -> int:
        return 0 if self.devices else 100

    def _count(self, count: Any) -> int:
        count[0] = self.devices
        return 0

    def _device(self, device: Any, number: int) -> int:
        device[0] = number + 70  # what the driver calls it
        return 0

    def _retain(self, context: Any, device: int) -> int:
        context[0] = CONTEXT + device - 70
        return 0

    def _push(self, context: int) -> int:
        self.contexts.append(context)
        return 0

    def _pop(self, context: Any) -> int:
        context[0] = self.contexts.pop()
        return 0

    def _allocate(self, address: Any, size: int) -> int:
        if size > self.room:
            return 2
        memory = ctypes.create_string_buffer(size + 256)
        base = -(-ctypes.addressof(memory) // 256) * 256
        ctypes.memset(base, 255, size)
        self.memory[base] = memory
        address[0] = base
        return 0

    def _free(self, address: int) -> int:
        return 0 if self.memory.pop(address, None) else 1

    def _copy_in(self, target: int, source: int, size: int) -> int:
        ctypes.memmove(target, source, size)
        self.waiting = True
        return 0

    def _copy_out(self, target: int, source: int, size: int) -> int:
        ctypes.memmove(target, source, size)
        return 0

    def _fill(self, address: int, value: int, size: int) -> int:
        ctypes.memset(address, value, size)
        self.waiting = True
        return 0

    def _synchronize(self, stream: int | None) -> int:
        self.waiting = self.waiting and stream is not None  # the default one
        return 0

    def _handle(self, handle: int, address: int) -> int:
        ctypes.memmove(handle, address.to_bytes(8, "little") * 8, HANDLE_BYTES)
        return 0 if address in self.memory else 1

    def _name(self, code: int, text: Any) -> int:
        if code not in self._text:
            return 1
        text[0] = ctypes.cast(self._text[code], c_char_p)
        return 0
