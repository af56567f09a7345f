"""What Triton gives `auto_complete_config` to fill in, for models that have no config.pbtxt."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

__all__ = ["completed"]

_PROPERTIES: Mapping[str, frozenset[str]] = {
    "input": frozenset({"name", "data_type", "dims", "optional"}),
    "output": frozenset({"name", "data_type", "dims"}),
}


class _Configuration:
    """A stand-in for the Python backend's `ModelConfig`: what a model says of itself."""

    def __init__(self, name: str) -> None:
        self._content: dict[str, Any] = {
            "name": name,
            "backend": "python",
            "max_batch_size": 0,
            "input": [],
            "output": [],
        }

    def as_dict(self) -> dict[str, Any]:
        return self._content

    def set_max_batch_size(self, max_batch_size: int) -> None:
        self._content["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        self._content.setdefault("dynamic_batching", {})

    def set_model_transaction_policy(self, transaction_policy_dict: Mapping[str, Any]) -> None:
        if unknown := sorted(transaction_policy_dict.keys() - {"decoupled"}):
            raise ValueError(f"a model's transaction policy has no {', '.join(unknown)}")
        self._content["model_transaction_policy"] = dict(transaction_policy_dict)

    def add_input(self, input: Mapping[str, Any]) -> None:
        self._add("input", input)

    def add_output(self, output: Mapping[str, Any]) -> None:
        self._add("output", output)

    def _add(self, side: str, tensor: Mapping[str, Any]) -> None:
        if unknown := sorted(tensor.keys() - _PROPERTIES[side]):
            raise ValueError(f"an {side} has no {', '.join(unknown)}")
        if lacking := [name for name in ("name", "data_type", "dims") if name not in tensor]:
            raise ValueError(f"an {side} needs {', '.join(lacking)}")
        known = next((one for one in self._content[side] if one["name"] == tensor["name"]), None)
        if known is None:
            self._content[side].append(copy.deepcopy(dict(tensor)))
        elif known != tensor:
            raise ValueError(f"the {side} {tensor['name']} is added twice, as {known} and as {dict(tensor)}")


def completed(model: Any, name: str) -> dict[str, Any] | None:
    """Ask a model's class what is in the config.pbtxt that it hasn't, by the fields' names; None where it doesn't say.

    Raises:
        TypeError: it gives something else than what it got.
        ValueError: it says what no tensor is.
    """
    if not hasattr(model, "auto_complete_config"):
        return None
    given = model.auto_complete_config(_Configuration(name))
    if not isinstance(given, _Configuration):
        raise TypeError(f"{name}'s auto_complete_config gave a {type(given).__name__}, not the configuration it got")
    return given.as_dict()
