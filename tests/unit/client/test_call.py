"""Arguments and results in the shapes of a definition."""

from __future__ import annotations

import numpy as np
import pytest

from tritonforge.client.call import from_wire, to_wire
from tritonforge.errors import InvalidTensor
from tritonforge.ir import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(
        TensorSpec("amount", "FP32", ()),
        TensorSpec("features", "FP32", (3,)),
        TensorSpec("title", "BYTES", (), optional=True, text=True),
    ),
    outputs=(TensorSpec("label", "INT64", ()), TensorSpec("word", "BYTES", (1,), text=True)),
    batched=True,
)
AMOUNT, FEATURES = np.array([1, 2], np.float32), np.zeros((2, 3), np.float32)


def test_arguments_bind_in_order_and_by_name_and_get_their_wire_shape():
    sent = to_wire(SIGNATURE, (AMOUNT,), {"features": FEATURES, "title": None})
    assert {name: array.shape for name, array in sent.items()} == {"amount": (2, 1), "features": (2, 3)}
    assert np.shares_memory(sent["amount"], AMOUNT)


def test_a_scalar_of_a_model_without_a_batch_has_one_dimension_on_the_wire():
    signature = Signature((TensorSpec("x", "FP32", ()),), (TensorSpec("y", "FP32", ()),), batched=False)
    assert to_wire(signature, (np.array(5, np.float32),), {})["x"].tolist() == [5]
    assert from_wire(signature, {"y": np.array([5], np.float32)})["y"].shape == ()


def test_what_a_setting_reshapes_is_sent_and_read_as_clients_see_it():
    """Variable sizes keep their order, as Triton has it."""
    signature = Signature(
        inputs=(
            TensorSpec("x", "FP32", (6,), reshaped=(2, 3)),
            TensorSpec("n", "FP32", ("n", "m"), reshaped=(-1, 1, -1)),
            TensorSpec("loose", "FP32", ("k",), optional=True, reshaped=(2, 2)),
        ),
        outputs=(
            TensorSpec("y", "FP32", (3, "n"), reshaped=(-1, 3, 1)),
            TensorSpec("one", "INT64", (), reshaped=(1, 1)),
        ),
        batched=True,
    )
    x, n = np.arange(12, dtype=np.float32).reshape(2, 6), np.zeros((2, 4, 5), np.float32)
    sent = to_wire(signature, (x, n), {})
    assert {name: array.shape for name, array in sent.items()} == {"x": (2, 2, 3), "n": (2, 4, 1, 5)}
    assert sent["x"].ravel().tolist() == x.ravel().tolist()
    answer = {"y": np.zeros((2, 4, 3, 1), np.float32), "one": np.array([[[1]], [[2]]])}
    outputs = from_wire(signature, answer)
    assert {name: array.shape for name, array in outputs.items()} == {"y": (2, 3, 4), "one": (2,)}
    with pytest.raises(InvalidTensor, match=r'input "x": FP32\[2, 2, 3\] given, FP32\[batch, 6\] wanted'):
        to_wire(signature, (x.reshape(2, 2, 3), n), {})
    with pytest.raises(InvalidTensor, match=r'input "loose": \[2, 5\] given, which clients send as \[batch, 2, 2\]'):
        to_wire(signature, (x, n, np.zeros((2, 5), np.float32)), {})
    with pytest.raises(InvalidTensor, match=r'"y" came as FP32\[2, 3\]; the definition says FP32\[batch, 3, n\]'):
        from_wire(signature, answer | {"y": np.zeros((2, 3), np.float32)})


@pytest.mark.parametrize(
    ("args", "named", "message"),
    [
        ((AMOUNT,), {}, 'input "features" is missing'),
        ((AMOUNT, FEATURES, None, FEATURES), {}, "4 positional inputs given, 3 wanted"),
        ((AMOUNT, FEATURES), {"amount": AMOUNT}, 'input "amount" is given twice'),
        ((AMOUNT, FEATURES), {"colour": AMOUNT}, 'there is no input "colour"'),
        ((AMOUNT[:, None], FEATURES), {}, r"FP32\[2, 1\] given, FP32\[batch\] wanted"),
        ((AMOUNT[:1], FEATURES), {}, "dimension 0, batch, is 2"),
    ],
)
def test_arguments_that_do_not_match_the_definition_are_refused(args, named, message):
    with pytest.raises(InvalidTensor, match=message):
        to_wire(SIGNATURE, args, named)


def test_outputs_lose_their_wire_shape_and_become_text():
    outputs = from_wire(
        SIGNATURE, {"word": np.array([["ü".encode()], [b""]], object), "label": np.array([[1], [2]]), "more": AMOUNT}
    )
    assert list(outputs) == ["label", "word"]
    assert outputs["label"].tolist() == [1, 2]
    assert outputs["word"].tolist() == [["ü"], [""]]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, 'output "label" of the definition is not in the answer, which has: none'),
        ({"label": np.array([[1, 2]])}, r'"label" came as INT64\[1, 2\]; the definition says INT64\[batch\]'),
        ({"label": np.array([[1.0]])}, r'"label" came as FP64\[1\]; the definition says INT64\[batch\]'),
        ({"label": np.array([[1]]), "word": np.array([[b"\xff"]], object)}, 'output "word" is text .* not UTF-8'),
        ({"label": np.array([[1]]), "word": np.array([[b"a", b"b"]], object)}, "came as BYTES"),
    ],
)
def test_outputs_that_do_not_match_the_definition_are_refused(outputs, message):
    with pytest.raises(InvalidTensor, match=message):
        from_wire(SIGNATURE, outputs)
