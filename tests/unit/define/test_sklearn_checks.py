"""Converted estimators, held against what they are made of before they are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from tritonforge import String, sklearn
from tritonforge.build import build
from tritonforge.define.sklearn_thresholds import has_scaled_trees, thresholds
from tritonforge.define.weights import OnnxModel
from tritonforge.errors import Diagnostic, DiagnosticError

pytest.importorskip("skl2onnx")
linear_model = pytest.importorskip("sklearn.linear_model")
make_pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline
preprocessing = pytest.importorskip("sklearn.preprocessing")
text = pytest.importorskip("sklearn.feature_extraction.text")

GERMAN = ["schön gut", "süß gut", "größe übel", "übel schlecht", "schön süß", "übel übel"]
GERMAN_KINDS = ["pos", "pos", "neg", "neg", "pos", "neg"]
ENGLISH = ["good film", "don't stop", "bad film", "stop it", "so good don't", "bad bad it"]
ENGLISH_KINDS = [1, 1, 0, 0, 1, 0]


def texts(vectorizer: Any, corpus: list[str], kinds: list[Any], **options: Any) -> tuple[Any, OnnxModel]:
    estimator = make_pipeline(vectorizer, linear_model.LogisticRegression(C=10)).fit(corpus, kinds)
    return estimator, sklearn(estimator, inputs={"text": String[np.ndarray, "batch"]}, name="classifier", **options)


def fault(definition: OnnxModel) -> Diagnostic:
    with pytest.raises(DiagnosticError) as raised:
        _ = definition.signature
    (found,) = raised.value.diagnostics
    assert found.severity == "error"
    return found


@pytest.mark.parametrize(
    "settings",
    [
        {},  # lower-casing would take the locale en_US.UTF-8, which images don't have
        {"lowercase": False},
        {"lowercase": False, "token_pattern": r"(?u)\b\w+\b"},
        {"token_pattern": r"\b\w{3,}\b"},
        {"ngram_range": (1, 2)},
    ],
)
def test_words_are_those_of_scikit_learn(settings: dict[str, Any]) -> None:
    estimator, definition = texts(text.TfidfVectorizer(**settings), GERMAN, GERMAN_KINDS)
    rows = np.array(["schön", "Übel", "süß a  SCHÖN", "größe, ü übel's gut!", "nichts", ""], object)
    label, probability = definition(rows)
    np.testing.assert_array_equal(label, estimator.predict(rows))
    np.testing.assert_allclose(probability, estimator.predict_proba(rows), atol=1e-5)
    assert definition.remarks == ()


def test_single_letters_part_no_words_of_n_grams() -> None:
    estimator, definition = texts(text.TfidfVectorizer(ngram_range=(1, 2)), ENGLISH, ENGLISH_KINDS)
    rows = np.array(["don't stop", "good a film"], object)
    np.testing.assert_allclose(definition(rows).probability, estimator.predict_proba(rows), atol=1e-5)


def test_what_the_graph_splits_otherwise_is_refused() -> None:
    vectorizer = text.TfidfVectorizer(token_pattern=r"(?u)\b\w[\w-]*\b")
    found = fault(texts(vectorizer, GERMAN, GERMAN_KINDS)[1])
    assert found.code == "TF308"
    assert "Pipeline gives" in found.message
    assert "@model class" in found.hint


def test_words_that_come_twice_count_otherwise_in_a_graph_of_logarithms() -> None:
    found = fault(texts(text.TfidfVectorizer(sublinear_tf=True), ENGLISH, ENGLISH_KINDS)[1])
    assert found.code == "TF308"
    assert found.hint.startswith("skl2onnx takes log(1 + tf) for sublinear_tf, not 1 + log(tf)")


def test_the_examples_of_the_definition_come_first() -> None:
    vectorizer = text.TfidfVectorizer(token_pattern=r"(?u)\b\w[\w-]*\b")
    estimator, definition = texts(vectorizer, GERMAN, GERMAN_KINDS, examples={"text": ["gut", "süß schön"]})
    (kind,) = estimator.predict(["süß schön"])
    message = fault(definition).message
    assert 'for "süß schön"' in message
    assert f'"{kind}"' in message or "probability" in message


def test_a_difference_on_odd_texts_only_is_a_warning() -> None:
    _, definition = texts(text.CountVectorizer(analyzer="char", ngram_range=(1, 2)), ENGLISH, ENGLISH_KINDS)
    assert definition.signature.batched
    (found,) = definition.remarks
    assert (found.code, found.severity) == ("TF308", "warning")
    assert found.message.startswith(
        "the graph that skl2onnx makes of it answers otherwise on texts with two spaces: for "
    )


def test_a_build_shows_such_a_warning(tmp_path: Path) -> None:
    (tmp_path / "serving.py").write_text(
        "import numpy as np\n"
        "from sklearn.feature_extraction.text import CountVectorizer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from tritonforge import String, sklearn\n"
        "def load():\n"
        "    letters = CountVectorizer(analyzer='char', ngram_range=(1, 2))\n"
        f"    return make_pipeline(letters, LogisticRegression(C=10)).fit({ENGLISH}, {ENGLISH_KINDS})\n"
        'classifier = sklearn(load, inputs={"text": String[np.ndarray, "batch"]})\n'
    )
    report = build([tmp_path / "serving.py"], tmp_path / "repository")
    assert [one.code for one in report.warnings] == ["TF308"]
    assert report.warnings[0].where.line == 9


def test_a_graph_that_cannot_be_loaded_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    """onnxruntime's own log stays silent."""
    vectorizer = text.CountVectorizer(token_pattern=r"[a-z]+(?![a-z])")
    found = fault(texts(vectorizer, ENGLISH, ENGLISH_KINDS)[1])
    assert found.code == "TF304"
    assert found.message.endswith("Can not digest tokenexp: invalid perl operator: (?!")
    assert found.hint.startswith("RE2 splits texts there: ")
    assert "inference_session" not in capfd.readouterr().err


