"""Answers held against what was expected, under load: bytes that were right once are right again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.load.input.plain_http import pick
from tritonforge.load.input.tensors import from_bytes
from tritonforge.load.workers.job import Payload
from tritonforge.samples import differing

__all__ = ["WRONG", "Answers", "NotAnAnswer", "check_named", "prepare_checks"]

WRONG = "wrong answer"
"""The kind of error that an answer is which differs from what was expected."""
_REMEMBERED = 4096
_SHOWN = 200
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError)
"""What reading any bytes at all as an answer may raise; RecursionError is JSON's, of a thousand brackets."""


class NotAnAnswer(Exception):
    """What came with the status 200 is no answer of the model."""


def check_named(data: bytes, outputs: Collection[str], *, none_too: bool = False) -> None:
    """Raise NotAnAnswer where the body of an HTTP answer is none of the protocol's, or has no output of those names.

    With `none_too`, one without any output passes.
    """
    try:
        answer, _ = _head(data)
        names = [output["name"] for output in answer["outputs"]]
    except _UNREADABLE:
        found = data[:_SHOWN].decode("utf-8", "replace") if data else "an empty body"
        raise NotAnAnswer(f"the server's first answer of HTTP 200 is none of the protocol's: {found}") from None
    if not any(name in outputs for name in names) and not (none_too and not names):
        found = f"the outputs {', '.join(map(str, names))}" if names else "no output"
        raise NotAnAnswer(f"the server's first answer of HTTP 200 has {found}; the model has {', '.join(outputs)}")


def prepare_checks(payloads: Iterable[Payload], *, grpc: bool) -> None:
    """Do once, before a load, what the first check of an answer would do amid it: protobuf alone takes 0.2 s."""
    if all(payload.expected is None for payload in payloads):
        return
    some = {"": np.zeros(1, np.float32)}
    differing(some, some, 1e-4)
    if grpc:
        _from_grpc(b"")


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
        assert payload.expected is not None
        try:
            wrong = differing(_read(payload, data, grpc=grpc), payload.expected, payload.tolerance)
        except _UNREADABLE as error:
            return f"{WRONG}: can't be read: {type(error).__name__}: {error}"
        if wrong:
            return f"{WRONG}: {wrong}"
        if len(self._right) < _REMEMBERED:
            self._right.add(key)
        return ""


def _read(payload: Payload, data: bytes, *, grpc: bool) -> dict[str, NDArray[Any]]:
    if payload.plain:
        return pick(data, payload.expected or ())
    return _from_grpc(data) if grpc else _from_http(data)


def _from_http(data: bytes) -> dict[str, NDArray[Any]]:
    answer, size = _head(data)
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


def _head(data: bytes) -> tuple[Any, int]:
    """Read the JSON in front of binary tensors; give its length too."""
    answer, size = json.JSONDecoder().raw_decode(data.decode("latin-1"))  # where it ends is the same in either encoding
    return answer if data[:size].isascii() else json.loads(data[:size]), size


def _from_grpc(data: bytes) -> dict[str, NDArray[Any]]:
    from google.protobuf.message import DecodeError
    from tritonclient.grpc import service_pb2

    try:
        message = service_pb2.ModelInferResponse.FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    pairs = zip(message.outputs, message.raw_output_contents, strict=True)
    return {output.name: from_bytes(raw, output.datatype, tuple(output.shape)) for output, raw in pairs}
