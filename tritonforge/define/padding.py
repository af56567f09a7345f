"""Padding: requests that differ in a named dimension are filled up to one size, and their results cut back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tritonforge import dtypes
from tritonforge.define.annotations import InexpressibleAnnotation, parse_tensor
from tritonforge.define.arrays import Array
from tritonforge.errors import Diagnostic, DiagnosticError, InvalidTensor, Where
from tritonforge.ir import PaddedDim, PadValue, Signature, TensorSpec

__all__ = ["Buckets", "mask_name", "pad", "parse_padding", "trim"]

Buckets = Sequence[int] | Mapping[str, Sequence[int]]


def mask_name(dimension: str) -> str:
    """Name the parameter that takes the mask of a padded dimension."""
    return f"{dimension}_mask"


def parse_padding(
    values: Mapping[str, PadValue],
    buckets: Buckets,
    signature: Signature,
    masks: Mapping[str, Any],
    where: Where,
) -> tuple[PaddedDim, ...]:
    """Read `pad=` and `pad_to=` of a model; `masks` are the annotations of its mask parameters, by their names.

    Raises:
        DiagnosticError: something in them doesn't fit the signature.
    """
    by_name = buckets if isinstance(buckets, Mapping) else dict.fromkeys(values, buckets) if buckets else {}
    faults = [
        *_general(values, buckets, by_name, signature),
        *(fault for name, value in values.items() for fault in _dimension(name, value, signature, by_name)),
        *(fault for name in values for fault in _mask(name, masks, signature)),
        *_mixed(values, signature),
    ]
    if faults:
        raise DiagnosticError([Diagnostic("TF113", where, message, hint) for message, hint in faults])
    return tuple(
        PaddedDim(
            name,
            value,
            tuple(by_name.get(name, ())),
            inputs=_axes(name, signature.inputs),
            outputs=_axes(name, signature.outputs),
            mask=mask_name(name) in masks,
        )
        for name, value in values.items()
    )


def pad(model: str, dims: Sequence[PaddedDim], inputs: Mapping[str, Array | None]) -> tuple[dict[str, Any], list[int]]:
    """Fill one call's inputs up to their buckets and add the masks; give the sizes that the dimensions had, too.

    Raises:
        InvalidTensor: a dimension is longer than its largest bucket.
    """
    given = dict(inputs)
    sizes = []
    for dim in dims:
        size = next((array.shape[axis] for name, axis in dim.inputs if (array := inputs[name]) is not None), 0)
        target = min((bucket for bucket in dim.buckets if bucket >= size), default=0 if dim.buckets else size)
        if target < size:
            raise InvalidTensor(
                f"{model}: {dim.name} is {size}, longer than the {dim.buckets[-1]} that it takes at most (pad_to)"
            )
        for name, axis in dim.inputs:
            array = given[name]
            if array is not None and array.shape[axis] < target:
                widths = [(0, target - size if index == axis else 0) for index in range(array.ndim)]
                given[name] = np.pad(array, widths, constant_values=dim.value)
        if dim.mask:
            rows = next(len(array) for name, _ in dim.inputs if (array := inputs[name]) is not None)
            given[mask_name(dim.name)] = np.repeat((np.arange(target) < size)[None], rows, axis=0)
        sizes.append(target)
    return given, sizes


def trim(
    model: str, dims: Sequence[PaddedDim], outputs: Mapping[str, Any], inputs: Mapping[str, Array | None], to: list[int]
) -> dict[str, Any]:
    """Cut outputs back to the sizes that the inputs had before they were padded `to` others.

    Raises:
        InvalidTensor: an output isn't of the padded size.
    """
    cut = dict(outputs)
    for dim, target in zip(dims, to, strict=True):
        size = next((array.shape[axis] for name, axis in dim.inputs if (array := inputs[name]) is not None), None)
        for name, axis in dim.outputs:
            array = cut[name]
            if size is None or not isinstance(array, np.ndarray) or array.ndim <= axis:
                continue  # nothing to go by, or a result that the check of results refuses
            if array.shape[axis] != target:
                raise InvalidTensor(
                    f'{model}: result "{name}" has {dim.name} {array.shape[axis]}; wanted {target}, as padded'
                )
            cut[name] = array[(slice(None),) * axis + (slice(size),)]
    return cut


def _general(
    values: Mapping[str, PadValue], buckets: Buckets, by_name: Mapping[str, Sequence[int]], signature: Signature
) -> Iterator[tuple[str, str]]:
    if not signature.batched:
        yield "pad is set, but its tensors have no batch dimension", 'begin every annotation with "batch"'
    if signature.decoupled:
        yield "pad is set, but requests of a stream are never stacked", "leave pad out"
    if buckets and not values:
        yield "pad_to is set without pad", 'say which dimension is padded, and with what: pad={"seq": 0}'
    elif not isinstance(buckets, Mapping) and buckets and len(values) > 1:
        yield (
            "pad_to doesn't say which dimension it is for",
            f'write pad_to={{"{next(iter(values))}": {list(buckets)}}}',
        )
    for name, sizes in by_name.items():
        if name not in values and values:
            yield f'pad_to names "{name}", which pad doesn\'t', "name it in pad too"
        elif not _ascending(sizes):
            yield (
                f"pad_to is {list(sizes) if isinstance(sizes, Iterable) else sizes}",
                "give sizes of 1 or more in ascending order: [32, 64, 128]",
            )


def _ascending(sizes: object) -> bool:
    if not isinstance(sizes, Iterable) or not all(isinstance(size, int) and size > 0 for size in sizes):
        return False
    return sorted(set(sizes)) == list(sizes)


def _dimension(
    name: str, value: object, signature: Signature, by_name: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, str]]:
    specs = [spec for spec in signature.inputs if name in spec.dims]
    if not specs:
        named = sorted({dim for spec in signature.inputs for dim in spec.dims if isinstance(dim, str) and dim != "_"})
        hint = f"its named ones are: {', '.join(named)}" if named else f'name one: Float32[np.ndarray, "batch {name}"]'
        yield f'pad names "{name}", which is no dimension of its inputs', hint
    for spec in specs:
        if not _fits(value, spec):
            yield (
                f'pad fills "{name}" with {value!r}, which {spec.datatype} input "{spec.name}" can\'t hold',
                ("give a value of its data type"),
            )


def _fits(value: object, spec: TensorSpec) -> bool:
    if spec.datatype == "BYTES":
        return isinstance(value, str if spec.text else bytes)
    if not isinstance(value, int | float):
        return False
    kind: np.dtype[Any] = dtypes.DTYPES[spec.datatype].numpy
    if kind.kind in "iu":
        return float(value).is_integer() and np.iinfo(kind).min <= value <= np.iinfo(kind).max
    return kind.kind != "b" or value in (0, 1)


def _mask(name: str, masks: Mapping[str, Any], signature: Signature) -> Iterator[tuple[str, str]]:
    parameter = mask_name(name)
    if parameter not in masks:
        return
    wanted = f'annotate it Bool[np.ndarray, "batch {name}"]'
    try:
        parsed = parse_tensor(parameter, masks[parameter])
    except InexpressibleAnnotation as error:
        yield f'parameter "{parameter}", the mask of {name}: {error.message}', wanted
        return
    if not parsed.batched or parsed.spec.datatype != "BOOL" or parsed.spec.dims != (name,):
        found = parsed.spec.describe(batched=parsed.batched)
        yield f'parameter "{parameter}", the mask of {name}, is {found}', wanted
    if not any(name in spec.dims and not spec.optional for spec in signature.inputs):
        yield f'parameter "{parameter}" has no required input with {name} to be the mask of', "make one required"


def _mixed(values: Mapping[str, PadValue], signature: Signature) -> Iterator[tuple[str, str]]:
    for spec in signature.inputs:
        fills = {repr(values[dim]) for dim in spec.dims if isinstance(dim, str) and dim in values}
        if len(fills) > 1:
            yield f'pad fills input "{spec.name}" with {" and ".join(sorted(fills))}', "one tensor takes one value"


def _axes(name: str, specs: Sequence[TensorSpec]) -> tuple[tuple[str, int], ...]:
    """Find a dimension: (tensor, axis), where axis 0 is the batch."""
    return tuple((spec.name, axis) for spec in specs for axis, dim in enumerate(spec.dims, start=1) if dim == name)
