"""What Triton only finds once all models of an ensemble are loaded."""

from __future__ import annotations

from tritonforge.check.across.ensembles import check_ensembles

__all__ = ["check_ensembles"]
