"""Inputs in system shared memory, registered with a server on this machine: requests then only refer to them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from tritonforge.load.control import Control
from tritonforge.load.errors import LoadFailed
from tritonforge.load.prepare import Region
from tritonforge.load.tensors import to_bytes

__all__ = ["Regions"]


class Regions:
    """Regions of one server, a region for each request; all are unregistered and removed at the end of the block."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._held: list[SharedMemory] = []

    def __enter__(self) -> Regions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for memory in self._held:
            with contextlib.suppress(LoadFailed):
                self._control.unregister(memory.name.lstrip("/"))
            memory.close()
            memory.unlink()
        self._held.clear()

    def place(self, inputs: Mapping[str, tuple[str, NDArray[Any]]]) -> dict[str, Region]:
        """Write a request's tensors into a region of their own, and say where each is.

        Raise LoadFailed where the server can't open it: it runs elsewhere, or in a container of its own.
        """
        parts = {name: to_bytes(array, datatype) for name, (datatype, array) in inputs.items()}
        size = sum(map(len, parts.values()))
        memory = SharedMemory(create=True, size=max(size, 1))
        self._held.append(memory)
        view = memoryview(memory.buf or b"")
        name = memory.name.lstrip("/")
        regions, offset = {}, 0
        for tensor, data in parts.items():
            view[offset : offset + len(data)] = data
            regions[tensor] = Region(name, offset, len(data))
            offset += len(data)
        self._control.register(name, f"/{name}", max(size, 1))
        return regions
