"""How `tritonforge infer` shows a result: a table, JSON, or an .npz file."""

from __future__ import annotations

import base64
import json
import math
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonforge.cli.infer_cast import Array
from tritonforge.dtypes import from_numpy

if TYPE_CHECKING:
    from rich.table import Table

    from tritonforge.client import Result

__all__ = ["to_json", "to_table", "to_text", "write_npz"]

_VALUES_SHOWN = 200


def to_json(result: Result) -> str:
    """Give one object: model, version, and each output's name, datatype, shape and data as nested lists.

    NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity", which `--input` takes back. BYTES are
    strings; where one of an output's is not UTF-8, all of that output's are base64 and it has `"encoding": "base64"`.
    """
    outputs = [{"name": name, **_tensor(array)} for name, array in result.outputs.items()]
    content = {"model": result.model, "version": result.model_version, "outputs": outputs}
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def to_table(result: Result) -> Table:
    """Give a rich table with a row for each output; long arrays are shortened."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=_titled(result), title_justify="left")
    for column in ("output", "datatype", "shape", "values"):
        table.add_column(column, overflow="fold")
    for name, array in result.outputs.items():
        shape = Text(str(list(array.shape)))  # as text: rich would take [2] for markup
        table.add_row(Text(name), str(from_numpy(array.dtype)), shape, Text(_values(array)))
    return table


def to_text(result: Result) -> str:
    """Give plain lines for a pipe or a file: of each output its name, datatype and shape, then its values."""
    lines = [_titled(result)]
    for name, array in result.outputs.items():
        lines += [f"{name}: {from_numpy(array.dtype)}{list(array.shape)}", _values(array)]
    return "\n".join(lines)


def _titled(result: Result) -> str:
    """Name the model and its version, which other servers than Triton leave out."""
    return f"{result.model} version {result.model_version}" if result.model_version else result.model


def write_npz(result: Result, path: Path) -> None:
    """Write the outputs as arrays by name: BF16 widened to FP32, BYTES as fixed-width bytes. All of it, or nothing.

    Raise OSError; ValueError where a BYTES element ends in a zero byte, which NumPy's fixed width drops.
    """
    arrays = {name: _storable(name, array) for name, array in result.outputs.items()}
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # numpy.savez takes the names as keywords, among its own: an output called "file" would fail.
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)  # type: ignore[no-untyped-call]
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _tensor(array: Array) -> dict[str, Any]:
    tensor = {"datatype": str(from_numpy(array.dtype)), "shape": list(array.shape)}
    if array.dtype.kind != "O":
        return {**tensor, "data": _nested(array)}
    try:
        return {**tensor, "data": _each(array, bytes.decode).tolist()}
    except UnicodeDecodeError:
        return {
            **tensor,
            "encoding": "base64",
            "data": _each(array, lambda item: base64.b64encode(item).decode()).tolist(),
        }


def _nested(array: Array) -> Any:
    return array.tolist() if array.dtype.kind in "biu" else _each(array, _number).tolist()


def _number(value: Any) -> float | str:
    """Give the shortest decimal that is this value in its own precision: 0.1 of a float32, not 0.10000000149011612."""
    number = float(str(value))
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _each(array: Array, function: Any) -> Array:
    changed = np.empty(array.size, object)
    changed[:] = [function(item) for item in array.ravel()]
    return changed.reshape(array.shape)


def _values(array: Array) -> str:
    if array.dtype.kind == "O":
        array = _each(array, lambda item: item.decode("utf-8", "backslashreplace"))
    return np.array2string(array, separator=", ", threshold=_VALUES_SHOWN)


def _storable(name: str, array: Array) -> Array:
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind != "O":
        return array
    fixed = array.astype(bytes) if array.size else np.empty(array.shape, "S1")
    if (fixed != array).any():
        raise ValueError(
            f'output "{name}" has a value that ends in a zero byte, which .npz can\'t hold; use --format json'
        )
    return fixed
