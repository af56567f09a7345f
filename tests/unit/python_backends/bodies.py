"""Served models, for tests of bodies that call them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tritonforge_runtime.errors import TritonError
from tritonforge_runtime.remote import Merging, Served, calling
from tritonforge_runtime.spec import ModelSpec, TensorSpec

Array = np.ndarray[Any, Any]

MOST_ROWS = 64


class Model:
    """A served model that adds to `x`, `takes` rows at a time; it refuses 13.

    It notes what it was sent, and in which thread.
    """

    def __init__(
        self, name: str, add: float, *, before: Callable[[], object] = lambda: None, takes: int = MOST_ROWS
    ) -> None:
        self.sent: list[list[float]] = []
        self.threads: list[int] = []
        self._add = add
        self._before = before
        spec = ModelSpec(name, True, False, (TensorSpec("x", "FP64", (1,)),), (TensorSpec("y", "FP64", (1,)),))
        self.served = Served(spec, self._exchange, most_rows=takes, merging=Merging(MOST_ROWS))
        self.call = calling(self.served, ["y"])

    def _exchange(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        self.sent.append(arrays["x"][:, 0].tolist())
        self.threads.append(threading.get_ident())
        self._before()
        if 13 in arrays["x"]:
            raise TritonError("13 is refused", "INVALID_ARG")
        return {"y": arrays["x"] + self._add}


def x(*values: float) -> Array:
    """Make an input, a row for each value."""
    return np.array(values, float)[:, np.newaxis]
