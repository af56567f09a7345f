"""Train the classifier that breast_cancer.py serves: writes stats.npz, classifier.onnx and holdout.npz beside it.

The data are scikit-learn's copy of the Wisconsin diagnostic set: 569 real patients, a quarter of them held out. The
scaler is not written twice: `normalize` is imported from the definition that Triton serves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from skl2onnx.sklapi import CastTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

HERE = Path(__file__).resolve().parent
SEED = 20
OPSET = {"": 17, "ai.onnx.ml": 3}


def main() -> None:
    """Fit on three quarters of the rows, keep the rest, and print the accuracy on both."""
    data = load_breast_cancer()
    features, held_features, label, held_label = train_test_split(
        data.data.astype(np.float32),
        data.target.astype(np.int64),
        test_size=0.25,
        random_state=SEED,
        stratify=data.target,
    )
    np.savez(HERE / "stats.npz", mean=features.mean(axis=0), std=features.std(axis=0))
    np.savez(HERE / "holdout.npz", features=held_features, label=held_label)

    from breast_cancer import normalize  # reads stats.npz, which was written just now

    # In float64 the sum over the trees rounds to the same float32 in every order, so the answer doesn't depend on how
    # many rows share a batch or how many threads onnxruntime takes. In float32 it does, from the sixth digit on.
    estimator = make_pipeline(CastTransformer(dtype=np.float64), GradientBoostingClassifier(random_state=SEED))
    estimator.fit(normalize(features), label)
    (HERE / "classifier.onnx").write_bytes(to_onnx(estimator, width=features.shape[1]))
    for name, rows, known in (("training", features, label), ("held-out", held_features, held_label)):
        print(f"{name} accuracy: {accuracy(estimator.predict(normalize(rows)), known):.4f} on {len(rows)} rows")


def to_onnx(estimator: Pipeline, *, width: int) -> bytes:
    """Convert to an ONNX graph from `features` to `label` and `probability`, each with a batch dimension."""
    graph = convert_sklearn(
        estimator,
        name="breast_cancer_classifier",
        initial_types=[("features", FloatTensorType([None, width]))],
        final_types=[("label", Int64TensorType([None])), ("probability", FloatTensorType([None, 2]))],
        options={"zipmap": False},
        target_opset=OPSET,
    )
    graph.opset_import.sort(key=lambda opset: opset.domain)  # skl2onnx 1.20 leaves them in the order of a set
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def accuracy(predicted: NDArray[np.int64], known: NDArray[np.int64]) -> float:
    """Give the fraction of labels that are right."""
    return float(np.mean(predicted == known))


if __name__ == "__main__":
    main()
