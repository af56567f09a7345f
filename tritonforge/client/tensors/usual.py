"""Answers like one that has been read before: only the bytes of their tensors differ, and only those are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tritonforge.client.result import Result
from tritonforge.client.tensors.wire import Array, decode
from tritonforge.errors import InvalidTensor

__all__ = ["Output", "Usual"]

Output = tuple[str, str, np.dtype[Any] | None, tuple[int, ...], int, int]
"""Its name, datatype, dtype (None: `decode` is to find it), shape, and where its bytes begin and end."""


class Usual:
    """An answer without the bytes of its tensors, of which `types` are the names and datatypes.

    `start` is where the first of them begins, in digits as a header says it. `frame` is what came before the last one,
    where the protocol has something there that most often is the same; None where there is no telling.
    """

    __slots__ = ("_head", "_marks", "_outputs", "_size", "frame", "id", "model", "start", "types", "version")

    def __init__(self, model: str, version: str, answered: str, outputs: Sequence[Output], data: bytes) -> None:
        """Keep an answer whose outputs have been found in `data`, in their order."""
        self.model, self.version, self.id = model, version, answered
        self.types = tuple([output[:2] for output in outputs])
        start = outputs[0][4] if outputs else len(data)
        self.start = str(start)
        self.frame: bytes | None = None
        self._outputs = tuple(outputs)
        self._size = len(data)
        self._head = data[:start]
        ends = [*[output[4] for output in outputs[1:]], len(data)] if outputs else []
        gaps = [(output[5], end) for output, end in zip(outputs, ends, strict=True)]
        self._marks = tuple([(data[begin:end], begin) for begin, end in gaps if end > begin])

    def read(self, data: bytes, at: int = 0) -> Result | None:
        """Read an answer that begins at a position; None where it is another one, or has bytes that are no tensor's."""
        if len(data) - at != self._size or not data.startswith(self._head, at):
            return None
        for mark, position in self._marks:
            if not data.startswith(mark, at + position):
                return None
        arrays: dict[str, Array] = {}
        for name, datatype, dtype, shape, start, end in self._outputs:
            if dtype is not None:
                arrays[name] = np.ndarray(shape, dtype, data, at + start).copy()
                continue
            try:
                arrays[name] = decode(datatype, shape, memoryview(data)[at + start : at + end])
            except InvalidTensor:
                return None
        return Result(arrays, model=self.model, model_version=self.version, id=self.id)
