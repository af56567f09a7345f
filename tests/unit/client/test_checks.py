"""What is said of arrays that don't match a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tritonforge.client import Client, DefinedSequence, InvalidRequest, ModelSequence
from tritonforge.client.stub import Stub, only
from tritonforge.client.tensors.checks import explain, find_problems
from tritonforge.dtypes import DTYPES
from tritonforge.ir import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(
        TensorSpec("features", "FP32", (20,)),
        TensorSpec("tokens", "INT64", ("_",), optional=True),
        TensorSpec("title", "BYTES", (1,), optional=True),
    ),
    outputs=(TensorSpec("label", "INT64", ()), TensorSpec("p", "FP32", (2,))),
    batched=True,
)
GOOD = np.zeros((3, 20), np.float32)


def problem(inputs, outputs=(), *, signature=SIGNATURE, max_batch_size=0):
    found = find_problems(signature, inputs, outputs, max_batch_size=max_batch_size)
    assert len(found) == 1
    return found[0]


def one(datatype, dims=("_",)):
    return Signature((TensorSpec("x", datatype, dims),), (), batched=False)


def options_of(*calls: Callable[..., Any]) -> list[str]:
    """List what these take beside inputs."""
    parameters = [parameter for call in calls for parameter in inspect.signature(call).parameters.values()]
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sorted({parameter.name for parameter in parameters if parameter.kind in named} - {"self"})


@pytest.mark.parametrize("name", options_of(Client.infer, Client.call, ModelSequence.infer, DefinedSequence.infer))
def test_an_input_that_is_missing_may_have_been_taken_for_an_option(name):
    signature = Signature((TensorSpec(name, "FP32", (2,)),), (), batched=False)
    hint = f'; an input of the name "{name}" goes by position, or in inputs={{"{name}": …}} where a name is called'
    assert problem({}, signature=signature) == f'input "{name}" is missing: FP32[2] wanted{hint}'


def test_an_input_given_by_keyword_that_is_an_option_of_call_says_how_it_goes():
    signature = Signature((TensorSpec("timeout_s", "FP32", (2,)),), (), batched=False)
    with pytest.raises(InvalidRequest, match=r"\" is missing: .*; an input of the name .* goes by position, or"):
        Client("http://127.0.0.1:1").call(Stub("m", signature, only), timeout_s=np.ones(2, np.float32))


def test_what_matches_has_no_problems():
    title = np.array([["a"], ["b"], ["c"]])
    assert find_problems(SIGNATURE, {"features": GOOD}) == []
    assert find_problems(SIGNATURE, {"features": GOOD, "title": title}, ("p",), max_batch_size=3) == []
    assert find_problems(SIGNATURE, {"features": GOOD, "tokens": None}) == []


def test_a_request_of_a_batch_has_an_input():
    """Each may be left out, but not all: Triton takes the batch size from the first."""
    inputs = SIGNATURE.inputs[1:]
    wanted = "no input is given, so there is no batch size: give one of tokens, title"
    batched = Signature(inputs, (), batched=True)
    assert problem({}, signature=batched) == problem({"tokens": None}, signature=batched) == wanted
    assert find_problems(batched, {"title": np.array([["a"]])}) == []
    assert find_problems(Signature(inputs, (), batched=False), {}) == []
    assert find_problems(Signature(inputs, (), batched=True, sequence=True), {}) == []  # controls are inputs, too


def test_a_name_that_is_no_text_is_told():
    assert problem({"features": GOOD, 1: GOOD}) == (
        "the input 1 has an int for its name; it is a text, and there are: features, tokens, title"
    )


@pytest.mark.parametrize("datatype", DTYPES)
def test_each_datatype_takes_its_own_numpy_type_only(datatype):
    for other, dtype in DTYPES.items():
        found = find_problems(one(datatype), {"x": np.zeros(2, dtype.numpy)})
        assert bool(found) == (other != datatype)


def test_the_other_byte_order_is_the_same_type():
    assert find_problems(one("FP32"), {"x": np.zeros(2, ">f4")}) == []


@pytest.mark.parametrize("strings", [np.array(["a"]), np.array([b"a"]), np.array(["a"], object)])
def test_strings_of_every_kind_are_bytes(strings):
    assert find_problems(one("BYTES"), {"x": strings}) == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, 'input "features" is missing: FP32[batch, 20] wanted'),
        ({"features": None}, 'input "features" is missing: FP32[batch, 20] wanted'),
        (
            {"features": GOOD, "feature": GOOD},
            'there is no input "feature"; did you mean features? there are: features, tokens, title',
        ),
        (
            {"features": GOOD.astype(float)},
            'input "features": FP64[3, 20] given, FP32[batch, 20] wanted; to cast it: features.astype(np.float32)',
        ),
        (
            {"features": GOOD[0]},
            'input "features": FP32[20] given, FP32[batch, 20] wanted: 1 dimensions, not 2; '
            "if it is one row: features[np.newaxis]",
        ),
        (
            {"features": GOOD[:, :19]},
            'input "features": FP32[3, 19] given, FP32[batch, 20] wanted: dimension 1 is 19, not 20',
        ),
        (
            {"features": GOOD.tolist()},
            'input "features": a list given, an array of FP32[batch, 20] wanted; '
            "make one: features = np.asarray(features, dtype=np.float32)",
        ),
        (
            {"features": np.float32(1)},
            'input "features": a numpy.float32 given, an array of FP32[batch, 20] wanted',
        ),
        (
            {"features": GOOD, "title": "a"},
            'input "title": a str given, an array of BYTES[batch, 1] wanted; '
            "make one: title = np.full((1, 1), title, object)",
        ),
        (
            {"features": GOOD, "tokens": np.zeros((2, 5), np.int64)},
            'input "tokens": INT64[2, 5] given: dimension 0, batch, is 2, but in input "features" 3',
        ),
        (
            {"features": GOOD.astype(complex)},
            'input "features": complex128[3, 20] given, FP32[batch, 20] wanted',
        ),
        (
            {"features": GOOD.astype(object)},
            'input "features": an object array of float[3, 20] given, FP32[batch, 20] wanted; '
            "to cast it: features.astype(np.float32)",
        ),
        (
            {"features": np.full((3, 20), None)},
            'input "features": BYTES[3, 20] given, FP32[batch, 20] wanted',
        ),
        (
            {"features": np.zeros((3, 20), "M8[s]")},
            'input "features": datetime64[s][3, 20] given, FP32[batch, 20] wanted',
        ),
        (
            {"features": "hello"},
            'input "features": a str given, an array of FP32[batch, 20] wanted',
        ),
        (
            {"features": {"a": 1}},
            'input "features": a dict given, an array of FP32[batch, 20] wanted',
        ),
        (
            {"features": np.ma.masked_array(GOOD, GOOD == 0)},
            'input "features": a masked array given, which Triton has none of; say what its gaps are: '
            "features.filled(…)",
        ),
        (
            {"features": [np.ma.masked_array(GOOD[0], GOOD[0] == 0)]},
            'input "features": a list with a masked array in it given, which Triton has none of; say what its gaps '
            "are: np.ma.array(features, dtype=np.float32).filled(…)",
        ),
        (
            {"features": (row for row in GOOD)},
            'input "features": a generator given, an array of FP32[batch, 20] wanted; '
            "make one: features = np.asarray(list(features), dtype=np.float32)",
        ),
        (
            {"features": [[1.0, 2.0], [3.0]]},
            'input "features": a list given, an array of FP32[batch, 20] wanted: '
            "the rows differ in shape: row 0 has [2], row 1 [1]; an array has rows of equal length",
        ),
        (
            {"features": [["a"]]},
            'input "features": a list given, an array of FP32[batch, 20] wanted',
        ),
        (
            {"features": object()},
            'input "features": an object given, an array of FP32[batch, 20] wanted',
        ),
        ({"features": GOOD[:0]}, 'input "features": the batch has no rows, which Triton doesn\'t take'),
    ],
)
def test_a_problem_says_what_was_found_what_is_wanted_and_how_to_mend_it(inputs, message):
    assert problem(inputs) == message


def test_a_batch_over_the_limit_is_refused_with_the_limit():
    message = 'input "features": a batch of 3 rows; max_batch_size is 2: split it, as client.map does'
    assert problem({"features": GOOD}, max_batch_size=2) == message


def test_an_unknown_output_is_named():
    assert problem({"features": GOOD}, ("label", "q")) == 'there is no output "q"; there are: label, p'


def test_a_named_dimension_must_agree_between_inputs():
    inputs = (TensorSpec("ids", "INT64", ("seq",)), TensorSpec("mask", "INT64", ("seq",)))
    signature = Signature(inputs, (), batched=False)
    given = {"ids": np.zeros(4, np.int64), "mask": np.zeros(5, np.int64)}
    message = 'input "mask": INT64[5] given: dimension 0, seq, is 5, but in input "ids" 4'
    assert problem(given, signature=signature) == message


def test_the_hint_for_bf16_names_its_library():
    assert problem({"x": np.zeros(2)}, signature=one("BF16")).endswith("x.astype(ml_dtypes.bfloat16)")
    assert find_problems(one("BF16"), {"x": np.zeros(2, ml_dtypes.bfloat16)}) == []


@pytest.mark.parametrize("dtype", ["int16", "uint16"])
def test_integers_that_may_be_the_bits_of_bf16_have_a_mend_for_bits_and_one_for_numbers(dtype):
    values = np.array([1, -2.5], ml_dtypes.bfloat16)
    bits = values.view(dtype)
    told = problem({"x": bits}, signature=one("BF16")).partition("; to take its bits: ")[2]
    of_bits, _, of_numbers = told.partition(", to cast its numbers: ")
    names = {"x": bits, "ml_dtypes": ml_dtypes}
    assert eval(of_bits, names).tolist() == values.tolist()
    assert eval(of_numbers, names).tolist() == bits.astype(ml_dtypes.bfloat16).tolist()


@pytest.mark.parametrize(("given", "wanted"), [(">i2", "BF16"), ("int32", "BF16"), ("int8", "BF16"), ("int16", "FP16")])
def test_integers_that_are_no_bits_of_bf16_are_cast(given, wanted):
    told = problem({"x": np.zeros(2, given)}, signature=one(wanted))
    assert "bits" not in told
    assert "; to cast it: x.astype(" in told


def test_a_datatype_of_a_later_triton_is_left_to_the_server():
    assert find_problems(one("FP8"), {"x": np.zeros(2, np.uint8)}) == []


def test_all_problems_are_told_at_once_with_the_signature():
    found = find_problems(SIGNATURE, {"feature": GOOD})
    assert explain(found, SIGNATURE) == (
        "2 mistakes\n"
        '  input "features" is missing: FP32[batch, 20] wanted\n'
        '  there is no input "feature"; did you mean features? there are: features, tokens, title\n'
        f"  signature: {SIGNATURE}"
    )


@pytest.mark.parametrize(
    ("dims", "shape", "hint"),
    [
        ((1,), (3,), "1 dimensions, not 2; if it is one value a row: x[:, np.newaxis]"),
        ((4,), (4,), "1 dimensions, not 2; if it is one row: x[np.newaxis]"),
        ((1,), (), "0 dimensions, not 2; for one value: x.reshape(1, 1)"),
        ((), (3, 1), "2 dimensions, not 1; to take its last dimension off: x[..., 0]"),
        ((), (3, 2), "2 dimensions, not 1"),
    ],
)
def test_a_rank_that_is_one_off_comes_with_its_mend(dims, shape, hint):
    signature = Signature((TensorSpec("x", "FP32", dims),), (), batched=True)
    assert problem({"x": np.zeros(shape, np.float32)}, signature=signature).endswith(hint)


def test_what_is_said_of_a_scalar_makes_an_array_that_is_taken():
    signature = Signature((TensorSpec("seconds", "FP32", (1,)),), (), batched=False)
    problem = find_problems(signature, {"seconds": np.float32(3)})[0]
    mend = problem.partition("make one: seconds = ")[2]
    assert mend == "np.full((1,), seconds, np.float32)"
    assert not find_problems(signature, {"seconds": np.full((1,), 3, np.float32)})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([np.ma.masked_array(row, row == 0) for row in GOOD], "what its gaps are: "),
        ((row for row in GOOD), "make one: features = "),
    ],
    ids=["gaps", "generator"],
)
def test_what_is_said_of_lists_with_gaps_and_generators_makes_arrays_that_are_taken(value, told):
    mend = find_problems(SIGNATURE, {"features": value})[0].partition(told)[2]
    array = eval(mend.replace("…", "0"), {"np": np, "features": value})
    assert not find_problems(SIGNATURE, {"features": array})


def test_what_is_said_of_a_tensor_of_torch_takes_it_from_its_device_and_gradient():
    torch = pytest.importorskip("torch")
    for dtype, code in (
        (torch.float32, ".detach().cpu().numpy()"),
        (torch.bfloat16, ".detach().cpu().float().numpy()"),
    ):
        tensor = torch.ones((1, 20), dtype=dtype, requires_grad=True)
        assert find_problems(SIGNATURE, {"features": tensor})[0].endswith(f"make one: features = features{code}")
    sparse = torch.ones((1, 20)).to_sparse()
    mend = find_problems(SIGNATURE, {"features": sparse})[0].partition("make one: features = ")[2]
    assert not find_problems(SIGNATURE, {"features": eval(mend, {"features": sparse})})


def test_what_is_said_of_a_tensor_of_torch_is_taken_where_bf16_is_wanted():
    torch = pytest.importorskip("torch")
    for dtype in (torch.bfloat16, torch.float32):
        tensor = torch.arange(7, dtype=dtype)
        mend = problem({"x": tensor}, signature=one("BF16")).partition("make one: x = ")[2].splitlines()[0]
        array = eval(mend, {"x": tensor, "ml_dtypes": ml_dtypes})
        assert find_problems(one("BF16"), {"x": array}) == []
        assert array.astype(int).tolist() == [*range(7)]


def test_an_option_that_is_nearly_named_is_offered():
    found = find_problems(SIGNATURE, {"features": GOOD, "timeout": 3})
    assert found[0].startswith('there is no input "timeout"; did you mean the option timeout_s? there are: features')


def test_an_option_of_infer_that_is_given_elsewhere_is_told():
    found = find_problems(SIGNATURE, {"features": GOOD, "cast": "exact"})
    assert found == [
        'there is no input "cast"; cast= is an option of infer by the model\'s name; there are: features, tokens, title'
    ]


def test_a_priority_that_is_given_as_an_input_is_told_where_it_goes():
    found = find_problems(SIGNATURE, {"features": GOOD, "priority": 1})
    assert found[0].startswith(
        'there is no input "priority"; infer by the model\'s name takes it: parameters={"priority": 1};'
    )