def test_a_declared_number_of_features_is_held_against_the_estimator() -> None:
    estimator = linear_model.LogisticRegression().fit(np.eye(3), [0, 1, 2])
    found = fault(sklearn(estimator, inputs={"x": Float32[np.ndarray, "batch 4"]}, name="classifier"))
    assert found.code == "TF303"
    assert found.message == "4 features are declared; LogisticRegression takes 3 (n_features_in_)"
    assert found.hint == 'declare Float32[np.ndarray, "batch 3"], or leave inputs= out'


def test_what_float32_loses_of_an_example_is_told() -> None:
    """Of the seconds since 1970 it keeps one in a hundred; Float64 keeps all."""
    seconds: NDArray[np.float64] = 1.7e9 + 100 * np.random.default_rng(0).normal(size=(200, 1))
    estimator = make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(C=100))
    estimator.fit(seconds, (seconds[:, 0] > 1.7e9).astype(int))
    rows = seconds[:20].astype(np.float32)
    found = fault(sklearn(estimator, name="classifier", examples={"features": rows}))
    assert found.code == "TF308"
    assert found.hint.startswith("declare Float64 inputs")
    wide = sklearn(
        estimator,
        name="classifier",
        inputs={"features": Float64[np.ndarray, "batch 1"]},
        examples={"features": seconds[:20]},
    )
    assert wide.signature.batched
    assert wide.remarks == ()


def test_classifiers_without_probabilities_give_tensors() -> None:
    """Their graphs have a value named "label" inside."""
    svm = pytest.importorskip("sklearn.svm")
    rows = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    kinds = (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 0)
    for estimator in (svm.SVC(), svm.LinearSVC(), linear_model.SGDClassifier(random_state=0)):
        definition = sklearn(estimator.fit(rows, kinds), name="classifier")
        np.testing.assert_array_equal(definition(rows).label, estimator.predict(rows))


def test_scores_are_held_against_the_decision_function() -> None:
    """Inside OneVsRestClassifier skl2onnx scales them."""
    svm, multiclass = pytest.importorskip("sklearn.svm"), pytest.importorskip("sklearn.multiclass")
    rows = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    kinds = (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 0)
    estimator = multiclass.OneVsRestClassifier(svm.LinearSVC()).fit(rows, kinds)
    found = fault(sklearn(estimator, name="classifier"))
    assert found.code == "TF308"
    assert "score is [" in found.message
    assert "@model class" in found.hint


def test_a_vectorizer_may_be_served_alone() -> None:
    """Its graph has a value named "output" inside."""
    vectorizer = text.TfidfVectorizer().fit(GERMAN)
    definition = sklearn(vectorizer, inputs={"text": String[np.ndarray, "batch"]}, name="words")
    np.testing.assert_allclose(definition(np.array(GERMAN, object)), vectorizer.transform(GERMAN).toarray(), atol=1e-6)


def test_a_column_of_texts_beside_others() -> None:
    compose = pytest.importorskip("sklearn.compose")
    rows = np.array([[one, "b"] for one in GERMAN], object)
    words = compose.ColumnTransformer([("words", text.TfidfVectorizer(), 0)])
    estimator = make_pipeline(words, linear_model.LogisticRegression()).fit(rows, GERMAN_KINDS)
    definition = sklearn(estimator, inputs={"rows": String[np.ndarray, "batch 2"]}, name="classifier")
    np.testing.assert_array_equal(definition(rows).label, GERMAN_KINDS)


def encoded(kinds: NDArray[Any], columns: Any) -> Any:
    """Fit on a number and a category, which are told apart by columns of numbers."""
    compose = pytest.importorskip("sklearn.compose")
    rows = np.stack([np.random.default_rng(0).normal(size=60), np.resize(kinds, 60)], axis=1)
    parts = [("number", preprocessing.StandardScaler(), [0]), ("kind", preprocessing.OneHotEncoder(), columns)]
    return make_pipeline(compose.ColumnTransformer(parts), linear_model.LinearRegression()).fit(rows, rows.sum(axis=1))


