"""Casts that a caller asked for: lists, scalars and other dtypes made into what a model takes, without a surprise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from tritonforge.client.errors import InvalidRequest, Target
from tritonforge.client.wire import Array, numpy_dtype
from tritonforge.ir import Signature, TensorSpec

__all__ = ["Cast", "cast_inputs", "require_cast"]

Cast = Literal["none", "exact", "round"]
"""`none`: arrays go as they are. `exact`: lists, scalars and other dtypes are taken where every value stays what it is.
`round`: floating-point values may lose digits, too, as float64 → float32 does; never the range, nor a fraction."""

_NUMBERS = (bool, int, float, np.bool_, np.number)


def require_cast(cast: str) -> None:
    """Raise ValueError where it is none of the values of `Cast`."""
    if cast not in get_args(Cast):
        raise ValueError(f"cast is {cast!r}; it may be {', '.join(map(repr, get_args(Cast)))}")


def cast_inputs(signature: Signature, inputs: Mapping[str, Any], cast: Cast, target: Target) -> dict[str, Any]:
    """Cast each input that the signature knows. Raise InvalidRequest for a value that it would change.

    A scalar becomes the array that has one element, where the model's dimensions allow that.
    """
    specs = {spec.name: spec for spec in signature.inputs}
    return {
        name: value if value is None or name not in specs else _cast(specs[name], value, cast, signature, target)
        for name, value in inputs.items()
    }


def _cast(spec: TensorSpec, value: Any, cast: Cast, signature: Signature, target: Target) -> Any:
    wanted = numpy_dtype(spec.datatype)
    if wanted is None or isinstance(value, np.ma.MaskedArray):  # of which the checks say what to do
        return value
    if isinstance(value, np.ndarray) and value.dtype == wanted and value.ndim:
        return value
    try:
        array = np.asarray(value, object) if spec.datatype == "BYTES" else np.asarray(value)
    except ValueError as error:
        raise InvalidRequest(f'input "{spec.name}": its lists make no array: {error}', target) from error
    except (TypeError, RuntimeError) as error:  # torch's words for tensors of the GPU, with a gradient, or bfloat16
        raise InvalidRequest(f'input "{spec.name}": {type(value).__name__} makes no array: {error}', target) from error
    rank = len(spec.dims) + signature.batched
    if array.ndim == 0 and rank:
        array = array.reshape((1,) * rank)
    if spec.datatype == "BYTES":
        return array
    if array.dtype.kind == "O":
        array, changed = _numbers(array)
        changed = changed or _changed(array, wanted, cast)
    else:
        changed = _changed(array, wanted, cast)
    if changed:
        hint = '; cast="round" allows it' if cast == "exact" and not _changed(array, wanted, "round") else ""
        shown = spec.describe(batched=signature.batched)
        raise InvalidRequest(f'input "{spec.name}": {changed} in {shown}, as cast="{cast}" asks{hint}', target)
    return array.astype(wanted)


def _numbers(array: Array) -> tuple[Array, str]:
    """Make numbers of objects, such as pandas gives, all of one dtype; say which one that can't be, else nothing."""
    elements = array.ravel().tolist()
    other = [element for element in elements if not isinstance(element, _NUMBERS)]
    numbers = array if other else np.array(elements)
    if not other and numbers.dtype.kind == "O":
        other = [max(elements, key=abs)]  # more than 64 bits
    elif not other:  # of integers and fractions NumPy makes float64, whose digits may be too few
        made = numbers.tolist()
        other = [mine for mine, its in zip(elements, made, strict=True) if mine != its and not np.isnan(its)]
    if other:
        return array, f"{other[0]!r} ({type(other[0]).__name__}) can't be held"
    return numbers.reshape(array.shape), ""


def _changed(array: Array, wanted: np.dtype[Any], cast: Cast) -> str:
    """Say which value can't be cast; empty where all can. BF16 and others of ml_dtypes have kind V."""
    if array.dtype.kind not in "biufV":
        return f"{array.dtype} can't be held"
    if wanted.kind == "b" and array.dtype.kind != "b":
        return f"{array.dtype} is no truth value, and can't be held"
    with np.errstate(all="ignore"):
        there = array.astype(wanted)
        floating = wanted.kind in "fV"
        if cast == "round" and floating:
            kept = np.isfinite(there.astype(np.float64)) | ~np.isfinite(array.astype(np.float64))
        else:
            kept = there.astype(array.dtype) == array
            if array.dtype.kind in "iu" and floating:  # the largest floats turn into other integers, not only back
                kept &= np.abs(there.astype(np.float64)) < 2.0**63
            if array.dtype.kind in "iu" and wanted.kind in "iu":
                kept &= (there < 0) == (array < 0)
            if array.dtype.kind in "fV":
                kept |= np.isnan(array.astype(np.float64)) & floating
    if kept.all():
        return ""
    return f"{array[~kept].flat[0]} ({array.dtype}) can't be held"
