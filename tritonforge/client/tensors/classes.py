"""Classification: the highest values of an output with their labels, instead of all of it.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md

Asked for the classes of an output without elements, Triton (24.10) ends with a segmentation fault, and how many a model
gives is known once it has run: so a request for classes that may have reached a server is never sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tritonforge.client.errors import InferenceFailed, Target
from tritonforge.client.result import Result
from tritonforge.client.tensors.wire import Array
from tritonforge.errors import InvalidTensor
from tritonforge.ir import Signature

__all__ = ["Label", "labelled", "read_labels", "require_classes", "unclassified"]


_MOST = (1 << 31) - 1  # of larger numbers Triton (24.10) takes the last 32 bits


class Label(NamedTuple):
    """One class: its value, its number (the index in the output), and its name, empty where the model has no labels."""

    value: float
    number: int
    name: str


def require_classes(classes: Mapping[str, int]) -> None:
    """Raise ValueError where a number of classes is none that Triton takes, TypeError where they aren't by output."""
    if not isinstance(classes, Mapping):
        raise TypeError(f'top is {classes!r}; it takes how many classes of which output: top={{"scores": 3}}')
    for name, count in classes.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= _MOST:
            raise ValueError(f'top["{name}"] is {count!r}; it is how many classes are wanted, 1 to {_MOST}')


def unclassified(classes: Mapping[str, int], signature: Signature) -> str:
    """Say which output has no classes; empty where all can have some.

    Asked for those of a BYTES output, Triton (24.10) ends with a segmentation fault; those of BOOL it refuses.
    """
    for spec in signature.outputs:
        if spec.name in classes and spec.datatype in ("BYTES", "BOOL"):
            shown = spec.describe(batched=signature.batched)
            return f'output "{spec.name}" is {shown}: top= is for numbers, of which it gives the highest'
    return ""


def labelled(result: Result, top: Mapping[str, int], target: Target) -> Result:
    """Give a result whose outputs in `top` are object arrays of Labels. Raise InferenceFailed where they are others."""
    try:
        labels = {name: read_labels(result[name]) for name in top}
    except (InvalidTensor, KeyError) as error:  # the latter of an output that didn't come
        raise InferenceFailed(str(error.args[0]), target) from error
    return Result(
        {**result.outputs, **labels},
        model=result.model,
        model_version=result.model_version,
        id=result.id,
        parameters=result.parameters,
    )


def read_labels(array: Array) -> Array:
    """Read `value:index[:name]` texts into an object array of Labels. Raise InvalidTensor where they are others."""
    labels = np.empty(array.size, object)
    for position, text in enumerate(array.ravel().tolist()):
        try:
            value, number, *name = text.decode().split(":", 2)
            labels[position] = Label(float(value), int(number), name[0] if name else "")
        except (ValueError, AttributeError) as error:
            raise InvalidTensor(f"{text!r} is no value:index:label of the classification extension") from error
    return labels.reshape(array.shape)
