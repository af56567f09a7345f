"""`extra`: which fields of the configuration it may have, and what replaces the others."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from tritonforge import pbtxt
from tritonforge.define import Definition, ModelFiles

__all__ = ["check_extra"]

DERIVED = {
    "name": "take name=",
    "max_batch_size": "take batching=Batching(max_batch_size=…)",
    "backend": "the kind of definition says it; model_files takes any backend=",
    "platform": "the kind of definition says it; model_files takes any platform=",
    "input": "declare inputs by annotations or inputs=, and what those don't say by tensors=",
    "output": "declare outputs by annotations or outputs=, and what those don't say by tensors=",
    "ensemble_scheduling": "a pipeline's body says it; take max_inflight_requests= for its limit",
}
"""What the definition itself says, and how to say it."""

OF_FILES = {
    "backend": "backend",
    "platform": "platform",
    "input": "inputs",
    "output": "outputs",
    "ensemble_scheduling": "ensemble",
}
"""Of those, what `model_files` takes in `extra` nevertheless, unless its own argument says it."""


def check_extra(definition: Definition[..., Any]) -> Iterator[tuple[str, str, str]]:
    """Say which fields `extra` can't have: code, reason and hint."""
    known = pbtxt.fields()
    for name in definition.options.extra:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the fields are {', '.join(sorted(known))}"
            yield "TF115", f'extra has "{name}", which is no field of ModelConfig', hint
        elif name in DERIVED:
            yield from _derived(definition, name)


def _derived(definition: Definition[..., Any], name: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(definition, ModelFiles):
        yield "TF115", f'extra has "{name}", which the definition itself says', DERIVED[name]
        return
    argument = OF_FILES.get(name, "")
    if not argument:
        hint = "take max_batch_size= or batching=" if name == "max_batch_size" else DERIVED[name]
        yield "TF115", f'extra has "{name}", which the definition itself says', hint
    elif getattr(definition, argument):
        hint = f"leave it out of extra, or leave out {argument}="
        yield "TF115", f'extra has "{name}", which {argument}= says too', hint
