"""Build the example's pipeline as one Python model, and become `tritonforge up`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE, SCRATCH = Path(__file__).parent, Path(os.environ["PEER_SCRATCH"])
PROGRAM = str(Path(sys.executable).parent / "tritonforge")
EXAMPLE = HERE.parents[2] / "examples" / os.environ["PEER_MODEL"]

if __name__ == "__main__":
    source, repository = SCRATCH / "source", SCRATCH / "model_repository"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("train.py", "__pycache__"))
    shutil.copy(HERE / "definitions.py", source)
    subprocess.run([PROGRAM, "build", source / "definitions.py", "-o", repository], cwd=source, check=True)
    http, grpc, metrics = os.environ["PEER_PORTS"].split(",")
    flags = ["--http-port", http, "--grpc-port", grpc, "--metrics-port", metrics, "--set", "latency_quantiles=false"]
    os.execv(PROGRAM, [PROGRAM, "up", str(repository), *flags])
