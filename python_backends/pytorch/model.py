"""The backend `pytorch` of a server that has no native one: TorchScript in `model.pt`, with the same config.pbtxt.

Triton imports this file as the top-level module `model`, with its folder, a link to the runtime in it, on `sys.path`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torchscript_module
from tritonforge_runtime import Loaded, LoadError, ModelSpec, ServedModel


class TritonPythonModel(ServedModel):
    """A model that TorchScript runs."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Refuse a configuration without tensors: TorchScript knows neither their datatypes nor their dimensions.

        Raises:
            LoadError: inputs or outputs are missing.
        """
        fields = config.as_dict()
        missing = [key for key in ("input", "output") if not fields[key]]
        if missing:
            raise LoadError(f"config.pbtxt names no {' and no '.join(missing)}, which a TorchScript file doesn't say")
        return config

    def load(self, spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
        """Load the TorchScript module."""
        return torchscript_module.load(spec, args)
