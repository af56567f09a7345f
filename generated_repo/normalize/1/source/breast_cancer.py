"""Tell benign from malignant tumours: a scaler shared with training, chained to a gradient-boosted classifier."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from tritonforge import Batching, Instances, asset, model, onnx, pipeline

STATS = dict(np.load(asset("stats.npz")))


@model(batching=Batching(max_batch_size=64), instances=Instances(cpu=2))
def normalize(features: Float32[np.ndarray, "batch 30"]) -> Float32[np.ndarray, "batch 30"]:
    """Scale each measurement by the training part's mean and standard deviation; train.py fits on what this gives."""
    return (features - STATS["mean"]) / STATS["std"]


classifier = onnx("classifier.onnx", batching=Batching(max_batch_size=64))


class Diagnosis(NamedTuple):
    """0 is malignant, 1 is benign; the probability of each, in that order."""

    label: Int64[np.ndarray, "batch"]
    probability: Float32[np.ndarray, "batch 2"]


@pipeline
def breast_cancer(features: Float32[np.ndarray, "batch 30"]) -> Diagnosis:
    """Diagnose from the 30 measurements of a cell nucleus image, in their own units."""
    label, probability = classifier(normalize(features))
    return Diagnosis(label, probability)
