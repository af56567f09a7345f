"""The examples' pipelines, each in one Python model: what the peers' endpoints do too."""

from __future__ import annotations

import os

from tritonforge import Instances, pipeline

INSTANCES = Instances(cpu=int(os.environ["PEER_WORKERS"]))

if os.environ["PEER_MODEL"] == "breast_cancer":
    from breast_cancer import breast_cancer as example
else:
    from digits import digits as example  # type: ignore[assignment]  # its answer is of another type

fused = pipeline(lowering="fused", instances=INSTANCES)(example)
