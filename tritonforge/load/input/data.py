"""The input of requests: made from the model's signature, or read from a file, and the answers beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tritonforge.dtypes import DTYPES
from tritonforge.load.errors import InvalidLoad
from tritonforge.load.input.casts import cast
from tritonforge.load.input.files import READERS, Raw, reshaped
from tritonforge.load.input.signature import ServedModel, Tensor
from tritonforge.load.settings import Data, ModelLoad
from tritonforge.samples import draw, golden_of

__all__ = ["Sample", "as_loaded", "check_shapes", "check_strings", "guessed_sizes", "make_samples"]

Array = NDArray[Any]

_GB = 10**9
_MOST_BYTES = 4 * _GB
"""So much may the requests of a model have, made of its signature: each process of the generator keeps them all."""
_ANSWER = "expected:"
"""What precedes the name of an answer's tensor, where that may be an input's, too."""
_NAMED = 5
_REQUEST, _TEXT = 1000, 64
"""What a request takes beside its tensors, and a string beside its letters."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The arrays of one request, with their batch dimension, by name; and of its answer, where it is known."""

    inputs: dict[str, tuple[str, Array]]
    expected: dict[str, Array] | None = None


def make_samples(
    served: ServedModel, load: ModelLoad, seed: int, *, note: Callable[[str], None] = lambda words: None
) -> list[Sample]:
    """Make the requests that are sent in turn. Raise InvalidLoad where the input can't be made or doesn't fit.

    `note` is told which columns of a file aren't sent: a slip of an optional input's name looks like that.
    """
    if load.data.check and load.data.source in ("random", "zeros"):
        raise InvalidLoad(
            f"check: {load.data.source} input has no answers to check; give data that hold them, or leave check out"
        )
    most = math.inf if served.max_batch_size is None else max(served.max_batch_size, 1)
    if not 1 <= load.batch_size <= most:
        raise InvalidLoad(f"{served.name}: batch size {load.batch_size}; it takes {_batch_limit(served)}")
    if served.sequences and load.batch_size > 1:
        raise InvalidLoad(f"{served.name}: batch size {load.batch_size}; a request of a sequence has a batch of 1")
    if load.data.source in ("random", "zeros"):
        served.check_sized(load.data.shapes, load.data.dimensions)
        _check_size(served, load)
        return list(_made(served, load, np.random.default_rng(seed)))
    return list(_read(served, load, note))


def _batch_limit(served: ServedModel) -> str:
    if served.max_batch_size is None:
        return "1 or more"
    if served.max_batch_size:
        return f"1 to {served.max_batch_size}"
    fixed = [tensor.name for tensor in served.inputs if tensor.dims[:1] != (-1,)]
    if served.sequences is None and fixed:
        return (
            f'1: the first dimension of "{fixed[0]}" doesn\'t vary, and the server tells no configuration that batches'
        )
    return "1: the model doesn't batch"


def as_loaded(served: ServedModel, load: ModelLoad) -> ServedModel:
    """Decide what a model's first dimension is, where no configuration says it and it varies in all inputs.

    It is the batch's, unless it is sized like any other: by the whole shape of an input, or in the rows of a file.
    """
    generated = load.data.source in ("random", "zeros")
    whole = any(len(load.data.shapes.get(tensor.name, ())) == len(tensor.dims) for tensor in served.inputs)
    if served.may_batch and (load.batch_size > 1 or (generated and not whole)):
        return served.batched()
    return served


def _check_size(served: ServedModel, load: ModelLoad) -> None:
    """Raise InvalidLoad for more than a process can be expected to keep."""
    words = 0 if load.data.source == "zeros" else load.data.string_length
    size = sum(
        math.prod(_shape(served, tensor, load)) * (DTYPES[tensor.datatype].itemsize or _TEXT + words)
        for tensor in served.inputs
    )
    count = 1 if load.data.source == "zeros" else load.data.payloads
    most = _MOST_BYTES // (size + _REQUEST)
    if not most:
        raise InvalidLoad(f"{served.name}: a request has {size / _GB:,.1f} GB; it may have {_MOST_BYTES / _GB:g} GB")
    if count > most:
        raise InvalidLoad(
            f"{served.name}: payloads is {count}: they take {count * (size + _REQUEST) / _GB:,.1f} GB of memory, "
            f"and may take {_MOST_BYTES / _GB:g} GB; it is at most {most} of these inputs"
        )


