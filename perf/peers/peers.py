"""The peers: how each one is started and asked, and what of its documentation is followed; each has a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["PEERS", "TRITONFORGE", "Peer"]

BOTH = ("breast_cancer", "digits")
V2 = "/v2/models/classifier/infer"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server. `command` runs in its environment and folder; in it and in `environment`, `{port}`, `{ports[1]}` …,
    `{workers}` and `{scratch}` are filled in.

    `body` is what it wants as JSON: `features` (one row), `rows` (a list of one), or the Open Inference Protocol's:
    `v2` with the row as FP32 `features`, `typed` with the model's own input. `label` and `probability` are where the
    answer has them, by JSON pointer.
    """

    key: str
    name: str
    command: tuple[str, ...]
    settings: str
    path: str = "/predict"
    health: str = "/health"
    body: Literal["features", "rows", "v2", "typed"] = "features"
    label: str = "/label"
    probability: str = "/probability"
    tasks: tuple[str, ...] = BOTH
    environment: Mapping[str, str] = field(default_factory=dict)


UVICORN = ("uvicorn", "app:app", "--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}", "--no-access-log")
ANSWER = ("/outputs/0/data", "/outputs/1/data")

TRITONFORGE = Peer(
    "tritonforge_up",
    "tritonforge",
    ("python", "serve.py"),
    "`tritonforge build`, then `up`: the pipeline fused into one Python model, max_batch_size 64, no delay, "
    "no latency quantiles at the metrics port",
    "/v2/models/fused/infer",
    "/v2/health/ready",
    "typed",
    *ANSWER,
)
_ALL = (
    Peer(
        "fastapi_onnxruntime",
        "FastAPI (onnxruntime)",
        UVICORN,
        "the plain endpoint; uvicorn with uvloop and httptools, no access log",
    ),
    Peer(
        "fastapi_sklearn",
        "FastAPI (scikit-learn)",
        UVICORN,
        "the plain endpoint on the estimator itself, as it comes out of training",
        tasks=("breast_cancer",),
    ),
    Peer(
        "bentoml",
        "BentoML",
        ("bentoml", "serve", "service:Classifier", "--host", "127.0.0.1", "--port", "{port}"),
        "adaptive batching up to 64, its default latency goal",
        health="/readyz",
        body="rows",
        label="/0/label",
        probability="/0/probability",
        environment={"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": "{scratch}"},
    ),
    Peer(
        "litserve",
        "LitServe",
        ("python", "serve.py"),
        "batches up to 64 within 1 ms, ZeroMQ queues, one API server for each worker",
    ),
    Peer(
        "mlserver",
        "MLServer",
        ("mlserver", "start", "."),
        "a custom runtime, adaptive batching up to 64 within 1 ms, parallel workers, debug off",
        V2,
        "/v2/models/classifier/ready",
        "v2",
        *ANSWER,
        environment={
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{ports[1]}",
            "MLSERVER_METRICS_PORT": "{ports[2]}",
            "MLSERVER_PARALLEL_WORKERS": "{workers}",
            "MLSERVER_DEBUG": "false",
            "MLSERVER_METRICS_DIR": "{scratch}",
        },
    ),
    Peer(
        "torchserve",
        "TorchServe",
        ("python", "serve.py"),
        "a batch handler on onnxruntime, batchSize 64, maxBatchDelay 1 ms (its least), logs of warnings only",
        "/predictions/classifier",
        "/ping",
    ),
    Peer(
        "ray_serve",
        "Ray Serve",
        ("python", "serve.py"),
        "@serve.batch up to 64 with no wait, a replica for each worker, RAY_SERVE_THROUGHPUT_OPTIMIZED",
        health="/-/healthz",
        environment={
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_AUTH_MODE": "disabled",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    ),
    Peer(
        "pytriton",
        "PyTriton",
        ("python", "serve.py"),
        "a bound function for each worker, @batch, max_batch_size 64, no delay",
        V2,
        "/v2/models/classifier/ready",
        "v2",
        *ANSWER,
    ),
)
PEERS: Mapping[str, Peer] = {peer.key: peer for peer in _ALL}
