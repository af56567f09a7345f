"""Implicit state of sequence models, and its initial values."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from tritonforge import dtypes
from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_states"]

FOLDER = "initial_state"


def check_states(model: Model) -> Iterator[Found]:
    """Check the initial values of each state."""
    if not model.config.HasField("sequence_batching"):
        return
    seen: set[str] = set()
    for number, state in enumerate(model.config.sequence_batching.state):
        path = f"sequence_batching.state[{number}]"
        if len(state.initial_state) > 1:
            message = f'the state "{state.input_name}" has {len(state.initial_state)} initial_state; it may have one'
            yield error("TF644", f"{path}.initial_state[1]", message, "keep one")
        elif state.initial_state:
            yield from _check_initial(model, f"{path}.initial_state[0]", state, state.initial_state[0], seen)
            seen.add(state.input_name)


def _check_initial(model: Model, path: str, state: Any, initial: Any, seen: set[str]) -> Iterator[Found]:
    subject = f'the initial value of state "{state.input_name}"'
    if initial.data_type != state.data_type:
        found, wanted = enum_name(initial, "data_type"), enum_name(state, "data_type")
        hint = f"data_type: {wanted} here, or {found} for the state"
        yield error("TF644", f"{path}.data_type", f"{subject} is {found}, the state is {wanted}", hint)
    if not initial.name:
        yield error("TF644", f"{path}.name", f"{subject} has no name", "any name")
    if state.input_name in seen:
        message = f'the state "{state.input_name}" is there twice'
        yield error("TF644", path.rpartition(".initial_state")[0] + ".input_name", message, "rename one")
    dims, wanted_dims = list(initial.dims), list(state.dims)
    if len(dims) != len(wanted_dims):
        message = f"{subject} has dims {dims}, the state {wanted_dims}: not as many"
        yield error("TF644", f"{path}.dims", message, "the state's dims, with a size for each -1")
        return
    for number, (dim, wanted) in enumerate(zip(dims, wanted_dims, strict=True)):
        if dim == -1:
            yield error("TF644", f"{path}.dims[{number}]", f"{subject} needs a size for each dimension", "not -1")
        elif wanted not in (-1, dim):
            message = f"{subject} has {dim} where the state has {wanted}"
            yield error("TF644", f"{path}.dims[{number}]", message, f"dims: {wanted_dims}")
    yield from _check_data(model, path, subject, initial)


def _check_data(model: Model, path: str, subject: str, initial: Any) -> Iterator[Found]:
    choice = initial.WhichOneof("state_data")
    if choice is None:
        yield error("TF644", path, f"{subject} says no value", "zero_data: true, or data_file")
    elif choice == "data_file":
        file = model.folder.path / FOLDER / initial.data_file
        field = f"{path}.data_file"
        if not file.is_file():
            message = f"{FOLDER}/{initial.data_file} is not there"
            yield error("TF644", field, message, f"the path is relative to the model's folder {FOLDER}")
            return
        dtype = dtypes.from_config(enum_name(initial, "data_type"))
        wanted = prod(initial.dims) * dtype.itemsize if dtype and all(dim > 0 for dim in initial.dims) else 0
        if file.stat().st_size < wanted:
            message = f"{FOLDER}/{initial.data_file} has {file.stat().st_size} bytes; {subject} needs {wanted}"
            yield error("TF644", field, message, "write the tensor's bytes, in C order")
