"""Answers held against what was expected, under load: bytes that were right once are right again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.load.job import Payload
from tritonforge.load.tensors import from_bytes

__all__ = ["Answers"]

_REMEMBERED = 4096


class Answers:
    """Checks answers. Whole bodies that were found right are remembered, so that most checks are one look-up."""

    def __init__(self) -> None:
        self._right: set[tuple[int, bytes]] = set()

    def check(self, payload: Payload, body: bytes | bytearray | memoryview, *, grpc: bool) -> str:
        """Give an empty text where the answer is right, else `wrong answer: why`."""
        data = bytes(body)
        key = (id(payload), data)
        if key in self._right:
            return ""
        try:
            outputs = _from_grpc(data) if grpc else _from_http(data)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return f"wrong answer: can't be read: {error}"
        assert payload.expected is not None
        for name, expected in payload.expected.items():
            if name not in outputs:
                return f'wrong answer: no output "{name}"'
            if not _same(outputs[name], expected, payload.tolerance):
                return f'wrong answer: output "{name}" is {outputs[name].ravel()[:8]}, expected {expected.ravel()[:8]}'
        if len(self._right) < _REMEMBERED:
            self._right.add(key)
        return ""


def _same(found: NDArray[Any], expected: NDArray[Any], tolerance: float) -> bool:
    if found.size != expected.size:
        return False
    found = found.reshape(expected.shape)
    if expected.dtype.kind in "OSU":
        return [_text(item) for item in found.ravel()] == [_text(item) for item in expected.ravel()]
    if expected.dtype.kind in "biu":
        return bool(np.array_equal(found, expected))
    return bool(
        np.allclose(found.astype(np.float64), expected.astype(np.float64), tolerance, tolerance, equal_nan=True)
    )


def _text(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()


def _from_http(data: bytes) -> dict[str, NDArray[Any]]:
    answer, size = json.JSONDecoder().raw_decode(data.decode("latin-1"))
    outputs = {}
    for output in answer["outputs"]:
        shape, datatype = tuple(output["shape"]), output["datatype"]
        if "data" in output:
            outputs[output["name"]] = np.array(output["data"], DTYPES[datatype].numpy).reshape(shape)
        else:
            length = output["parameters"]["binary_data_size"]
            outputs[output["name"]] = from_bytes(data[size : size + length], datatype, shape)
            size += length
    return outputs


def _from_grpc(data: bytes) -> dict[str, NDArray[Any]]:
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferResponse.FromString(data)
    pairs = zip(message.outputs, message.raw_output_contents, strict=True)
    return {output.name: from_bytes(raw, output.datatype, tuple(output.shape)) for output, raw in pairs}
