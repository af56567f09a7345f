"""Annotations of tensors: the project's own dtype names, and the reading of jaxtyping's into a `TensorSpec`."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import AbstractDtype

from tritonforge import dtypes
from tritonforge.ir import ANONYMOUS, Dim, TensorSpec

__all__ = ["Bytes", "InexpressibleAnnotation", "ParsedTensor", "String", "is_tensor", "parse_tensor"]

BATCH = "batch"
_LARGEST_DIM = 2**63 - 1


if TYPE_CHECKING:
    # A type checker sees jaxtyping's own names as `Annotated`, and so it sees these.
    from typing import Annotated as Bytes
    from typing import Annotated as String
else:

    class String(AbstractDtype):
        """Text: object arrays of `str` (UTF-8 on the wire)."""

        dtypes = ["object"]  # noqa: RUF012 - jaxtyping's own convention

    class Bytes(AbstractDtype):
        """Raw byte strings: object arrays of `bytes`."""

        dtypes = ["object"]  # noqa: RUF012 - jaxtyping's own convention


class InexpressibleAnnotation(Exception):
    """An annotation that says something Triton can't: `message` says what, `hint` what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class ParsedTensor:
    """An annotation as read: the tensor without its batch dimension, and whether it has one."""

    spec: TensorSpec
    batched: bool


def is_tensor(annotation: Any) -> bool:
    """Say whether an annotation is a jaxtyping one, or an optional one."""
    return _is_jaxtyping(_strip_optional(annotation)[0])


def parse_tensor(name: str, annotation: Any) -> ParsedTensor:
    """Read one annotation, `Float32[np.ndarray, "batch 20"]` or `… | None`.

    Raises:
        InexpressibleAnnotation: it isn't a tensor, or has a dtype or a dimension that Triton has not.
    """
    inner, optional = _strip_optional(annotation)
    if not _is_jaxtyping(inner):
        kind = typing.get_origin(inner) or inner
        is_array = isinstance(kind, type) and hasattr(kind, "__array__")
        of_library = is_array and not issubclass(kind, (np.ndarray, np.generic))
        hint = f'annotate it as Float32[np.ndarray, "batch 20"], say{", and convert inside" if of_library else ""}'
        if isinstance(kind, type) and issubclass(kind, Mapping):
            hint += "; RequestParameters, if it is to take the parameters of the request"
        reason = "is an array whose shape isn't said" if kind is np.ndarray else "is not a tensor"
        raise InexpressibleAnnotation(f"{_spell(annotation)} {reason}", hint)
    if getattr(inner.array_type, "__name__", "") != "ndarray":
        raise InexpressibleAnnotation(
            f"{_spell(inner)} is an array of {_spell(inner.array_type)}; models take and give np.ndarray",
            f'write {inner.dtype.__name__}[np.ndarray, "{inner.dim_str}"] and convert inside',
        )
    dtype = dtypes.from_annotation(inner.dtype.__name__)
    if dtype is None:
        raise InexpressibleAnnotation(
            f"{inner.dtype.__name__} is not one of Triton's data types",
            "use one of " + ", ".join([*(known.annotation for known in dtypes.DTYPES.values()), "Bytes"]),
        )
    dims = [_parse_dim(token) for token in inner.dim_str.split()]
    batched = bool(dims) and dims[0] == BATCH
    dims = dims[1:] if batched else dims
    if BATCH in dims:
        raise InexpressibleAnnotation(
            f'"{inner.dim_str}" has batch behind another dimension; Triton batches along the first one only',
            "put batch first, or give the dimension another name",
        )
    if not batched and not dims:
        raise InexpressibleAnnotation(
            "a scalar without dimensions; Triton's tensors have at least one",
            f'write {inner.dtype.__name__}[np.ndarray, "1"], or "batch" for one value a row',
        )
    text = dtype.name == "BYTES" and inner.dtype.__name__ != "Bytes"
    return ParsedTensor(TensorSpec(name, dtype.name, tuple(dims), optional=optional, text=text), batched)


def _parse_dim(token: str) -> Dim:
    """Read one dimension of jaxtyping's shape language, as far as Triton can express it."""
    label, _, size = token.rpartition("=")
    if size.isdecimal() and (not label or label.isidentifier()):
        if len(size.lstrip("0")) > len(str(_LARGEST_DIM)) or int(size) > _LARGEST_DIM:
            reason = f"a dimension of {_shortened(size)}; Triton's are at most {_LARGEST_DIM}"
            raise InexpressibleAnnotation(reason, "give its size, or a name")
        if int(size) == 0:
            raise InexpressibleAnnotation("a dimension of 0; Triton's are at least 1", "give its size, or a name")
        return int(size)
    if token.isidentifier():
        return ANONYMOUS if token.startswith(ANONYMOUS) else token  # as jaxtyping has it: _rows is held to nothing
    if token == "..." or token.startswith("*"):
        reason, hint = "any number of dimensions; a tensor's rank is fixed in Triton", "name each dimension"
    elif token.startswith("#"):
        reason, hint = "a dimension that broadcasts; Triton has none", "give the tensor its full shape"
    else:
        reason, hint = "a computed dimension; Triton has fixed and variable ones only", "give it a name or a number"
    raise InexpressibleAnnotation(f'"{token}" stands for {reason}', hint)


def _shortened(number: str) -> str:
    return number if len(number) <= 40 else f"{len(number)} digits"


def _strip_optional(annotation: Any) -> tuple[Any, bool]:
    """Take `None` out of `X | None`; a union of more is given back as it is."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not types.NoneType]
        if len(members) == 1 and len(typing.get_args(annotation)) == 2:
            return members[0], True
    return annotation, False


def _is_jaxtyping(annotation: Any) -> bool:
    return isinstance(getattr(annotation, "dim_str", None), str) and hasattr(annotation, "array_type")


def _spell(annotation: Any) -> str:
    """Name an annotation as its author wrote it, as far as that can be known."""
    if _is_jaxtyping(annotation):
        return f'{annotation.dtype.__name__}[{_spell(annotation.array_type)}, "{annotation.dim_str}"]'
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("jaxtyping.", "").replace("typing.", "")
