"""Which field Triton speaks of, read off its words: a path without indices and keys."""

from __future__ import annotations

import re

__all__ = ["blamed_fields", "blamed_line", "without_places"]

_STEP = "ensemble_scheduling.step"
_CONTROL = "sequence_batching.control_input"
_VALUES = tuple(f"{_CONTROL}.control.{kind}_false_true" for kind in ("int32", "fp32", "bool"))
_STATE = "sequence_batching.state"
_MAPS = (f"{_STEP}.input_map", f"{_STEP}.output_map")

_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"model (input|output) must specify 'name'", (r"\1.name",)),
    (r"model (input|output) '.*' must specify '(data_type|dims)'", (r"\1.\2",)),
    (r"model (input|output) '.*' dimension must be", (r"\1.dims",)),
    (r"model (input|output) '.*' cannot have empty reshape", (r"\1.reshape",)),
    (r"model (input|output) '.*' reshape dimensions", (r"\1.reshape.shape",)),
    (r"model (input|output) '.*' has different", (r"\1.reshape",)),
    (r"NHWC/NCHW require 3 dims", ("input.format",)),
    (r"shape tensors are only", ("input.is_shape_tensor", "output.is_shape_tensor")),
    (r"Non-linear IO format", ("input.is_non_linear_format_io", "output.is_non_linear_format_io")),
    (r"batch (input|output) kind '.*' expects", (r"batch_\1.source_input",)),
    (r"unknown batch (input|output) kind", (r"batch_\1.kind",)),
    (r"batch input data type must be", ("batch_input.data_type",)),
    (r"unknown source input name", ("batch_input.source_input", "batch_output.source_input")),
    (r"(unknown )?target output name", ("batch_output.target_name",)),
    (r"unexpected directory name", ("name",)),
    (r"unexpected platform type", ("platform",)),
    (r"unexpected 'platform' and 'backend' pair", ("platform", "backend")),
    (r"must have platform type 'ensemble' and empty backend", ("backend",)),
    (r"Could not determine backend", ("backend", "")),
    (r"'max_batch_size' must be non-negative", ("max_batch_size",)),
    (r"under the version policy", ("version_policy.specific.versions", "version_policy.latest.num_versions", "")),
    (r"dynamic batching preferred size", ("dynamic_batching.preferred_batch_size",)),
    (r"default priority level must", ("dynamic_batching.default_priority_level",)),
    (r"priority queue policy must", ("dynamic_batching.priority_queue_policy",)),
    (r"Only one priority level", ("dynamic_batching.preserve_ordering",)),
    (
        r"Queue policy can not have DELAY",
        (
            "dynamic_batching.default_queue_policy.timeout_action",
            "dynamic_batching.priority_queue_policy.timeout_action",
        ),
    ),
    (r"Response Cache does not currently", ("response_cache",)),
    (r"control tensor must have a name|is specified for multiple control kinds", (f"{_CONTROL}.name",)),
    (r"specifies multiple CONTROL", (f"{_CONTROL}.control.kind",)),
    (r"must specify either 'int32_false_true'", (f"{_CONTROL}.control",)),
    (r"specifies more than one from|must not specify either", _VALUES),
    (r"control '(\w+)' must have exactly 2", (rf"{_CONTROL}.control.\1",)),
    (r"unexpected data type for control", (f"{_CONTROL}.control.data_type",)),
    (r"sequence batching preferred batch size", ("sequence_batching.oldest.preferred_batch_size",)),
    (r"minimum slot utilization", ("sequence_batching.direct.minimum_slot_utilization",)),
    (r"initial_state field for state input", (f"{_STATE}.initial_state",)),
    (r"data type used for 'initial_state'", (f"{_STATE}.initial_state.data_type",)),
    (r"Field 'name' must be set when using initial_state", (f"{_STATE}.initial_state.name",)),
    (r"State input name .* more than once", (f"{_STATE}.input_name",)),
    (
        r"Number of dimensions in 'initial_state'|contains variable dim|'initial_state' dim",
        (f"{_STATE}.initial_state.dims",),
    ),
    (r"initial_state setting expects state", (f"{_STATE}.initial_state",)),
    (
        r"failed to open text file .*/initial_state/|initial_state setting expects \d+",
        (f"{_STATE}.initial_state.data_file",),
    ),
    (r"failed to open text file .*/warmup/|warmup setting expects \d+ bytes", ("model_warmup.inputs.input_data_file",)),
    (r"failed to open text file|label file path|failed to read text file|is a directory", ("output.label_filename",)),
    (r"warmup setting expects all variable-size", ("model_warmup.inputs.dims",)),
    (r"warmup setting expects input '.*' to have", ("model_warmup.inputs",)),
    (r"inference input '.*' data-type", ("model_warmup.inputs.data_type",)),
    (r"unexpected shape for input", ("model_warmup.inputs.dims",)),
    (r"expected \d+ inputs but got|missing required input", ("model_warmup.inputs",)),
    (r"specifies one or more GPUs", ("instance_group.gpus",)),
    (r"unexpected kind KIND_AUTO", ("instance_group.kind",)),
    (r"profile|unable to parse '.*': stoi", ("instance_group.profile",)),
    (r"ensemble scheduling (cannot|must) be set", ("platform",)),
    (r"instance group should not be", ("instance_group",)),
    (r"optimization should not be", ("optimization",)),
    (r"model_warmup can not be", ("model_warmup",)),
    (r"must specify 'step'", ("ensemble_scheduling",)),
    (r"must specify '(\w+)' in step", (rf"{_STEP}.\1",)),
    (r"can appear in an output map only once", (f"{_STEP}.output_map",)),
    (r"ensemble (input|output) '.*' for ensemble .* is not used", (r"\1",)),
    (r"output '.*' for ensemble '.*' is not written", ("output",)),
    (r"ensemble tensor '.*' is unused", (f"{_STEP}.output_map", f"{_STEP}.input_map")),
    (r"contains models that are not available|has no loaded version", (f"{_STEP}.model_name",)),
    (r"whose required version", (f"{_STEP}.model_version",)),
    (r"allows maximum batch size", ("max_batch_size",)),
    (r"mapping to non-existing input", (f"{_STEP}.input_map",)),
    (r"mapped from non-existing output", (f"{_STEP}.output_map",)),
    (r"is not mapped to any ensemble", (f"{_STEP}.input_map",)),
    (r"inconsistent data type", (*_MAPS, "input.data_type", "output.data_type")),
    (
        r"inconsistent shape",
        (*_MAPS, "input.dims", "output.dims", "input.reshape", "output.reshape", "output.reshape.shape"),
    ),
    (r"originated from different decoupled", (f"{_STEP}.input_map",)),
)
_COMPILED = tuple((re.compile(pattern), fields) for pattern, fields in _WORDS)


def blamed_fields(words: str) -> tuple[str, ...]:
    """Give the fields that words speak of; where Triton leaves open which of several it is, each of them."""
    if blamed_line(words):
        return ()
    for pattern, fields in _COMPILED:
        if found := pattern.search(words):
            return tuple(found.expand(field) for field in fields)
    return ()


def blamed_line(words: str) -> int:
    """Give the line of an error in the text; 0 if it isn't one. It is that of the token after what is wrong."""
    found = re.match(r"(\d+):\d+: ", words)
    return int(found[1]) if found else 0


def without_places(field: str) -> str:
    """Leave the indices and keys out of a field's path."""
    return re.sub(r"\[[^\]]*\]", "", field)
