"""Outputs of calls that are under way: handed on without waiting, and otherwise like the array."""

from __future__ import annotations

import copy
import operator
import pickle
from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tritonforge_runtime import pending as outputs

Pair = namedtuple("Pair", "first second")
X = np.array([[1.0, 2.0], [3.0, 4.0]])

_OWN = {
    "__array_finalize__", "__array_interface__", "__array_struct__", "__buffer__", "__class_getitem__",
    "__init_subclass__", "__new__", "__subclasshook__",
}  # fmt: skip
"""What an array's type has and a pending one need not: for subclasses, for types, and for code in C."""


def pending(array: np.ndarray[Any, Any]) -> Any:
    """Make an output of a call that has ended."""
    call: Future[Any] = Future()
    call.set_result({"output": array})
    return outputs.Pending(call, "output")


def of(use: Callable[[Any], Any], value: Any) -> Any:
    """Give what is made of a value, or the error."""
    try:
        return use(value)
    except Exception as error:
        return error


def assert_same(found: Any, wanted: Any) -> None:
    if isinstance(wanted, Exception):
        assert type(found) is type(wanted)
        assert str(found).replace("Pending", "numpy.ndarray") == str(wanted)
        return
    assert type(found) is type(wanted)
    if isinstance(wanted, tuple | list):
        for one, other in zip(found, wanted, strict=True):
            assert_same(one, other)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    else:
        assert found == wanted or (found != found and wanted != wanted)


ARRAYS = {
    "floats": X,
    "integers": np.array([[1, 2], [3, 4]]),
    "flags": np.array([True, False]),
    "one": np.array(3),
    "one flag": np.array([True]),
    "strings": np.array(["a", "b"], object),
    "nothing": np.empty((0, 2), np.float32),
}
BINARY = (
    "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and_", "or_", "xor", "eq",
    "ne", "lt", "le", "gt", "ge",
)  # fmt: skip
IN_PLACE = (
    "iadd", "isub", "imul", "imatmul", "itruediv", "ifloordiv", "imod", "ipow", "ilshift", "irshift", "iand", "ior",
    "ixor",
)  # fmt: skip
UNARY = (
    operator.neg, operator.pos, operator.abs, operator.invert, operator.not_, bool, int, float, complex, operator.index,
    len, hash, str, repr, format, bytes, list, iter, reversed, round, dir, np.asarray, np.array,
    copy.copy, copy.deepcopy, np.sum, np.exp, operator.length_hint, lambda a: a.__sizeof__(),
)  # fmt: skip


@pytest.fixture(params=ARRAYS.values(), ids=ARRAYS)
def array(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
class TestOperators:
    """Each with the array and with the pending one: the same results, types and errors."""

    @pytest.mark.parametrize("name", [*BINARY, "divmod"])
    @pytest.mark.parametrize("other", [2, 0.5, np.float32(2), X, [1, 2], None, "a"], ids=str)
    def test_binary(self, array: Any, name: str, other: Any) -> None:
        operation = divmod if name == "divmod" else getattr(operator, name)
        assert_same(of(lambda a: operation(a, other), pending(array)), of(lambda a: operation(a, other), array))
        assert_same(of(lambda a: operation(other, a), pending(array)), of(lambda a: operation(other, a), array))
        if isinstance(other, np.ndarray):
            assert_same(
                of(lambda a: operation(a, pending(other)), pending(array)), of(lambda a: operation(a, other), array)
            )

    @pytest.mark.parametrize("name", IN_PLACE)
    @pytest.mark.parametrize("other", [2, X, None], ids=str)
    def test_in_place(self, array: Any, name: str, other: Any) -> None:
        """It is the array that is written, and given."""
        mine, theirs = array.copy(), array.copy()
        held = pending(mine)
        found = of(lambda a: getattr(operator, name)(a, other), held)
        assert_same(found, of(lambda a: getattr(operator, name)(a, other), theirs))
        assert_same(mine, theirs)
        assert isinstance(found, Exception) or found is mine

    @pytest.mark.parametrize("use", UNARY, ids=lambda use: use.__name__)
    def test_unary(self, array: Any, use: Callable[[Any], Any]) -> None:
        found, wanted = of(use, pending(array)), of(use, array)
        if use in (iter, reversed) and not isinstance(wanted, Exception):
            found, wanted = list(found), list(wanted)
        assert_same(found, wanted)


def test_every_method_of_arrays_that_python_looks_up_in_the_type_is_there() -> None:
    given = {name for name in dir(np.ndarray) if name.startswith("__") and callable(getattr(np.ndarray, name))}
    reached = {"namespace__", "prepare__", "wrap__"}
    reached = {f"__array_{name}" for name in reached} | {"__dlpack__", "__dlpack_device__", "__setstate__"}
    of_object = {"__class__", "__delattr__", "__getattribute__", "__getstate__", "__init__"}
    missing = given - set(vars(outputs.Pending)) - _OWN - of_object
    assert missing <= reached, "all others are asked for by name, which the array answers"
    assert all(hasattr(pending(X), name) for name in missing)


def test_every_attribute_of_arrays_is_that_of_the_array() -> None:
    for name in dir(np.ndarray):
        if not name.startswith("__"):
            mine, theirs = getattr(pending(X), name), getattr(X, name)
            assert type(mine) is type(theirs), name


def test_it_is_an_array_for_isinstance_and_can_not_become_anything_else() -> None:
    held = pending(X)
    assert isinstance(held, np.ndarray)
    assert held.__class__ is np.ndarray
    with pytest.raises(TypeError):
        held.__class__ = float


@pytest.mark.parametrize(
    "write",
    [
        lambda a: a.__setitem__((0, 0), 5),
        lambda a: a.__setitem__(a > 1, 0),
        lambda a: a.__setitem__(pending(np.array([1])), pending(np.array([7.0, 8.0]))),
        lambda a: a.__delitem__(0),
        lambda a: np.add(a, 1, out=a),
        lambda a: np.cumsum(a, axis=0, out=a),
        lambda a: np.copyto(a, 3),
        lambda a: np.putmask(a, a > 1, -1),
        lambda a: np.multiply.at(a, 0, 3),
        lambda a: a.fill(4),
        lambda a: a.sort(axis=0),
        lambda a: a.itemset(0, 3) if hasattr(a, "itemset") else None,
        lambda a: setattr(a, "shape", (4,)),
        lambda a: setattr(a, "flat", 3),
        lambda a: setattr(a, "real", pending(np.array(3))),
        lambda a: setattr(a, "colour", 3),
        lambda a: setattr(a.flags, "writeable", False),
    ],
)
def test_what_is_written_is_written_into_the_array(write: Callable[[Any], Any]) -> None:
    mine, theirs = X.copy(), X.copy()
    assert_same(of(write, pending(mine)), of(write, theirs))
    assert_same(mine, theirs)
    assert mine.flags.writeable == theirs.flags.writeable


def test_it_goes_on_as_the_array() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        found = pickle.loads(pickle.dumps(pending(X), protocol))
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, X)
    assert f"{pending(np.array(2.5)):.3f}" == "2.500"
    assert f"{pending(X)!r:>60}" == f"{X!r:>60}"


