"""Arrays of the caller's own in a GPU's memory, for a block of which a client's servers can map them."""

from __future__ import annotations

from collections.abc import Mapping

from tritonforge.client.assembly import Assembly
from tritonforge.client.cuda.arrays import CudaArray, CudaMemory
from tritonforge.client.cuda.driver import load_driver
from tritonforge.client.deadline import Deadline
from tritonforge.client.shared_memory.arrays import Shape, lay_out, require_sharing
from tritonforge.client.shared_memory.transport import GOODBYE_S
from tritonforge.client.tensors.arguments import require_number
from tritonforge.dtypes import from_numpy

__all__ = ["CudaShared"]

_ALIGNED = 256
"""Bytes, as what cudaMalloc gives is: kernels read several elements at once."""


class CudaShared:
    """One allocation with several arrays, known to each of a client's servers."""

    def __init__(self, assembly: Assembly, device: int, shapes: Mapping[str, Shape], url: str) -> None:
        """Raise ValueError where a server is not on this machine, or for no device or shape; OSError without a GPU.

        Raise RuntimeError where the client is closed.
        """
        require_number("device", device, int)
        require_sharing(assembly.shared, url)
        if len(assembly.shared) < len(assembly.reliable.replicas.all):
            raise ValueError(f"a GPU's memory is for servers on this machine alone; the URLs are {url}")
        places, size = lay_out(shapes, _ALIGNED)
        for name, place in places.items():
            if from_numpy(place.dtype) is None or place.dtype.byteorder == ">":
                raise ValueError(f"{name}: {place.dtype} is no type of Triton's; it has float32, int64, bool, …")
        driver = load_driver()
        driver.require_device(device)
        self._memory = CudaMemory(driver, device, size, url)
        self._transports = assembly.shared
        for transport in self._transports:
            transport.cuda.add(self._memory)
        self.arrays = {
            name: CudaArray(self._memory, place.offset, place.shape, place.dtype) for name, place in places.items()
        }

    async def close(self) -> None:
        """Have the servers let go of the memory, which is freed once no array lies in it."""
        for transport in self._transports:
            await transport.cuda.release(self._memory, Deadline(GOODBYE_S))
        self._memory.end()
