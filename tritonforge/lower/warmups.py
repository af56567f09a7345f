"""Warm-up requests: as configured, or made of arrays, whose bytes become files."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tritonforge.define import Definition, Warmup
from tritonforge.define.arrays import Array, Sizes, check_inputs
from tritonforge.dtypes import DTYPES
from tritonforge.errors import Diagnostic, DiagnosticError, InvalidTensor
from tritonforge.ir import File, TensorSpec, WarmupInput
from tritonforge.ir import Warmup as WarmupConfig
from tritonforge.lower.data_files import carry_warmup

__all__ = ["lower_warmups"]


def lower_warmups(
    definition: Definition[..., Any], max_batch_size: int
) -> tuple[tuple[WarmupConfig, ...], tuple[File, ...]]:
    """Give the `model_warmup` entries of a definition, and the files of their values.

    Raises:
        DiagnosticError: an array doesn't match the signature, a file isn't there, or a request has more rows than a
            batch.
    """
    configs: list[WarmupConfig] = []
    files: list[File] = []
    for number, sample in enumerate(definition.options.warmup):
        if isinstance(sample, Warmup):
            named, carried = carry_warmup(definition, sample)
            configs.append(named.lower())
            files += carried
            continue
        config, written = _sample(definition, f"sample_{number}", sample)
        configs.append(config)
        files += written
    for config in configs:
        _check_size(definition, config, max_batch_size)
    return tuple(configs), tuple(files)


def _check_size(definition: Definition[..., Any], config: WarmupConfig, limit: int) -> None:
    """Refuse more rows than a batch has: Triton fails to load such a model, or even ends (SIGSEGV, seen in 24.10)."""
    if config.batch_size <= max(1, limit):
        return
    known, hint = "the model has no batch dimension", "leave batch_size out"
    if limit:
        known, hint = f"max_batch_size is {limit}", f"take {limit} rows or fewer, or raise batching's max_batch_size"
    reason = f'warmup: "{config.name}" has {config.batch_size} rows, and {known}'
    raise DiagnosticError([Diagnostic("TF114", definition.where, reason, hint)])


def _sample(definition: Definition[..., Any], name: str, sample: Any) -> tuple[WarmupConfig, Iterable[File]]:
    signature = definition.signature
    arrays = _checked(definition, sample)
    inputs, files = [], []
    rows = 1
    for spec in signature.inputs:
        array = arrays[spec.name]
        if array is None:
            continue
        if signature.batched:
            rows, array = max(1, len(array)), array[:1]  # Triton repeats the data of one row
        path = f"{name}.{spec.name}"
        dims = spec.sent_shape(array.shape, batched=signature.batched)[signature.batched :]
        inputs.append((spec.name, WarmupInput(DTYPES[spec.datatype].config, dims, data_file=path)))
        files.append(File(f"warmup/{path}", content=_raw(array, spec)))
    return WarmupConfig(name, rows, tuple(sorted(inputs)), 0), files


def _checked(definition: Definition[..., Any], sample: Any) -> Mapping[str, Array | None]:
    fault = _misfit(definition, sample)
    if not fault:
        try:
            return check_inputs(definition.name, definition.signature, sample, Sizes())
        except InvalidTensor as error:
            fault = str(error)
    batch = ", with the batch dimension" if definition.signature.batched else ""
    hint = f"give arrays as {definition.name} itself takes them{batch}"
    raise DiagnosticError([Diagnostic("TF114", definition.where, f"warmup: {fault}", hint)])


def _misfit(definition: Definition[..., Any], sample: Any) -> str:
    """Say what is wrong with a sample as a whole."""
    if not isinstance(sample, Mapping):
        return f"it is a {type(sample).__name__}; wanted a dict of arrays by input, or a Warmup"
    names = {spec.name for spec in definition.signature.inputs}
    unknown = sorted(sample.keys() - names)
    return f'there is no input "{unknown[0]}"; there are {", ".join(sorted(names))}' if unknown else ""


def _raw(array: Array, spec: TensorSpec) -> bytes:
    """Write an array as Triton reads it: row-major, each string with its length before it."""
    if spec.datatype != "BYTES":
        return np.ascontiguousarray(array).tobytes()
    strings = (one.encode() if isinstance(one, str) else bytes(one) for one in array.reshape(-1))
    return b"".join(struct.pack("<I", len(one)) + one for one in strings)
