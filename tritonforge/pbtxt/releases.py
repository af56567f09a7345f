"""Since which release of Triton a field of the configuration exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

__all__ = ["OLDEST", "SINCE", "first_releases"]

OLDEST = "23.01"
"""The release from which on first releases are known; every field without an entry is there since then, or longer."""

SINCE = {
    "ModelConfig.model_metrics": "24.11",
    "ModelConfig.runtime": "24.01",
    "ModelEnsembling.max_inflight_requests": "25.11",
    "ModelEnsembling.Step.model_namespace": "23.03",
    "ModelInput.is_non_linear_format_io": "24.08",
    "ModelOutput.is_non_linear_format_io": "24.08",
    "ModelSequenceBatching.State.use_growable_memory": "23.11",
    "ModelSequenceBatching.State.use_same_buffer_for_input_output": "23.11",
    "ModelSequenceBatching.StrategyOldest.preserve_ordering": "23.09",
    "ModelSequenceBatching.iterative_sequence": "23.11",
}
"""The first release of fields, read off the schemas of the client packages of each release since 23.01."""


def first_releases(message: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """List the fields that a message sets and that have a first release: path and release."""
    for field, value in message.ListFields():
        inside = f"{path}.{field.name}" if path else field.name
        since = SINCE.get(field.full_name.removeprefix("inference."))
        if since:
            yield inside, since
        if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE or field.message_type.GetOptions().map_entry:
            continue
        if field.is_repeated:
            for number, item in enumerate(value):
                yield from first_releases(item, f"{inside}[{number}]")
        else:
            yield from first_releases(value, inside)
