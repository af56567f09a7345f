"""Files of raw values that settings name: beside the definition, and carried to where Triton looks for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from tritonforge.define import Definition, ModelFiles
from tritonforge.define.settings import InitialState, SequenceBatching, Warmup, WarmupInput
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import File

__all__ = ["carry_states", "carry_warmup", "distinct"]

Given = TypeVar("Given", InitialState, WarmupInput)


def carry_warmup(definition: Definition[..., Any], sample: Warmup) -> tuple[Warmup, tuple[File, ...]]:
    """Give a warm-up request with its files named as they lie in the built model's `warmup`, and the files.

    Raises:
        DiagnosticError: one isn't there.
    """
    files: list[File] = []
    inputs = {name: _carried(definition, given, "warmup", files) for name, given in sample.inputs.items()}
    return (sample.model_copy(update={"inputs": inputs}), tuple(files)) if files else (sample, ())


def carry_states(
    definition: Definition[..., Any], batching: SequenceBatching
) -> tuple[SequenceBatching, tuple[File, ...]]:
    """Give the settings of sequences with the files of their initial states, in `initial_state`, likewise.

    Raises:
        DiagnosticError: one isn't there.
    """
    files: list[File] = []
    states = tuple(
        state.model_copy(
            update={
                "initial_states": tuple(
                    _carried(definition, initial, "initial_state", files) for initial in state.initial_states
                )
            }
        )
        for state in batching.states
    )
    return (batching.model_copy(update={"states": states}), tuple(files)) if files else (batching, ())


def distinct(definition: Definition[..., Any], files: Iterable[File]) -> tuple[File, ...]:
    """Leave out files that are there twice.

    Raises:
        DiagnosticError: two that differ have the same place.
    """
    found: dict[str, File] = {}
    for file in files:
        if found.setdefault(file.path, file) != file:
            reason = f'two files would be {file.path} of the model, one of them "{file.source or file.path}"'
            raise DiagnosticError([Diagnostic("TF114", definition.where, reason, "give one of them another name")])
    return tuple(found.values())


def _carried(definition: Definition[..., Any], given: Given, folder: str, files: list[File]) -> Given:
    """Note a setting's file. That of a model folder, which is carried as it is, is in there."""
    if given.data_file is None or isinstance(definition, ModelFiles):
        return given
    source = definition.find_beside(given.data_file)
    if not source.is_file():
        reason = f'data_file="{given.data_file}" is no file'
        raise DiagnosticError([Diagnostic("TF114", definition.where, reason, "name a file beside the definition")])
    files.append(File(f"{folder}/{source.name}", source=source))
    return given.model_copy(update={"data_file": source.name})
