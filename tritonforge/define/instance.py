"""Which of a model's copies runs: what the `__init__` of a class that is a model may ask for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Instance", "instance_parameter"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a model: on the kind of device `kind` ("CPU", "GPU" or "MODEL"), of number `device_id`.

    `name` is Triton's for the copy, `model` and `version` are those of the model, and `parameters` what its definition
    gives as such. A class that is a model gets it as the parameter of its `__init__` that is annotated with it. In an
    eager call it is a copy on the CPU, of version 0.
    """

    kind: str
    device_id: int
    name: str
    model: str
    version: int
    parameters: Mapping[str, str] = field(default_factory=dict)


def instance_parameter(target: Any) -> str | None:
    """Find the parameter of a class's `__init__` that is annotated with `Instance`."""
    initializer = target.__init__
    if not inspect.isfunction(initializer):
        return None
    for name, annotation in initializer.__annotations__.items():
        found = annotation
        if isinstance(annotation, str):
            try:
                found = eval(annotation, initializer.__globals__)
            except Exception:
                # It stands under `if TYPE_CHECKING`, say: its name must do.
                found = Instance if annotation.rpartition(".")[2] == "Instance" else None
        if found is Instance:
            return str(name)
    return None
