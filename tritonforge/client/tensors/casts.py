"""Casts that a caller asked for: lists, scalars and other dtypes made into what a model takes, without a surprise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.errors import InvalidRequest, Target
from tritonforge.client.tensors.arguments import kind_of
from tritonforge.client.tensors.checks import array_code, masked_list, uneven_list
from tritonforge.client.tensors.lists import has_masked, is_flat, is_read_once
from tritonforge.client.tensors.narrowing import cast_array, cast_each, is_number
from tritonforge.client.tensors.wire import Array, numpy_dtype
from tritonforge.ir import Signature, TensorSpec

__all__ = ["Cast", "cast_inputs", "require_cast"]

Cast = Literal["none", "exact", "round"]
"""`none`: arrays go as they are. `exact`: lists, scalars and other dtypes are taken where every value stays what it is.
`round`: what becomes a float may lose digits, too, as float64 → float32 does, and is the nearest one; never the range,
nor, where an integer is wanted, a fraction."""

_NUMBERS = (bool, int, float, np.bool_, np.number)
_EXACT_BELOW = 2.0**53  # from here on, float64 has not all integers


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
    if wanted is None or isinstance(value, (np.ma.MaskedArray, CudaArray)):  # the checks say what to do
        return value
    if isinstance(value, np.ndarray) and value.dtype == wanted and value.ndim:
        return value
    if problem := _no_array(spec, value):
        raise InvalidRequest(f'input "{spec.name}": {problem}', target)
    try:
        array = np.asarray(value, object) if spec.datatype == "BYTES" else _numbers(value)
    except ValueError as error:
        raise InvalidRequest(f'input "{spec.name}": its lists make no array: {error}', target) from error
    except (TypeError, RuntimeError) as error:  # torch's words for tensors of the GPU, with a gradient, or bfloat16
        code = array_code(spec, value, batched=signature.batched)
        mend = f"; make one: {spec.name} = {code}" if code else ""
        told = f"{type(value).__name__} makes no array: {str(error).rstrip('.')}{mend}"
        raise InvalidRequest(f'input "{spec.name}": {told}', target) from error
    rank = len(spec.dims) + signature.batched
    if array.ndim == 0 and rank:
        array = array.reshape((1,) * rank)
    if spec.datatype == "BYTES":
        return array
    there, changed = _converted(array, wanted, cast)
    if changed:
        hint = '; cast="round" allows it' if cast == "exact" and not _converted(array, wanted, "round")[1] else ""
        shown = spec.describe(batched=signature.batched)
        raise InvalidRequest(f'input "{spec.name}": {changed} in {shown}, as cast="{cast}" asks{hint}', target)
    return there


def _no_array(spec: TensorSpec, value: Any) -> str:
    """Say why NumPy makes no array of something, or one of other values; empty where it is left to NumPy."""
    if is_flat(value):
        return ""
    if has_masked(value):
        return masked_list(spec, value)
    if is_read_once(value):
        return f"{kind_of(value)} given; make a list of it: {spec.name} = list({spec.name})"
    return uneven_list(value)


def _numbers(value: Any) -> Array:
    """Make an array of numbers: of one dtype that holds all of them exactly, else of objects."""
    array = np.asarray(value)
    if isinstance(value, np.ndarray) and array.dtype.kind != "O":
        return array
    if array.dtype.kind == "O":
        elements = array.ravel().tolist()
        if not all(isinstance(element, _NUMBERS) for element in elements):
            return array
        array = np.array(elements).reshape(array.shape)
    elif not is_number(array.dtype):  # beside a text all of them are texts
        return np.asarray(value, object)
    # Of integers past 64 bits NumPy makes objects; of large ones beside others it makes floats, which may be others.
    if array.dtype.kind != "f" or not (np.isfinite(array) & (np.abs(array) >= _EXACT_BELOW)).any():
        return array
    objects = np.asarray(value, object)
    kinds = set(map(type, objects.ravel().tolist()))
    return array if all(issubclass(kind, float) for kind in kinds) else objects


def _converted(array: Array, wanted: np.dtype[Any], cast: Cast) -> tuple[Array, str]:
    """Cast numbers; say which one can't be, else nothing."""
    rounding = cast == "round"
    if array.dtype.kind == "O":
        elements = array.ravel().tolist()
        others = [element for element in elements if not isinstance(element, _NUMBERS)]
        if others:
            return array, f"{others[0]!r} ({type(others[0]).__name__}) can't be held"
        there, kept = cast_each(elements, wanted, rounding=rounding)
        lost = next((element for element, whole in zip(elements, kept, strict=True) if not whole), None)
        return there.reshape(array.shape), "" if lost is None else f"{lost} ({type(lost).__name__}) can't be held"
    if not is_number(array.dtype):
        return array, f"{array.dtype} can't be held"
    if wanted.kind == "b" and array.dtype.kind != "b":
        return array, f"{array.dtype} is no truth value, and can't be held"
    there, kept = cast_array(array, wanted, rounding=rounding)
    return there, "" if kept.all() else f"{array[~kept].flat[0]} ({array.dtype}) can't be held"
