"""Arrays in a GPU's memory that a server on this machine can map."""

from __future__ import annotations

import math
import os
import weakref
from contextlib import suppress
from typing import Any, NoReturn

import numpy as np
from numpy.typing import DTypeLike

from tritonforge.client.cuda.driver import CudaDriver
from tritonforge.client.message import Region
from tritonforge.client.shared_memory.segments import Segment
from tritonforge.client.tensors.arguments import kind_of
from tritonforge.client.tensors.wire import Array
from tritonforge.dtypes import from_numpy

__all__ = ["CudaArray", "CudaMemory"]

_PIECE = 1 << 21
"""What another process maps of a GPU's memory is whole pieces of this size, whatever else lies in them."""


class CudaMemory:
    """Memory of a GPU that a server can be told of by `name`: all 0 at first, freed once nothing refers to it."""

    __slots__ = ("__weakref__", "_marker", "address", "device", "driver", "ended", "handle", "owner", "size", "url")

    def __init__(self, driver: CudaDriver, device: int, size: int, url: str) -> None:
        """Make it, for the client of that URL. Raise OSError where the GPU, or /dev/shm, has no room."""
        self._marker = Segment(1)  # by whose file a client that comes later tells whether this one is gone
        self.driver, self.device, self.url = driver, device, url
        self.owner = os.getpid()
        self.ended = False
        self.size = -(-max(size, 1) // _PIECE) * _PIECE
        try:
            self.address = driver.allocate(device, self.size)
            weakref.finalize(self, _free, driver, device, self.address, self.owner).atexit = False  # the end frees it
            self.handle = driver.handle(device, self.address)
        except BaseException:
            self._marker.close()
            raise

    @property
    def name(self) -> str:
        """What the server knows it by."""
        return self._marker.name

    def end(self) -> None:
        """Note that no server knows it any more; the arrays in it stay."""
        self.ended = True
        self._marker.close()


class CudaArray:
    """An array in a GPU's memory, C-contiguous, as `client.cuda_shared` makes them and calls take them.

    torch, CuPy and others take it as it is: `torch.as_tensor(array, device="cuda:0")`, `cupy.asarray(array)`. The
    memory is freed once no array, and nothing made of one so, refers to it.
    """

    __slots__ = ("__weakref__", "_dtype", "_memory", "_offset", "_shape")

    def __init__(self, memory: CudaMemory, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._memory, self._offset, self._shape, self._dtype = memory, offset, shape, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of its elements."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self._shape)

    @property
    def nbytes(self) -> int:
        """Its size in bytes."""
        return math.prod(self._shape) * self._dtype.itemsize

    @property
    def device(self) -> int:
        """The number of its GPU."""
        return self._memory.device

    @property
    def memory(self) -> CudaMemory:
        """The memory that it lies in."""
        return self._memory

    @property
    def region(self) -> Region:
        """Where it lies, as servers are told."""
        return Region(self._memory.name, self._offset, self.nbytes)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html."""
        if self._dtype.kind not in "biuf":
            raise TypeError(f"{self!r}: the CUDA array interface has no such type; .view(np.int16) has the same bytes")
        return {
            "shape": self._shape,
            "typestr": self._dtype.str,
            "data": (self._address if self.nbytes else 0, False),
            "strides": None,
            "stream": None,  # nothing that was begun here is under way
            "version": 3,
        }

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of an array without dimensions")
        return self._shape[0]

    def __getitem__(self, key: object) -> CudaArray:
        """Give a slice along the first dimension, or, for `[..., np.newaxis]`, one dimension more."""
        if isinstance(key, slice) and self._shape:
            start, stop, step = key.indices(self._shape[0])
            if step == 1:
                shape = (max(stop - start, 0), *self._shape[1:])
                row = math.prod(self._shape[1:]) * self._dtype.itemsize
                return CudaArray(self._memory, self._offset + start * row, shape, self._dtype)
        if isinstance(key, tuple) and len(key) == 2 and key[0] is ... and key[1] is None:
            return CudaArray(self._memory, self._offset, (*self._shape, 1), self._dtype)
        raise TypeError(f"{self!r} takes slices along the first dimension, such as [2:5]; torch and CuPy take others")

    __iter__ = None

    def __array__(self, *args: object, **options: object) -> NoReturn:
        raise TypeError(f"{self!r} is not in the host's memory; numpy() copies it there")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is memory of this process, and can't be copied or pickled; numpy() gives a copy")

    def __repr__(self) -> str:
        return f"<CudaArray {from_numpy(self._dtype) or self._dtype}{list(self._shape)} on device {self.device}>"

    def view(self, dtype: DTypeLike) -> CudaArray:
        """Give the same bytes as another dtype of the same size. Raise ValueError for one of another."""
        wanted = np.dtype(dtype)
        if wanted.itemsize != self._dtype.itemsize or wanted.hasobject:
            raise ValueError(f"{self!r} has elements of {self._dtype.itemsize} bytes; those of {wanted} are others")
        return CudaArray(self._memory, self._offset, self._shape, wanted)

    def reshape(self, shape: tuple[int, ...]) -> CudaArray:
        """Give the same elements in another shape. Raise ValueError for one of more or fewer."""
        if math.prod(shape) != math.prod(self._shape):
            raise ValueError(f"{self!r} has no shape {list(shape)}: that is of more elements, or fewer")
        return CudaArray(self._memory, self._offset, shape, self._dtype)

    def started(self, shape: tuple[int, ...]) -> CudaArray:
        """Give what of it an array of this shape takes, from its start on. Raise ValueError where it is larger."""
        begun = CudaArray(self._memory, self._offset, shape, self._dtype)
        if begun.nbytes > self.nbytes:
            raise ValueError(f"{begun!r} takes {begun.nbytes} bytes, and there are {self.nbytes}")
        return begun

    def copy_from(self, array: Array) -> None:
        """Copy from a NumPy array. Raise ValueError where its shape or dtype is another, TypeError for no array."""
        if not isinstance(array, np.ndarray):
            raise TypeError(f"copy_from takes a NumPy array, not {kind_of(array)}")
        if (array.shape, array.dtype) != (self._shape, self._dtype):
            raise ValueError(f"{from_numpy(array.dtype) or array.dtype}{list(array.shape)} given, for {self!r}")
        if self.nbytes:
            source = np.ascontiguousarray(array)
            memory = self._memory
            memory.driver.copy_in(memory.device, self._address, source.ctypes.data, self.nbytes)

    def numpy(self) -> Array:
        """Copy to a NumPy array, in the host's memory."""
        array = np.empty(self._shape, self._dtype)
        if self.nbytes:
            memory = self._memory
            memory.driver.copy_out(memory.device, self._address, array.ctypes.data, self.nbytes)
        return array

    @property
    def _address(self) -> int:
        return self._memory.address + self._offset


def _free(driver: CudaDriver, device: int, address: int, owner: int) -> None:
    if os.getpid() == owner:  # a forked child has neither the memory nor the driver
        with suppress(OSError):
            driver.free(device, address)
