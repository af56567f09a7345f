"""Answers like one that has been read before: only the bytes of their tensors differ, and only those are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tritonforge.client.result import Result
from tritonforge.client.tensors.wire import Array, decode

__all__ = ["Output", "Usual"]

Output = tuple[str, str, np.dtype[Any] | None, tuple[int, ...], int, int]
"""Its name, datatype, dtype (None: `decode` is to find it), shape, and where its bytes begin and end."""


class Usual:
    """An answer without the bytes of its tensors, of which `types` are the names and datatypes.

    `start` is where the first of them begins, in digits as a header says it.
    """

    __slots__ = ("_head", "_marks", "_outputs", "_size", "id", "model", "start", "types", "version")

    def __init__(self, model: str, version: str, answered: str, outputs: Sequence[Output], data: bytes) -> None:
        """Keep an answer whose outputs have been found in `data`, in their order."""
        self.model, self.version, self.id = model, version, answered
        self.types = tuple([output[:2] for output in outputs])
        start = outputs[0][4] if outputs else len(data)
        self.start = str(start)
        self._outputs = tuple(outputs)
        self._size = len(data)
        self._head = data[:start]
        ends = [*[output[4] for output in outputs[1:]], len(data)] if outputs else []
        gaps = [(output[5], end) for output, end in zip(outputs, ends, strict=True)]
        self._marks = tuple([(data[begin:end], begin) for begin, end in gaps if end > begin])

    def read(self, data: bytes) -> Result | None:
        """Read an answer; None where it is another one. Raise InvalidTensor for bytes that aren't those of a tensor."""
        if len(data) != self._size or not data.startswith(self._head):
            return None
        for mark, position in self._marks:
            if not data.startswith(mark, position):
                return None
        arrays: dict[str, Array] = {}
        for name, datatype, dtype, shape, start, end in self._outputs:
            if dtype is None:
                arrays[name] = decode(datatype, shape, memoryview(data)[start:end])
            else:
                arrays[name] = np.ndarray(shape, dtype, data, start).copy()
        return Result(arrays, model=self.model, model_version=self.version, id=self.id)
