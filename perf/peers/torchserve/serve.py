"""Pack the handler, write the configuration, and become TorchServe: https://pytorch.org/serve/configuration.html."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from peer_model import BATCH, WORKERS

HERE, SCRATCH, PROGRAMS = Path(__file__).parent, Path(os.environ["PEER_SCRATCH"]), Path(sys.executable).parent
MODEL = {
    "1.0": {
        "defaultVersion": True,
        "marName": "classifier.mar",
        "minWorkers": WORKERS,
        "maxWorkers": WORKERS,
        "batchSize": BATCH,
        "maxBatchDelay": 1,
        "responseTimeout": 60,
    }
}

if __name__ == "__main__":
    ports = os.environ["PEER_PORTS"].split(",")
    pack = ["--model-name", "classifier", "--version", "1.0", "--handler", HERE / "handler.py"]
    archiver = PROGRAMS / "torch-model-archiver"
    subprocess.run([archiver, "--force", *pack, "--export-path", SCRATCH], check=True)
    names = ("inference_address", "management_address", "metrics_address")
    lines = [f"{name}=http://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)]
    lines += ["disable_token_authorization=true", "async_logging=true", "enable_envvars_config=false"]
    lines += [f"vmargs=-Dlog4j.configurationFile={HERE / 'log4j2.xml'}", f"model_store={SCRATCH}"]
    lines += [
        "load_models=classifier.mar",
        "models=" + json.dumps({"classifier": MODEL}),
        "disable_system_metrics=true",
    ]
    (SCRATCH / "config.properties").write_text("\n".join(lines))
    os.environ["LOG_LOCATION"] = os.environ["METRICS_LOCATION"] = str(SCRATCH)
    program = str(PROGRAMS / "torchserve")
    os.execv(program, [program, "--start", "--foreground", "--ts-config", str(SCRATCH / "config.properties")])