def _shape(served: ServedModel, tensor: Tensor, load: ModelLoad) -> tuple[int, ...]:
    batch = (load.batch_size,) if served.batches else ()
    return batch + served.shape(tensor, load.data.shapes, load.data.dimensions.get(tensor.name, ()))


def _made(served: ServedModel, load: ModelLoad, random: np.random.Generator) -> Iterator[Sample]:
    zeros = load.data.source == "zeros"
    for _ in range(1 if zeros else max(1, load.data.payloads)):
        inputs = {}
        for tensor in served.inputs:
            shape = _shape(served, tensor, load)
            inputs[tensor.name] = (
                tensor.datatype,
                _zeros(tensor, shape)
                if zeros
                else draw(tensor.datatype, shape, random, string_length=load.data.string_length),
            )
        yield Sample(inputs)


def _zeros(tensor: Tensor, shape: tuple[int, ...]) -> Array:
    return np.full(shape, b"", object) if tensor.datatype == "BYTES" else np.zeros(shape, DTYPES[tensor.datatype].numpy)


def _read(served: ServedModel, load: ModelLoad, note: Callable[[str], None]) -> Iterator[Sample]:
    golden = load.data.golden
    where = f"the golden samples of {golden}" if golden is not None else load.data.source
    rows = _golden_rows(served, golden) if golden is not None else _file_rows(load.data.source)
    if not rows:
        raise InvalidLoad(f"{where}: it holds no rows")
    if served.may_batch and _lacks_batch(rows[0], served):
        served = served.batched()
    checked = load.data.check or golden is not None
    if not checked and (strays := _strays(rows, served)):
        note(f"{where}: {strays}")
    rows = [_of_model(row, served, f"{where}: row {number}", checked=checked) for number, row in enumerate(rows, 1)]
    if served.batches:
        rows = _batched(rows, load.batch_size, where)
    datatypes = {tensor.name: tensor.datatype for tensor in served.inputs}
    for row in rows:
        inputs = {name: (datatype, row[name]) for name, datatype in datatypes.items() if name in row}
        expected = {
            name.removeprefix(_ANSWER): np.asarray(value) for name, value in row.items() if name not in datatypes
        }
        if checked and not expected:
            names = ", ".join(sorted(datatypes))
            raise InvalidLoad(f"{where}: there are no answers to check beside the inputs {names}")
        yield Sample(inputs, expected if checked else None)


def _lacks_batch(row: Mapping[str, Any], served: ServedModel) -> bool:
    """Tell whether a row has an input without its first dimension."""
    given = ((row[tensor.name], len(tensor.dims) - 1) for tensor in served.inputs if tensor.name in row)
    return any(
        len(value.shape or ()) == rank if isinstance(value, Raw) else np.asarray(value, object).ndim == rank
        for value, rank in given
        if not isinstance(value, Raw) or value.shape is not None
    )


