"""What is wrong with the arrays of a request, said before anything is sent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.tensors.arguments import kind_of, named_as_option, with_article
from tritonforge.client.tensors.lists import has_masked, is_read_once, shape_of
from tritonforge.client.tensors.wire import Array, numpy_dtype
from tritonforge.dtypes import DTYPES, from_numpy
from tritonforge.ir import ANONYMOUS, Signature, TensorSpec

__all__ = ["array_code", "explain", "find_problems", "masked_list", "uneven_list"]

_OPTIONS = frozenset({"cast", "into", "outputs", "parameters", "top"})
_OF_ALL_CALLS = ("request_id", "timeout_s", "version")


def find_problems(
    signature: Signature, inputs: Mapping[str, Any], outputs: Iterable[str] = (), *, max_batch_size: int = 0
) -> list[str]:
    """Find what keeps the inputs from matching: names, types, dtypes, ranks, dimensions, batch. No casts are made.

    `outputs` are the names asked for. A `max_batch_size` of 0 sets no limit.
    """
    problems = []
    sizes: dict[str, tuple[str, int]] = {}
    known = 0
    for spec in signature.inputs:
        value = inputs.get(spec.name)
        if value is not None:
            known += 1
            problem = _value_problem(spec, value, sizes, batched=signature.batched)
            if problem:
                problems.append(f'input "{spec.name}": {problem}')
        elif not spec.optional:
            known += spec.name in inputs
            wanted = spec.describe(batched=signature.batched)
            problems.append(f'input "{spec.name}" is missing: {wanted} wanted{named_as_option(spec.name)}')
        else:
            known += spec.name in inputs
    if known < len(inputs):
        problems += _unknown("input", signature.inputs, inputs)
    if outputs:
        problems += _unknown("output", signature.outputs, outputs)
    if signature.batched and "batch" in sizes:
        problems += _batch_problems(*sizes["batch"], max_batch_size)
    elif signature.batched and signature.inputs and not problems and not signature.sequence:
        names = ", ".join(spec.name for spec in signature.inputs)  # Triton (24.10) refuses an index in their list
        problems.append(f"no input is given, so there is no batch size: give one of {names}")
    return problems


def explain(problems: list[str], signature: Signature) -> str:
    """Put the problems and the whole signature into one text."""
    if len(problems) == 1:
        return f"{problems[0]}\n  signature: {signature}"
    lines = "".join(f"\n  {problem}" for problem in problems)
    return f"{len(problems)} mistakes{lines}\n  signature: {signature}"


def masked_list(spec: TensorSpec, value: object) -> str:
    """Say what to do with a list that has a masked array in it."""
    filled = f"np.ma.array({spec.name}, dtype={_dtype_code(spec)}).filled(…)"
    kind = with_article(type(value).__name__)
    return f"{kind} with a masked array in it given, which Triton has none of; say what its gaps are: {filled}"


def uneven_list(value: object) -> str:
    """Say which rows of nested lists differ in shape; empty where none do, and for what is no list."""
    try:
        shape_of(value)
    except ValueError as error:
        return f"{error}; an array has rows of equal length"
    return ""


def _unknown(kind: str, specs: tuple[TensorSpec, ...], names: Iterable[str]) -> list[str]:
    known = [spec.name for spec in specs]
    there = ", ".join(known) or "none"
    return [
        f'there is no {kind} "{name}"; {_meant(name, known)}there are: {there}'
        if isinstance(name, str)
        else f"the {kind} {name!r} has {kind_of(name)} for its name; it is a text, and there are: {there}"
        for name in names
        if name not in known
    ]


def _meant(name: str, known: list[str]) -> str:
    if name == "priority":
        return 'infer by the model\'s name takes it: parameters={"priority": 1}; '
    if name in _OPTIONS:
        return f"{name}= is an option of infer by the model's name; "
    if near := difflib.get_close_matches(name, known, n=1):
        return f"did you mean {near[0]}? "
    option = difflib.get_close_matches(name, _OF_ALL_CALLS, n=1)
    return f"did you mean the option {option[0]}? " if option else ""


def _value_problem(spec: TensorSpec, value: Any, sizes: dict[str, tuple[str, int]], *, batched: bool) -> str:
    if not isinstance(value, np.ndarray) and not isinstance(value, CudaArray):
        return _not_an_array(spec, value, batched=batched)
    if type(value) is not np.ndarray and isinstance(value, np.ma.MaskedArray):
        return f"a masked array given, which Triton has none of; say what its gaps are: {spec.name}.filled(…)"
    wanted = numpy_dtype(spec.datatype)
    # The comparison of dtypes is the quick path; the names also match for the other byte order.
    if wanted is not None and value.dtype != wanted and from_numpy(value.dtype) is not DTYPES[spec.datatype]:
        return f"{_found(value)} given, {spec.describe(batched=batched)} wanted{_cast_hint(spec, value)}"
    shape = value.shape
    if batched and shape[1:] == spec.dims and sizes.setdefault("batch", (spec.name, shape[0]))[1] == shape[0]:
        return ""
    return _shape_problem(spec, value, sizes, batched=batched)


def _shape_problem(
    spec: TensorSpec, value: Array | CudaArray, sizes: dict[str, tuple[str, int]], *, batched: bool
) -> str:
    dims = ("batch", *spec.dims) if batched else spec.dims
    if len(dims) != value.ndim:
        given, rank = _found(value), len(dims)
        hint = _rank_hint(spec, value, rank, batched=batched)
        return f"{given} given, {spec.describe(batched=batched)} wanted: {value.ndim} dimensions, not {rank}{hint}"
    for position, (dim, size) in enumerate(zip(dims, value.shape, strict=True)):
        if isinstance(dim, int):
            if size != dim:
                wanted_shape = spec.describe(batched=batched)
                return f"{_found(value)} given, {wanted_shape} wanted: dimension {position} is {size}, not {dim}"
        elif dim != ANONYMOUS and sizes.setdefault(dim, (spec.name, size))[1] != size:
            other, other_size = sizes[dim]
            return f'{_found(value)} given: dimension {position}, {dim}, is {size}, but in input "{other}" {other_size}'
    return ""


def _rank_hint(spec: TensorSpec, value: Array | CudaArray, rank: int, *, batched: bool) -> str:
    if isinstance(value, CudaArray):
        return ""
    if not spec.dims and value.ndim == rank + 1 and value.shape[-1] == 1:
        return f"; to take its last dimension off: {spec.name}[..., 0]"
    if not value.ndim and rank:
        return f"; for one value: {spec.name}.reshape({', '.join(['1'] * rank)})"
    if not batched or value.ndim != rank - 1:
        return ""
    if spec.dims == (1,):
        return f"; if it is one value a row: {spec.name}[:, np.newaxis]"
    return f"; if it is one row: {spec.name}[np.newaxis]"


def _batch_problems(name: str, size: int, max_batch_size: int) -> list[str]:
    if size == 0:
        return [f'input "{name}": the batch has no rows, which Triton doesn\'t take']
    if 0 < max_batch_size < size:
        most = f"max_batch_size is {max_batch_size}: split it, as client.map does"
        return [f'input "{name}": a batch of {size} rows; {most}']
    return []


def _found(array: Array | CudaArray) -> str:
    first = None if isinstance(array, CudaArray) else _first(array)
    if array.dtype.kind == "O" and first is not None and not isinstance(first, (str, bytes)):
        return f"an object array of {type(first).__name__}{list(array.shape)}"
    dtype = from_numpy(array.dtype)
    return f"{dtype or array.dtype}{list(array.shape)}"


def _first(array: Array) -> object:
    return array.flat[0] if array.size else None


def _not_an_array(spec: TensorSpec, value: object, *, batched: bool) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    given = f"{with_article(name)} given, an array of {spec.describe(batched=batched)} wanted"
    if isinstance(value, (Mapping, Set)) or (isinstance(value, (str, bytes)) and spec.datatype != "BYTES"):
        return given  # of which NumPy makes none
    if has_masked(value):
        return masked_list(spec, value)
    if uneven := uneven_list(value):
        return f"{given}: {uneven}"
    code = array_code(spec, value, batched=batched)
    return f"{given}; make one: {spec.name} = {code}" if code else given


def array_code(spec: TensorSpec, value: object, *, batched: bool) -> str:
    """Write what makes an array of a value; nothing where that doesn't work."""
    kind = type(value)
    if kind.__module__.startswith("torch") and hasattr(value, "detach"):
        there = ".to_dense()" if str(getattr(value, "layout", "torch.strided")) != "torch.strided" else ""
        there += ".float()" if str(getattr(value, "dtype", "")) == "torch.bfloat16" else ""  # which NumPy has not
        here = f".astype({_dtype_code(spec)})" if spec.datatype == "BF16" else ""
        return f"{spec.name}.detach().cpu(){there}.numpy(){here}"
    if isinstance(value, (bool, int, float, str, bytes, np.generic)):
        shape = tuple(1 if isinstance(dim, str) else dim for dim in (("batch", *spec.dims) if batched else spec.dims))
        fills = all(size == 1 for size in shape)
        return f"np.full({shape}, {spec.name}, {_dtype_code(spec)})" if fills else ""
    if is_read_once(value):
        return f"np.asarray(list({spec.name}), dtype={_dtype_code(spec)})"
    return f"np.asarray({spec.name}, dtype={_dtype_code(spec)})" if _makes_array(spec, value) else ""


