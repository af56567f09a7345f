from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from tritonforge import VersionPolicy, model, pipeline


@model(metric_tags={"my team": "a"})
def tagged(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@model(response_cache=True, decoupled=True, batching=None)
def streamed(features: Float32[np.ndarray, "20"]) -> Iterator[Float32[np.ndarray, "20"]]:
    yield features * 2


@model(version_policy=VersionPolicy(specific=(3,)))
def versioned(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@model(extra={"dynamic_batching": {"preferred_batch_size": [100]}})
def preferred(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return features * 2


@pipeline
def scoring(features: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return tagged(features)