def _file_rows(source: str) -> list[dict[str, Any]]:
    path = Path(source)
    reader = READERS.get(path.suffix)
    if reader is None:
        kinds = f"random, zeros, golden, or a file: *{', *'.join(READERS)}"
        raise InvalidLoad(f"data {source!r}: it is {kinds}")
    if not path.is_file():
        raise InvalidLoad(f"data {source!r}: no such file")
    try:
        return list(reader(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidLoad(f"{path}: {error}") from error


def _golden_rows(served: ServedModel, repository: Path) -> list[dict[str, Any]]:
    """Give the rows of a model's golden samples; of one that doesn't batch, each sample is one."""
    try:
        samples = golden_of(repository, served.name)
    except (OSError, ValueError) as error:
        raise InvalidLoad(f"data golden: {error}") from error
    if not samples:
        raise InvalidLoad(
            f"data golden: {repository} has no golden samples of {served.name}; "
            "build it with --golden 8, or give its definition examples="
        )
    if any(sample.parameters for sample in samples):
        raise InvalidLoad(
            f"data golden: samples of {served.name} have request parameters, each its own, and a load has the same for "
            "all: give rows of a file, and parameters"
        )
    rows: list[dict[str, Any]] = []
    for sample in samples:
        tensors = {**sample.inputs, **{f"{_ANSWER}{name}": array for name, array in sample.outputs.items()}}
        if served.batches:
            count = len(next(iter(tensors.values())))
            rows += [{name: array[index] for name, array in tensors.items()} for index in range(count)]
        else:
            rows.append(tensors)
    return rows


def _of_model(row: Mapping[str, Any], served: ServedModel, where: str, *, checked: bool) -> dict[str, Any]:
    """Make arrays of the inputs as the model takes them; of answers, as it gives them, where they are checked."""
    inputs = {tensor.name: tensor for tensor in served.inputs}
    outputs = {tensor.name: tensor for tensor in served.outputs}
    missing = [tensor.name for tensor in served.inputs if tensor.name not in row and not tensor.optional]
    if missing:
        raise InvalidLoad(f'{where}: it has no "{missing[0]}"; it has {", ".join(row) or "nothing"}')
    if checked:
        _check_answers(row, served, where)
    found: dict[str, Any] = {}
    for name, value in row.items():
        given, answer = inputs.get(name), outputs.get(name.removeprefix(_ANSWER))
        if given is not None:
            found[name] = _fitted(given, _cast(value, given, where), where)
        elif checked:
            found[name] = _cast(value, answer, where) if answer is not None else value
    return found


def _strays(rows: Sequence[Mapping[str, Any]], served: ServedModel) -> str:
    """Say which columns are neither a model's inputs nor answers of its outputs; nothing where there are none."""
    inputs, outputs = ([tensor.name for tensor in tensors] for tensors in (served.inputs, served.outputs))
    columns = dict.fromkeys(name for row in rows for name in row)
    strays = [name for name in columns if name not in inputs and name.removeprefix(_ANSWER) not in outputs]
    if not strays or not outputs:  # without outputs any of them may be an answer
        return ""
    absent = [name for name in inputs if name not in columns]
    near = {name: get_close_matches(name, absent, 1) for name in strays}
    strays.sort(key=lambda name: not near[name])
    named = [f'"{name}"' + "".join(f' (did you mean "{each}"?)' for each in near[name]) for name in strays[:_NAMED]]
    more = f" and {len(strays) - _NAMED} more" if len(strays) > _NAMED else ""
    said = "is no input" if len(strays) == 1 else "are no inputs"
    return f"{', '.join(named)}{more} {said} of {served.name}, and not sent"


def _cast(value: Any, tensor: Tensor, where: str) -> Array:
    """Make an array of a tensor's datatype."""
    datatype = tensor.datatype
    if isinstance(value, Raw):
        return _of_bytes(value, tensor, where)
    try:
        return cast(value, datatype)
    except ValueError as error:
        raise InvalidLoad(f'{where}: "{tensor.name}" is no {datatype}: {error}') from error


def _of_bytes(raw: Raw, tensor: Tensor, where: str) -> Array:
    """Make an array of a tensor's bytes; without a shape, of the model's where one size is left to tell."""
    if tensor.datatype == "BYTES":
        array = np.array([raw.data], object)
    else:
        try:
            array = np.frombuffer(raw.data, DTYPES[tensor.datatype].numpy)
        except ValueError as error:
            found = f'"{tensor.name}" has {len(raw.data)} bytes, no {tensor.datatype}'
            raise InvalidLoad(f"{where}: {found}: {error}") from error
    if raw.shape is not None:
        try:
            return reshaped(array, raw.shape)
        except ValueError as error:
            raise InvalidLoad(f'{where}: "{tensor.name}": {error}') from error
    known = math.prod(size for size in tensor.dims if size != -1)
    if tensor.dims.count(-1) == 1 and known and array.size % known == 0:
        return array.reshape(tensor.dims)
    return array


def _check_answers(row: Mapping[str, Any], served: ServedModel, where: str) -> None:
    """Raise InvalidLoad for a column that is no input, and no output to check."""
    outputs = [tensor.name for tensor in served.outputs]
    unknown = set(row) - {tensor.name for tensor in served.inputs}
    unknown = {name for name in unknown if name.removeprefix(_ANSWER) not in outputs}
    if outputs and unknown:
        raise InvalidLoad(
            f'{where}: check: "{min(unknown)}" is neither an input of {served.name} nor an output, which are '
            f"{', '.join(outputs)}; leave it out of the data"
        )


def _fitted(tensor: Tensor, array: Array, where: str) -> Array:
    """Give a row's array its rank: flat data take the shape of a tensor without variable dimensions."""
    wanted = tensor.dims
    if -1 not in wanted and array.size == math.prod(wanted):
        return array.reshape(wanted)
    if array.ndim != len(wanted) or any(
        size not in (-1, found) for size, found in zip(wanted, array.shape, strict=True)
    ):
        raise InvalidLoad(f'{where}: "{tensor.name}" has the shape {list(array.shape)}; the model takes {list(wanted)}')
    return array


def check_shapes(models: Mapping[str, ServedModel], loads: Sequence[ModelLoad]) -> None:
    """Raise InvalidLoad for a size that no model of a load has a use for, so that a slip of a name is told."""
    known: dict[str, Tensor | None] = {}
    used: set[str] = set()
    for load in loads:
        served = models[load.name]
        for tensor in served.inputs:
            known[tensor.name] = tensor
            names = load.data.dimensions.get(tensor.name, ())
            used |= served.used(tensor, load.data.shapes, names)
            known |= dict.fromkeys(name for name, size in zip(names, tensor.dims, strict=False) if name and size < 0)
    for load in loads:
        for name, sizes in load.data.shapes.items():
            if name not in used:
                raise InvalidLoad(f"shape {name}: {_useless(name, sizes, known, [each.name for each in loads])}")


def guessed_sizes(models: Mapping[str, ServedModel], loads: Sequence[ModelLoad]) -> list[str]:
    """Say which inputs a size was taken for whose name the server doesn't know: a slip of a name looks like that."""
    taken: dict[str, list[str]] = {}
    for load in loads:
        for tensor in models[load.name].inputs:
            names = load.data.dimensions.get(tensor.name, ())
            if name := models[load.name].guessed(tensor, load.data.shapes, names):
                sizes = ",".join(map(str, load.data.shapes[name]))
                taken.setdefault(f"{name}={sizes}", []).append(f"{tensor.name} of {load.name}")
    return [
        f"shape {size}: the server tells no names of dimensions; it was taken for those of {', '.join(inputs)}"
        for size, inputs in taken.items()
    ]


def _useless(name: str, sizes: Sequence[int], known: Mapping[str, Tensor | None], models: Sequence[str]) -> str:
    """Say why a size has no use."""
    tensor = known.get(name)
    if tensor is not None:
        return f"the input has the shape {list(tensor.dims)}, of which {','.join(map(str, sizes))} says nothing"
    if name in known:
        return "the whole shapes of its inputs are given, too; leave one of them out"
    return (
        f"no input of {', '.join(models)}, and no variable dimension that is left without a size, has that name; they "
        f"have {', '.join(known)}"
    )


def check_strings(models: Mapping[str, ServedModel], loads: Sequence[ModelLoad]) -> None:
    """Raise InvalidLoad for a length of strings where no model takes any."""
    length = max(
        (load.data.string_length for load in loads if load.data.string_length != Data().string_length), default=0
    )
    if length and not any(tensor.datatype == "BYTES" for served in models.values() for tensor in served.inputs):
        raise InvalidLoad(f"string_length: no input of {', '.join(models)} is of strings; leave it out")


def _batched(rows: Sequence[Mapping[str, Any]], size: int, where: str) -> list[dict[str, Any]]:
    """Stack rows by as many as a batch has; the last ones begin anew, so that each batch is full."""
    count = -(-len(rows) // size)
    groups = [[(start * size + item) % len(rows) for item in range(size)] for start in range(count)]
    return [_stacked(rows, group, where) for group in groups]


def _stacked(rows: Sequence[Mapping[str, Any]], group: Sequence[int], where: str) -> dict[str, Any]:
    first = rows[group[0]]
    for place in group[1:]:
        row, pair = rows[place], f"{where}: rows {group[0] + 1} and {place + 1} can't be stacked to a batch"
        if apart := sorted(first.keys() ^ row.keys()):
            raise InvalidLoad(f'{pair}: only one of them has "{apart[0]}"')
        for name in first:
            shapes = [list(np.shape(each[name])) for each in (first, row)]
            if shapes[0] != shapes[1]:
                raise InvalidLoad(f'{pair}: "{name}" has the shapes {shapes[0]} and {shapes[1]}')
    return {name: np.stack([np.asarray(rows[place][name]) for place in group]) for name in first}
