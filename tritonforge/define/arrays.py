"""The check of real arrays against a signature, for eager calls: names, types, dtypes, shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge import dtypes
from tritonforge.errors import InvalidTensor
from tritonforge.ir import ANONYMOUS, Dim, Signature, TensorSpec

__all__ = ["Sizes", "check_inputs", "check_outputs"]

Array = NDArray[Any]


class Sizes:
    """The sizes that named dimensions have taken in one call, `batch` among them."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, str]] = {}

    def bind(self, dim: Dim, size: int, tensor: str) -> str:
        """Hold a dimension to its size; give what is wrong, or nothing."""
        if isinstance(dim, int):
            return "" if dim == size else f"{size} where {dim} is wanted"
        if dim == ANONYMOUS:
            return ""
        known, owner = self._seen.setdefault(dim, (size, tensor))
        return "" if known == size else f"{dim} is {size}, but {known} in {owner}"


def check_inputs(
    model: str, signature: Signature, given: Mapping[str, object], sizes: Sizes
) -> dict[str, Array | None]:
    """Check the arguments of a call; text becomes `str`, raw strings become `bytes`, numbers have this machine's byte
    order, all else is passed on as it is.

    Raises:
        InvalidTensor: an argument's type, dtype or shape is not the signature's; it names the argument, what was found
            and what is wanted.
    """
    return {
        spec.name: _check(f'{model}: argument "{spec.name}"', spec, given.get(spec.name), signature, sizes)
        for spec in signature.inputs
    }


def check_outputs(model: str, signature: Signature, given: Mapping[str, object], sizes: Sizes) -> dict[str, Array]:
    """Check the results of a call, like `check_inputs`; each output must be there."""
    checked = {}
    for spec in signature.outputs:
        array = _check(f'{model}: result "{spec.name}"', spec, given.get(spec.name), signature, sizes)
        assert array is not None, "an output is never optional"
        checked[spec.name] = array
    return checked


def _check(place: str, spec: TensorSpec, value: object, signature: Signature, sizes: Sizes) -> Array | None:
    wanted = spec.describe(batched=signature.batched)
    if value is None and spec.optional:
        return None
    if not isinstance(value, np.ndarray):
        raise InvalidTensor(
            f"{place} is {_spell(value)}; wanted an np.ndarray of {wanted}{_how_to_convert(value, spec)}"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise InvalidTensor(f"{place} is a masked array; wanted {wanted} without gaps: .filled(…) says what they are")
    found = dtypes.from_numpy(value.dtype)
    dtype = dtypes.DTYPES[spec.datatype]
    if found is not dtype:
        name = found.name if found else str(value.dtype)
        raise InvalidTensor(f"{place} is {name}{list(value.shape)}; wanted {wanted}{_how_to_cast(name, dtype)}")
    dims: tuple[Dim, ...] = (("batch",) if signature.batched else ()) + spec.dims
    if len(dims) != value.ndim:
        raise InvalidTensor(
            f"{place} has shape {list(value.shape)}, of {_count(value.ndim)}; wanted {wanted}, of {_count(len(dims))}"
        )
    faults = [fault for dim, size in zip(dims, value.shape, strict=True) if (fault := sizes.bind(dim, size, spec.name))]
    if faults:
        raise InvalidTensor(f"{place} has shape {list(value.shape)}; wanted {wanted}: {'; '.join(faults)}")
    if dtype.name == "BYTES":
        return _as_strings(place, value, text=spec.text)
    return value if value.dtype.isnative else value.astype(dtype.numpy)


def _as_strings(place: str, value: Array, *, text: bool) -> Array:
    """Give an object array whose every element is `str` (text) or `bytes`, as the served model sees them."""
    convert: Callable[[object], object] = _to_str if text else _to_bytes
    strings = np.empty(value.shape, dtype=object)
    try:
        strings.reshape(-1)[:] = [convert(item) for item in value.reshape(-1).tolist()]
    except UnicodeDecodeError as error:
        raise InvalidTensor(f"{place} holds bytes that are not UTF-8 ({error}); annotate it as Bytes") from error
    except UnicodeEncodeError as error:
        half = repr(error.object[error.start])
        raise InvalidTensor(f"{place} holds {half}, half of a surrogate pair, which UTF-8 has not") from error
    except TypeError as error:
        raise InvalidTensor(f"{place} holds {error}; wanted str or bytes") from error
    return strings


def _to_str(item: object) -> str:
    if isinstance(item, bytes):
        return item.decode()
    if isinstance(item, str):
        item.encode()  # which the server could not send
        return item
    raise TypeError(_spell(item))


def _to_bytes(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return item
    raise TypeError(_spell(item))


def _spell(value: object) -> str:
    if value is None:
        return "None"
    kind = type(value)
    package = kind.__module__.partition(".")[0]
    name = kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _how_to_convert(value: object, spec: TensorSpec) -> str:
    if isinstance(value, list | tuple | int | float | str | bytes):
        return f' (np.asarray(…, dtype="{dtypes.DTYPES[spec.datatype].numpy_name}") makes one)'
    return ""


def _how_to_cast(found: str, wanted: dtypes.DType) -> str:
    if "BYTES" in (found, wanted.name):
        return ""
    if wanted.name != "BF16":
        return f' (convert it: .astype("{wanted.numpy_name}"))'
    if found in ("INT16", "UINT16"):  # what holds its bits where there is no such type
        return " (its bits: .view(ml_dtypes.bfloat16); its numbers: .astype(ml_dtypes.bfloat16))"
    return " (convert it: .astype(ml_dtypes.bfloat16))"


def _count(rank: int) -> str:
    return "1 dimension" if rank == 1 else f"{rank} dimensions"
