"""One model as the rules see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tritonforge.check.folders import ModelFolder
from tritonforge.pbtxt.document import Document

__all__ = ["ENSEMBLE", "Model"]

ENSEMBLE = "ensemble"
"""The platform of ensembles."""


@dataclass(frozen=True)
class Model:
    """A model: its folder, its config.pbtxt as written, and its configuration as Triton completes it."""

    folder: ModelFolder
    document: Document
    config: Any
    target: str
    has_config: bool = True

    @property
    def name(self) -> str:
        """The name that clients and ensembles call it by."""
        return self.folder.name

    @property
    def is_ensemble(self) -> bool:
        """Whether it is an ensemble to Triton."""
        return bool(self.config.platform == ENSEMBLE or self.config.HasField("ensemble_scheduling"))

    @property
    def batched(self) -> bool:
        """Whether Triton puts a batch dimension before its tensors' own."""
        return bool(self.config.max_batch_size > 0)
