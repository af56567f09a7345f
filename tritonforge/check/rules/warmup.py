"""Warmup samples, held against the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model
from tritonforge.check.rules.warmup_files import check_warmup_file
from tritonforge.define.near_names import match_names
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_warmup"]

_BACKENDS = {"onnxruntime", "openvino", "python", "pytorch", "tensorflow", "tensorrt"}
"""Those that refuse larger batches and strings that are cut off themselves; Triton's core lets such samples pass."""


def check_warmup(model: Model) -> Iterator[Found]:
    """Check that each sample is a request that the model takes."""
    groups = model.config.instance_group
    if model.is_ensemble or (groups and all(group.passive for group in groups)):  # passive instances aren't warmed up
        return
    for number, sample in enumerate(model.config.model_warmup):
        if sample.batch_size == 0:  # Triton skips it
            continue
        path = f"model_warmup[{number}]"
        for name, given in sorted(sample.inputs.items()):
            yield from _check_data(model, f'{path}.inputs["{name}"]', name, given)
        yield from _check_inputs(model, path, sample)
        limit = model.config.max_batch_size
        if sample.batch_size > max(limit, 1) and model.config.backend in _BACKENDS:
            message = f"the sample's batch size is {sample.batch_size}, and max_batch_size is {limit}"
            yield error("TF654", f"{path}.batch_size", message, f"{max(limit, 1)} or less")


def _check_data(model: Model, path: str, name: str, given: Any) -> Iterator[Found]:
    if any(dim == -1 for dim in given.dims):
        message = f'the sample of "{name}" needs a size for each dimension; found {list(given.dims)}'
        yield error("TF650", f"{path}.dims", message, "give the sizes that requests have")
        return
    choice = given.WhichOneof("input_data_type")
    if choice is None:
        message = f'the sample of "{name}" says no values'
        yield error("TF650", path, message, "zero_data: true, random_data: true, or input_data_file")
    elif choice == "input_data_file":
        known, field = model.config.backend in _BACKENDS, f"{path}.input_data_file"
        yield from check_warmup_file(model.folder.path, name, given, path=field, backend_reads=known)


def _check_inputs(model: Model, path: str, sample: Any) -> Iterator[Found]:
    inputs = {tensor.name: tensor for tensor in model.config.input}
    controls = {control.name for control in model.config.sequence_batching.control_input}
    lacking = [name for name, tensor in inputs.items() if name not in sample.inputs and not tensor.optional]
    strange = sorted(name for name in sample.inputs if name not in inputs and name not in controls)
    meant = match_names(strange, lacking)
    for name, near in meant.items():
        message = f'the sample has "{name}", and the model no such input'
        yield error("TF650", f'{path}.inputs["{name}"]', message, f'did you mean "{near}"?')
    for name in (name for name in lacking if name not in meant.values()):
        yield error("TF650", f"{path}.inputs", f'the sample lacks the input "{name}"', "add it")
    required = [tensor.name for tensor in model.config.input if not tensor.optional]
    for name in sorted({name for name in required if required.count(name) > 1}):
        message = f'there are {required.count(name)} inputs named "{name}", and a sample can have only one'
        yield error("TF650", f"{path}.inputs", message, "rename one of the inputs")
    for name, given in sorted(sample.inputs.items()):
        tensor = inputs.get(name)
        if tensor is None:  # taken as a control input
            continue
        field = f'{path}.inputs["{name}"]'
        if given.data_type != tensor.data_type:
            found, wanted = enum_name(given, "data_type"), enum_name(tensor, "data_type")
            yield error("TF650", f"{field}.data_type", f'"{name}" is {wanted}; found {found}', f"data_type: {wanted}")
        if tensor.is_shape_tensor and model.batched:
            message = f'Triton 24.10 can\'t warm up a batched model with a shape tensor, as "{name}" is'
            yield error("TF650", f"{field}.dims", message, "take the warmup sample out")
            continue
        dims, wanted_dims = list(given.dims), list(tensor.dims)
        if -1 in dims:  # told already
            continue
        if len(dims) != len(wanted_dims) or any(w not in (-1, d) for d, w in zip(dims, wanted_dims, strict=False)):
            message = f'"{name}" has dims {wanted_dims}; the sample has {dims}'
            yield error("TF650", f"{field}.dims", message, "the input's dims, without the batch")
