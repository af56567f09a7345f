"""Which of a model's instances this process is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Instance", "current", "make", "set_current"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One running copy of a model: on the kind of device `kind` ("CPU", "GPU" or "MODEL"), of number `device_id`.

    `name` is Triton's for the copy, `model` and `version` are those of the model, and `parameters` what its definition
    gives as such.
    """

    kind: str
    device_id: int
    name: str
    model: str
    version: int
    parameters: Mapping[str, str] = field(default_factory=dict)


_current: list[Instance] = []


def set_current(args: Mapping[str, str]) -> Instance:
    """Remember what Triton hands to `initialize`: a process serves one instance."""
    parameters = json.loads(args["model_config"]).get("parameters", {})
    _current[:] = [
        Instance(
            kind=args["model_instance_kind"],
            device_id=int(args["model_instance_device_id"]),
            name=args.get("model_instance_name", args["model_name"]),
            model=args["model_name"],
            version=int(args["model_version"]),
            parameters={key: value.get("string_value", "") for key, value in parameters.items()},
        )
    ]
    return _current[0]


def current() -> Instance | None:
    """Give the instance that this process serves; None outside Triton."""
    return _current[0] if _current else None


def make(target: type) -> Any:
    """Make a user's class, whose `__init__` gets the instance where a parameter is annotated with `Instance`."""
    parameter = _parameter(target)
    return target() if parameter is None else target(**{parameter: current()})


def _parameter(target: Any) -> str | None:
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
