"""batch_input and batch_output: tensors that a backend makes for ragged batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_batch_tensors"]


def check_batch_tensors(model: Model) -> Iterator[Found]:
    """Check sources, targets and types of the tensors made for a batch."""
    config = model.config
    inputs = {tensor.name for tensor in config.input}
    outputs = {tensor.name for tensor in config.output}
    for number, made in enumerate(config.batch_input):
        path = f"batch_input[{number}]"
        yield from _check_sources(path, made, inputs)
        if enum_name(made, "data_type") not in ("TYPE_INT32", "TYPE_FP32"):
            message = f"a batch input is TYPE_INT32 or TYPE_FP32; found {enum_name(made, 'data_type')}"
            yield error("TF627", f"{path}.data_type", message, "TYPE_FP32 fits where the backend doesn't say")
    for number, made in enumerate(config.batch_output):
        path = f"batch_output[{number}]"
        yield from _check_sources(path, made, inputs)
        seen: set[str] = set()
        for index, target in enumerate(made.target_name):
            field = f"{path}.target_name[{index}]"
            if target not in outputs:
                yield error("TF628", field, f'there is no output "{target}"', _listing("outputs", outputs))
            elif target in seen:
                yield error("TF628", field, f'the output "{target}" is named twice', "name it once")
            seen.add(target)


def _check_sources(path: str, made: Any, inputs: set[str]) -> Iterator[Found]:
    code = "TF627" if path.startswith("batch_input") else "TF628"
    if enum_name(made, "kind").isdigit():
        yield error(code, f"{path}.kind", f"there is no kind {made.kind}", "name one of the schema's kinds")
    elif len(made.source_input) != 1:
        message = f"{enum_name(made, 'kind')} is made from one source_input; found {len(made.source_input)}"
        yield error(code, f"{path}.source_input", message, "name one input")
    for index, source in enumerate(made.source_input):
        if source not in inputs:
            field = f"{path}.source_input[{index}]"
            yield error(code, field, f'there is no input "{source}"', _listing("inputs", inputs))


def _listing(kind: str, names: set[str]) -> str:
    return f"the {kind} are {', '.join(sorted(names))}" if names else f"there are no {kind}"
