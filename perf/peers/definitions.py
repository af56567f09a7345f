"""The example's two steps in one Python model: what the peers' endpoints do too."""

from __future__ import annotations

from breast_cancer import breast_cancer

from tritonforge import Instances, pipeline

fused = pipeline(lowering="fused", instances=Instances(cpu=2))(breast_cancer)