@pytest.mark.parametrize("columns", [[1], slice(1, 2)], ids=str)
@pytest.mark.parametrize("examples", [None, {"features": np.array([[0.5, 1], [1.5, 7]], np.float32)}])
def test_a_column_of_numbered_categories_is_tried_with_those_that_it_knows(columns: Any, examples: Any) -> None:
    """Numbers between them are none, though a graph may take them for one."""
    estimator = encoded(np.array([1, 2, 7]), columns)
    definition = sklearn(estimator, name="regressor", **({"examples": examples} if examples else {}))
    rows = np.array([[0.25, 7], [1.25, 2]], np.float32)
    np.testing.assert_allclose(definition(rows).ravel(), estimator.predict(rows), rtol=1e-4)
    assert definition.remarks == ()


@pytest.mark.parametrize("kind", ["DecisionTreeClassifier", "RandomForestClassifier", "GradientBoostingRegressor"])
def test_trees_behind_a_scaler_are_tried_at_the_whole_numbers_that_they_divide_at(kind: str) -> None:
    """There float32 may take the other branch; without the scaler the graph compares as scikit-learn does."""
    module = pytest.importorskip("sklearn.tree" if kind.startswith("Decision") else "sklearn.ensemble")
    rows = np.arange(0, 200, 2.0)[:, None]
    trees = getattr(module, kind)(random_state=0).fit(rows, (rows[:, 0] // 2) % 2)
    scaled = make_pipeline(preprocessing.StandardScaler(), trees).fit(rows, (rows[:, 0] // 2) % 2)
    definition = sklearn(scaled, name="trees")
    assert definition.signature.batched
    (found,) = definition.remarks
    assert (found.code, found.severity) == ("TF308", "warning")
    assert "answers otherwise on whole numbers that its trees divide at: for " in found.message
    assert found.hint.startswith("trees need no scaler before them: fit them without")
    plain = sklearn(getattr(module, kind)(random_state=0).fit(rows, (rows[:, 0] // 2) % 2), name="trees")
    assert plain.signature.batched
    assert plain.remarks == ()


@pytest.mark.parametrize(
    "scaler",
    [
        preprocessing.StandardScaler(with_mean=False),
        preprocessing.MinMaxScaler((-1, 1)),
        preprocessing.RobustScaler(),
        preprocessing.MaxAbsScaler(),
    ],
    ids=lambda scaler: type(scaler).__name__,
)
def test_thresholds_are_those_of_the_numbers_before_any_scaler(scaler: Any) -> None:
    trees = pytest.importorskip("sklearn.tree").DecisionTreeClassifier(max_depth=1, random_state=0)
    rows = np.arange(0, 200, 2.0)[:, None]
    estimator = make_pipeline(scaler, trees).fit(rows, rows[:, 0] > 98)
    assert list(thresholds(estimator)) == [(0, 99.0)]


def test_trees_behind_anything_else_are_told_nothing_of_scalers() -> None:
    trees = pytest.importorskip("sklearn.tree").DecisionTreeClassifier()
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows = np.random.default_rng(0).normal(size=(40, 3))
    assert has_scaled_trees(make_pipeline(preprocessing.StandardScaler(), trees).fit(rows, rows[:, 0] > 0))
    assert not has_scaled_trees(make_pipeline(decomposition.PCA(), trees).fit(rows, rows[:, 0] > 0))


def of_columns(spelled: str) -> OnnxModel:
    """Make a model of a table of two columns, each an input of its own."""
    pandas, compose = pytest.importorskip("pandas"), pytest.importorskip("sklearn.compose")
    table = pandas.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)[::-1] ** 2})
    scaled = compose.ColumnTransformer([("numbers", preprocessing.StandardScaler(), ["a", "b"])])
    estimator = make_pipeline(scaled, linear_model.LogisticRegression()).fit(table, table.a > 9)
    column = Float32[np.ndarray, spelled]
    return sklearn(estimator, inputs={"a": column, "b": column}, name="classifier")


def test_columns_without_a_dimension_would_be_one_row() -> None:
    """The graph puts them beside each other as they are: all rows of a column as one."""
    found = fault(of_columns("batch"))
    assert (found.code, found.message) == (
        "TF308",
        'the graph that skl2onnx makes of it gives 1 rows of "label" for 24 rows',
    )
    assert 'inputs={"a": Float32[np.ndarray, "batch 1"], …}' in found.hint


def test_columns_of_a_table_are_inputs_of_one_value_a_row() -> None:
    a = np.array([[3], [15]], np.float32)
    assert of_columns("batch 1")(a, a).label.tolist() == [0, 1]


def test_a_graph_that_gives_another_size_than_it_says_is_refused() -> None:
    """As skl2onnx's of a RidgeClassifier of two classes: each call of it would fail."""
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    kinds = (rows[:, 0] > 0).astype(int)
    found = fault(sklearn(linear_model.RidgeClassifier().fit(rows, kinds), name="classifier"))
    assert found.code == "TF304"
    assert found.message.endswith('says that "score" is [2] a row, and gives [1]')
    assert found.hint == "call the estimator in a @model class"