@pytest.mark.parametrize(
    "array", [X, ARRAYS["strings"], np.ones(2, ml_dtypes.bfloat16)], ids=["plain", "strings", "BF16"]
)
def test_numpy_asks_for_the_array_itself(array: Any) -> None:
    assert np.asarray(pending(array)) is array
    assert np.asarray(pending(array), array.dtype) is array
    made = np.array(pending(array))
    assert made is not array
    assert_same(made, array)
    assert_same(np.array([pending(array), pending(array)]), np.array([array, array]))
    assert np.asarray(pending(X), np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x[0],
        lambda x: x[:, 1],
        lambda x: x.sum(axis=1),
        lambda x: x.T,
        lambda x: np.where(x > 1, x, 0),
        lambda x: np.concatenate([x, x]),
        lambda x: np.concatenate(Pair(x, x)),
        lambda x: np.asarray(x, dtype=np.float32),
        np.add.reduce,
        list,
        lambda x: 3.0 in x,
        lambda x: X[np.array([1, 0])] + x,
        lambda x: X[x > 2],
        X.dot,
        np.linalg.inv,
        lambda x: operator.iadd(X.copy(), x),
        lambda x: np.ma.masked_array(x, x > 2),
        lambda x: np.einsum("ij,jk", x, x, optimize=True),
    ],
)
def test_is_used_like_the_array(use: Callable[[Any], Any]) -> None:
    np.testing.assert_array_equal(np.asarray(use(pending(X))), np.asarray(use(X)))


@pytest.mark.parametrize("convert", [bool, int, float, range])
def test_one_value_is_used_like_a_number(convert: Callable[[Any], Any]) -> None:
    assert convert(pending(np.array(3))) == convert(3)


def test_a_truth_value_of_many_is_refused_as_numpy_does() -> None:
    with pytest.raises(ValueError, match="ambiguous"):
        bool(pending(X))


def test_results_keep_their_form() -> None:
    one, other = pending(X), pending(X + 1)
    resolved = outputs.resolve(Pair(one, other))
    assert isinstance(resolved, Pair)
    np.testing.assert_array_equal(resolved.second, X + 1)
    assert type(outputs.resolve(one)) is np.ndarray
    assert type(outputs.resolve((one, X))) is tuple
    assert outputs.resolve({"a": one})["a"] is X
    assert outputs.resolve(X) is X


def test_a_failed_call_fails_what_waits_for_it() -> None:
    call: Future[Any] = Future()
    call.set_exception(RuntimeError("fussy: below zero"))
    with pytest.raises(RuntimeError, match="fussy: below zero"):
        outputs.Pending(call, "output") + 1
