"""Functions bound to an embedded Triton: https://triton-inference-server.github.io/pytriton/latest/binding_models."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

import numpy as np
from peer_model import BATCH, SIZE, WORKERS, load_model
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def instance() -> Any:
    model = load_model()

    @batch
    def infer(features: Any) -> list[Any]:
        label, probability = model(features)
        return [label[:, np.newaxis], probability]

    return infer


if __name__ == "__main__":
    # Its stub must find this interpreter's own libpython, not another of the same minor version (0.7.0).
    library_path = (sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH"))
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, library_path))
    ports = [int(port) for port in os.environ["PEER_PORTS"].split(",")]
    config = TritonConfig(
        http_address="127.0.0.1", http_port=ports[0], grpc_port=ports[1], metrics_port=ports[2], log_verbose=0
    )
    classes = 10 if SIZE == 64 else 2
    with Triton(config=config, workspace=f"{os.environ['PEER_SCRATCH']}/workspace") as triton:
        triton.bind(
            model_name="classifier",
            infer_func=[instance() for _ in range(WORKERS)],
            inputs=[Tensor(name="features", dtype=np.float32, shape=(SIZE,))],
            outputs=[
                Tensor(name="label", dtype=np.int64, shape=(1,)),
                Tensor(name="probability", dtype=np.float32, shape=(classes,)),
            ],
            config=ModelConfig(max_batch_size=BATCH, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()
