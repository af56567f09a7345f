"""Instance groups: kinds, GPUs, profiles, rate limiter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model
from tritonforge.check.rules.tensors import TENSORRT
from tritonforge.pbtxt.document import enum_name

__all__ = ["check_instances"]

_INTEGER = re.compile(r"\s*[+-]?[0-9]+")


def check_instances(model: Model) -> Iterator[Found]:
    """Check each instance group."""
    if model.is_ensemble:
        return
    for number, group in enumerate(model.config.instance_group):
        path, kind = f"instance_group[{number}]", enum_name(group, "kind")
        if kind.isdigit():
            yield error(
                "TF645", f"{path}.kind", f"there is no kind {kind}", "KIND_CPU, KIND_GPU, KIND_MODEL, KIND_AUTO"
            )
        elif kind in ("KIND_CPU", "KIND_MODEL") and group.gpus:
            message = f"{kind} takes no GPUs; found {list(group.gpus)}"
            yield error("TF645", f"{path}.gpus", message, "take gpus out, or kind: KIND_GPU")
        if group.profile and model.config.platform != TENSORRT:
            yield error("TF646", f"{path}.profile", "profile is TensorRT's; this is another platform", "take it out")
        elif group.profile:
            for index, profile in enumerate(group.profile):
                found = _INTEGER.match(profile)  # as C++ reads it: what follows the digits is passed over
                if found is None or int(found[0]) < 0:
                    message = f'a profile is a number, written as a string; found "{profile}"'
                    yield error("TF646", f"{path}.profile[{index}]", message, '"0"')
