"""scikit-learn estimators, converted and run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from tritonforge import String, sklearn
from tritonforge.errors import DiagnosticError
from tritonforge.ir import Signature, TensorSpec

pytest.importorskip("skl2onnx")
linear_model = pytest.importorskip("sklearn.linear_model")
preprocessing = pytest.importorskip("sklearn.preprocessing")
compose = pytest.importorskip("sklearn.compose")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline

RANDOM = np.random.default_rng(20)
X: NDArray[np.float32] = RANDOM.normal(size=(60, 4)).astype(np.float32)
Y: NDArray[np.int64] = (X[:, 0] + X[:, 1] > 0).astype(np.int64) + (X[:, 2] > 0.5)
FEATURES = (TensorSpec("features", "FP32", (4,)),)


@pytest.fixture(scope="module")
def classifier() -> Any:
    return make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(X, Y)


def test_a_classifier_gives_label_and_probability(classifier: Any) -> None:
    definition = sklearn(classifier, name="classifier")
    assert definition.signature == Signature(
        FEATURES, (TensorSpec("label", "INT64", ()), TensorSpec("probability", "FP32", (3,))), batched=True
    )
    label, probability = definition(X)
    np.testing.assert_array_equal(label, classifier.predict(X))
    np.testing.assert_allclose(probability, classifier.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_a_regressor_gives_one_output() -> None:
    regressor = linear_model.LinearRegression().fit(X, X @ np.ones(4))
    definition = sklearn(regressor, name="regressor")
    assert [spec.name for spec in definition.signature.outputs] == ["output"]
    np.testing.assert_allclose(definition(X).reshape(-1), regressor.predict(X), rtol=1e-4, atol=1e-5)


def estimators_without_probabilities() -> list[tuple[Any, str, str]]:
    svm, cluster = pytest.importorskip("sklearn.svm"), pytest.importorskip("sklearn.cluster")
    ensemble = pytest.importorskip("sklearn.ensemble")
    scaler, means = preprocessing.StandardScaler(), cluster.KMeans(3, n_init=1, random_state=0)
    return [
        (svm.SVC(), "score", "decision_function"),
        (svm.LinearSVC(), "score", "decision_function"),
        (ensemble.IsolationForest(n_estimators=5, random_state=0), "score", "decision_function"),
        (means, "distance", "transform"),
        (make_pipeline(scaler, means), "distance", "transform"),
    ]


@pytest.mark.parametrize(
    ("estimator", "name", "method"),
    estimators_without_probabilities(),
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else value,
)
def test_only_probabilities_are_called_so(estimator: Any, name: str, method: str) -> None:
    """Decision functions are scores, and what clusterers transform to are distances."""
    definition = sklearn(estimator.fit(X, Y), name="m")
    assert [spec.name for spec in definition.signature.outputs] == ["label", name]
    expected = getattr(estimator, method)(X)
    np.testing.assert_allclose(definition(X)[1], expected.reshape(len(X), -1), rtol=1e-3, atol=1e-4)


def test_an_estimator_whose_graph_gives_lists_is_for_a_model_class() -> None:
    """The export is its own: no option of skl2onnx is named that nobody can set here."""
    multioutput = pytest.importorskip("sklearn.multioutput")
    several = multioutput.MultiOutputClassifier(linear_model.LogisticRegression()).fit(X, np.c_[Y, Y > 0])
    assert hint_of(several) == (
        'the graph that skl2onnx makes of MultiOutputClassifier gives "probabilities" as a list, not as a tensor; '
        "call the estimator in a @model class"
    )


def test_a_transformer_too() -> None:
    scaler = preprocessing.StandardScaler().fit(X)
    np.testing.assert_allclose(sklearn(scaler, name="scaler")(X), scaler.transform(X), rtol=1e-5, atol=1e-6)


def test_outputs_get_other_names(classifier: Any) -> None:
    definition = sklearn(classifier, outputs=("kind", "chance"), name="classifier")
    assert definition(X)._fields == ("kind", "chance")
    with pytest.raises(DiagnosticError, match="outputs= gives 1 name, but it has 2"):
        _ = sklearn(classifier, outputs=("kind",), name="classifier").signature


def test_inputs_may_be_declared(classifier: Any) -> None:
    definition = sklearn(classifier, inputs={"rows": Float64[np.ndarray, "batch 4"]}, name="classifier")
    assert definition.signature.inputs == (TensorSpec("rows", "FP64", (4,)),)
    np.testing.assert_array_equal(definition(X.astype(np.float64)).label, classifier.predict(X))


def test_a_function_may_give_the_estimator(classifier: Any) -> None:
    made = []

    def load() -> Any:
        made.append(1)
        return classifier

    definition = sklearn(load, name="classifier")
    assert made == []
    assert definition(X[:1]).label.shape == (1,)
    assert definition.signature.batched
    assert made == [1]


def test_the_same_estimator_gives_the_same_bytes(classifier: Any) -> None:
    one, other = (sklearn(classifier, name="classifier").files[0].content for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("estimator", "inputs", "message"),
    [
        (linear_model.LogisticRegression(), None, "LogisticRegression is not fitted, or doesn't say how many features"),
        (
            linear_model.LogisticRegression(),
            {"x": Float32[np.ndarray, "batch 4"]},
            "skl2onnx can't convert LogisticRegression: ",
        ),
        (object(), {"x": Float32[np.ndarray, "batch 4"]}, "it is of type object, which is no estimator"),
    ],
)
def test_what_cannot_be_converted_is_told(estimator: Any, inputs: Any, message: str) -> None:
    with pytest.raises(DiagnosticError) as raised:
        _ = sklearn(estimator, inputs=inputs, name="classifier").signature
    (found,) = raised.value.diagnostics
    assert found.code == "TF304"
    assert found.message.startswith(message)
    assert found.where.subject == "classifier"


def hint_of(estimator: Any) -> str:
    with pytest.raises(DiagnosticError) as raised:
        _ = sklearn(estimator, name="classifier").signature
    (found,) = raised.value.diagnostics
    return f"{found.message}; {found.hint}"


def test_an_estimator_of_texts_is_told_what_to_declare() -> None:
    """It is fitted, and has no number of features."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    texts, kinds = ["a good film", "a bad film"], [1, 0]
    line = 'declare inputs={"text": String[np.ndarray, "batch"]}'
    vectorizer = text.TfidfVectorizer(lowercase=False)  # lower-casing takes a locale that not every machine has
    classifier = make_pipeline(make_pipeline(vectorizer), linear_model.LogisticRegression()).fit(texts, kinds)
    assert hint_of(classifier) == f"Pipeline is fitted, but takes text, by its TfidfVectorizer; {line}"
    counts = text.CountVectorizer().fit(texts)
    assert hint_of(counts) == f"CountVectorizer is fitted, but takes text; {line}"
    unfitted = make_pipeline(text.TfidfVectorizer(), linear_model.LogisticRegression())
    assert hint_of(unfitted).startswith("Pipeline is not fitted, or doesn't say how many features it takes; fit it")
    definition = sklearn(classifier, inputs={"text": String[np.ndarray, "batch"]}, name="classifier")
    np.testing.assert_array_equal(definition(np.array(texts, object)).label, kinds)


def test_one_that_is_fitted_and_does_not_say_its_features_is_told_so() -> None:
    extraction = pytest.importorskip("sklearn.feature_extraction")
    assert hint_of(extraction.DictVectorizer().fit([{"a": 1}])) == (
        "DictVectorizer is fitted, but doesn't say how many features it takes; "
        'declare them, where it takes 4: inputs={"features": Float32[np.ndarray, "batch 4"]}'
    )