def _makes_array(spec: TensorSpec, value: Any) -> bool:
    """Try what is about to be offered."""
    try:
        with np.errstate(all="ignore"):
            return bool(np.asarray(value, numpy_dtype(spec.datatype) or object).ndim)
    except Exception:  # whatever the value's own methods raise
        return False


def _cast_hint(spec: TensorSpec, value: Array | CudaArray) -> str:
    bits = f"; to take its bits: {spec.name}.view(ml_dtypes.bfloat16)" if _may_be_bits(spec, value) else ""
    if isinstance(value, CudaArray):
        return bits
    if spec.datatype == "BYTES":
        return "" if value.dtype.kind == "V" else "; for its values as text: .astype(str)"
    numbers = from_numpy(value.dtype) is not None or value.dtype.kind in "biuf"  # not complex ones, dates or records
    if value.dtype.kind == "O":
        numbers = isinstance(_first(value), (bool, int, float, np.number, np.bool_))
    cast = f"{spec.name}.astype({_dtype_code(spec)})"
    if bits:
        return f"{bits}, to cast its numbers: {cast}"
    return f"; to cast it: {cast}" if numbers else ""


def _may_be_bits(spec: TensorSpec, value: Array | CudaArray) -> bool:
    """Tell whether integers may be what BF16 is held as where there is no such type, as torch and C give it."""
    return spec.datatype == "BF16" and value.dtype in (np.int16, np.uint16) and value.dtype.isnative


def _dtype_code(spec: TensorSpec) -> str:
    dtype = DTYPES.get(spec.datatype)
    if dtype is None or spec.datatype == "BYTES":
        return "object"
    if spec.datatype == "BF16":
        return "ml_dtypes.bfloat16"
    return f"np.{'bool_' if spec.datatype == 'BOOL' else dtype.numpy_name}"
