"""Samples of tensors: drawn at random, held against each other, and kept in a file: a model's golden samples.

A golden file is an .npz of arrays named `NUMBER/in/TENSOR` and `NUMBER/out/TENSOR`, as clients send and get them: with
the batch dimension, strings as UTF-8. NumPy keeps strings at one width and fills them up with NUL. Parameters of a
request are the bytes of JSON, at `NUMBER/parameters/`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonforge.dtypes import DTYPES
from tritonforge.manifest import MANIFEST, read_manifest
from tritonforge.repository_files import read_bytes
from tritonforge.request_parameters import Parameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["TOLERANCE", "Golden", "NotKept", "differing", "draw", "golden_of", "matches", "read_golden", "write_golden"]

TOLERANCE = 1e-4
"""How far floats may be off, absolutely and as a share, where nobody says: other machines round otherwise."""

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
_INTEGERS = 128
_MOST = 4 << 30
"""Bytes of a file of samples."""


class NotKept(ValueError):
    """A value that a golden file can't hold."""


@dataclass(frozen=True, slots=True)
class Golden:
    """The tensors of one request, by name, and of its answer; the parameters of the request."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def draw(datatype: str, shape: tuple[int, ...], random: np.random.Generator, *, string_length: int = 16) -> Array:
    """Draw floats from [0, 1), integers from 0 to 127, booleans, lower-case letters and digits."""
    if datatype == "BYTES":
        letters = random.choice(_LETTERS, (int(np.prod(shape)), string_length))
        array = np.empty(len(letters), object)
        array[:] = [row.tobytes() for row in letters]
        return array.reshape(shape)
    dtype = DTYPES[datatype].numpy
    if dtype.kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    return (
        random.integers(0, _INTEGERS, shape).astype(dtype) if dtype.kind in "iu" else random.random(shape).astype(dtype)
    )


def matches(found: Array, expected: Array, tolerance: float) -> bool:
    """Tell whether an answer is as expected: floats within the tolerance, all else equal, shapes by their size."""
    if found.size != expected.size:
        return False
    found = found.reshape(expected.shape)
    if expected.dtype.kind in "OSU":
        return [_bytes(item) for item in found.ravel()] == [_bytes(item) for item in expected.ravel()]
    if expected.dtype.kind in "biu":
        return bool(np.array_equal(found, expected))
    return bool(
        np.allclose(found.astype(np.float64), expected.astype(np.float64), tolerance, tolerance, equal_nan=True)
    )


def differing(found: Mapping[str, Array], expected: Mapping[str, Array], tolerance: float) -> str:
    """Say which output isn't as expected, and what it is instead; empty where all are."""
    for name, wanted in expected.items():
        if name not in found:
            return f'no output "{name}"'
        if not matches(found[name], wanted, tolerance):
            return f'output "{name}" is {found[name].ravel()[:8]}, expected {wanted.ravel()[:8]}'
    return ""


def write_golden(samples: Iterable[Golden]) -> bytes:
    """Give a golden file's bytes: the same for the same samples.

    Raises:
        NotKept: a string ends in NUL.
    """
    arrays = {}
    for number, sample in enumerate(samples):
        for side, tensors in (("in", sample.inputs), ("out", sample.outputs)):
            for name, array in sorted(tensors.items()):
                arrays[f"{number}/{side}/{name}"] = _kept(name, array)
        if sample.parameters:
            text = json.dumps(dict(sample.parameters), sort_keys=True).encode()
            arrays[f"{number}/parameters/"] = np.frombuffer(text, np.uint8)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def read_golden(content: bytes) -> Sequence[Golden]:
    """Read what `write_golden` gave; strings are objects of `bytes`.

    Raises:
        ValueError: it is something else.
    """
    samples: dict[int, tuple[dict[str, Array], dict[str, Array], dict[str, Parameter]]] = {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            for key in file.files:
                number, side, name = key.split("/", 2)
                inputs, outputs, parameters = samples.setdefault(int(number), ({}, {}, {}))
                if side == "parameters":
                    parameters.update(json.loads(file[key].tobytes()))
                else:
                    {"in": inputs, "out": outputs}[side][name] = _read(file[key])
    except (OSError, KeyError, ValueError, EOFError) as error:
        raise ValueError(f"not a file of golden samples: {error}") from error
    return [Golden(*samples[number]) for number in sorted(samples)]


def golden_of(repository: Path, model: str) -> Sequence[Golden]:
    """Read a model's golden samples, as the repository's manifest names them; none where it names none.

    Raises:
        InvalidManifest: the manifest is not what a build writes.
        ValueError: there is no manifest with such a model, or the file isn't the one that the build wrote.
        OSError: a file can't be read.
    """
    manifest = repository / MANIFEST
    content = read_manifest(repository)
    if not content:
        raise ValueError(f"{repository} has no {MANIFEST}: it holds golden samples where a build has written it")
    models = content["models"]
    if model not in models:
        raise ValueError(f'{manifest} knows no model "{model}"; it knows {", ".join(models) or "none"}')
    entry = models[model].get("golden")
    if entry is None:
        return ()
    path = repository / entry["file"]
    if path.parent != repository:  # a manifest may come from elsewhere
        raise ValueError(f"{manifest} names golden samples that aren't beside it: {entry['file']}")
    samples = read_bytes(path, at_most=_MOST)
    if hashlib.sha256(samples).hexdigest() != entry["sha256"]:
        raise ValueError(f"{path} is not the file that the build wrote; build again")
    return read_golden(samples)


def _kept(name: str, array: Array) -> Array:
    if array.dtype.kind not in "OSU":
        return array if array.dtype.kind in "biuf" else array.view(np.dtype("V2"))  # bfloat16
    items = [_bytes(item) for item in array.ravel()]
    if any(item.endswith(b"\0") for item in items):
        raise NotKept(f'"{name}" has a string that ends in NUL, which is lost in the file')
    return np.array(items, np.bytes_).reshape(array.shape)


def _read(array: Array) -> Array:
    if array.dtype.kind == "V":
        return array.view(DTYPES["BF16"].numpy)
    return array.astype(object) if array.dtype.kind == "S" else array


def _bytes(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()
