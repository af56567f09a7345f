"""Named dimensions along a pipeline: an algebra, held against concrete sizes."""

from __future__ import annotations

from typing import Any

import pytest
from handmade import X, in_pipeline, signature, step
from hypothesis import given
from hypothesis import strategies as st

from tritonforge.ir import ANONYMOUS, Dim, InputRef, Reference, Signature, StepRef, TensorSpec
from tritonforge.validate.dimensions import Dimensions

Dims = tuple[Dim, ...]


def spec(*dims: Dim) -> TensorSpec:
    return TensorSpec("t", "FP32", dims)


@pytest.mark.parametrize(
    ("given_dims", "wanted", "fault"),
    [
        ((20,), (20,), None),
        ((20,), (30,), ""),
        ((20,), (20, 1), ""),
        ((), (), None),
        ((20,), ("n",), None),
        ((20, 20), ("n", "n"), None),
        ((20, 30), ("n", "n"), " (20 where 30 is needed)"),
        (("promised",), ("n",), None),
        (("promised",), (20,), ' ("promised" may differ from 20)'),
        (("promised", "other"), ("n", "n"), ' ("other" may differ from "promised")'),
        ((ANONYMOUS,), (20,), None),
        (("promised",), (ANONYMOUS,), None),
        ((ANONYMOUS, 20), ("n", "n"), None),
    ],
)
def test_an_input_fits_its_consumer(given_dims: Dims, wanted: Dims, fault: str | None) -> None:
    dimensions = Dimensions([spec("promised", "other")])
    found = dimensions.connect(spec(*given_dims), spec(*wanted), reference=InputRef("t"), consumer=0)
    if fault and "where" in fault:
        assert found in (" (20 where 30 is needed)", " (30 where 20 is needed)")
    else:
        assert found == fault


def test_each_call_of_a_model_binds_its_names_anew() -> None:
    wide = signature({"x": ("n",)}, {"y": ("n",)})
    own = signature({"a": (20,), "b": (30,)}, {"ya": (20,), "yb": (30,)})
    steps = [step("wide", wide, x=InputRef("a")), step("wide", wide, x=InputRef("b"))]
    assert in_pipeline(own, steps, ya=StepRef(0, "y"), yb=StepRef(1, "y")) == []


def test_a_size_is_followed_through_a_chain_of_names() -> None:
    wide = signature({"x": ("n",)}, {"y": ("n",)})
    last = signature({"x": (30,)}, {"y": (1,)})
    steps = [
        step("wide", wide, x=X),
        step("wide", wide, x=StepRef(0, "y")),
        step("last", last, x=StepRef(1, "y")),
    ]
    assert in_pipeline(signature({"x": (20,)}, {"y": (1,)}), steps, y=StepRef(2, "y")) == [
        'TF203 p → last, input "x": wide gives FP32[batch, n], last wants FP32[batch, 30] (20 where 30 is needed)'
    ]


def test_two_results_of_one_name_are_one_size() -> None:
    split = signature({"x": (20,)}, {"a": ("m",), "b": ("m",)})
    join = signature({"a": ("k",), "b": ("k",)}, {"y": (1,)})
    narrow = signature({"a": (5,), "b": (6,)}, {"y": (1,)})
    own = signature({"x": (20,)}, {"y": (1,)})
    fed = {"a": StepRef(0, "a"), "b": StepRef(0, "b")}
    assert in_pipeline(own, [step("split", split, x=X), step("join", join, **fed)], y=StepRef(1, "y")) == []  # type: ignore[arg-type]
    (fault,) = in_pipeline(own, [step("split", split, x=X), step("narrow", narrow, **fed)], y=StepRef(1, "y"))  # type: ignore[arg-type]
    assert fault.startswith('TF203 p → narrow, input "b": split gives FP32[batch, m], narrow wants FP32[batch, 6]')


def test_unrelated_results_may_meet_one_name() -> None:
    make = signature({"x": (20,)}, {"y": ("m",)})
    join = signature({"a": ("k",), "b": ("k",)}, {"y": (1,)})
    steps = [step("make", make, x=X), step("make", make, x=X), step("join", join, a=StepRef(0, "y"), b=StepRef(1, "y"))]
    assert in_pipeline(signature({"x": (20,)}, {"y": (1,)}), steps, y=StepRef(2, "y")) == []


def test_an_output_that_promises_an_inputs_name_must_keep_it() -> None:
    wide = signature({"x": ("n",)}, {"y": ("n",)})
    other = signature({"x": ("n",)}, {"y": ("m",)})
    own = signature({"x": ("seq",)}, {"y": ("seq",)})
    assert in_pipeline(own, [step("wide", wide, x=X)], y=StepRef(0, "y")) == []
    fixed = signature({"x": ("n",)}, {"y": (7,)})
    assert in_pipeline(own, [step("fixed", fixed, x=X)], y=StepRef(0, "y")) == [
        'TF210 p, output "y": fixed gives FP32[batch, 7], p is annotated to return FP32[batch, seq] '
        '(7 may differ from "seq")'
    ]
    assert in_pipeline(own, [step("other", other, x=X)], y=StepRef(0, "y")) == []  # may be equal, for all that is known


SIZES = st.integers(1, 3)
NAMES = st.sampled_from(["a", "b", "c"])
DIMS = st.lists(st.one_of(SIZES, NAMES), min_size=1, max_size=3)


def binds(dims: list[Dim], sizes: list[int], scope: dict[str, int]) -> bool:
    """Hold concrete sizes against dimensions, as an eager call does."""
    return all(
        (scope.setdefault(dim, size) if isinstance(dim, str) else dim) == size
        for dim, size in zip(dims, sizes, strict=True)
    )


@given(DIMS, DIMS, DIMS, st.data())
def test_what_is_accepted_runs_for_every_size_of_the_promised_names(
    own: list[Dim], inner: list[Dim], last: list[Dim], data: Any
) -> None:
    """A chain of two models that give back what they take never fails on sizes where the check found no fault."""
    rank = min(len(own), len(inner), len(last))
    own, inner, last = own[:rank], inner[:rank], last[:rank]
    signatures = [signature({"x": dims}, {"y": dims}) for dims in (inner, last)]
    steps = [step("one", signatures[0], x=X), step("two", signatures[1], x=StepRef(0, "y"))]
    faults = in_pipeline(signature({"x": own}, {"y": own}), steps, y=StepRef(1, "y"))
    promised = {dim: data.draw(SIZES, label=dim) for dim in own if isinstance(dim, str)}
    sizes = [promised[dim] if isinstance(dim, str) else dim for dim in own]
    assert faults or (binds(inner, sizes, {}) and binds(last, sizes, {}))


@given(DIMS, DIMS)
def test_a_fault_means_that_some_sizes_fail(own: list[Dim], inner: list[Dim]) -> None:
    rank = min(len(own), len(inner))
    own, inner = own[:rank], inner[:rank]
    one = signature({"x": inner}, {"y": inner})
    faults = in_pipeline(signature({"x": own}, {"y": own}), [step("one", one, x=X)], y=StepRef(0, "y"))
    names = [dim for dim in dict.fromkeys(own) if isinstance(dim, str)]
    every = [{name: 10 + 7 * index for index, name in enumerate(names)}, dict.fromkeys(names, 1)]
    every += [dict.fromkeys(names, size) for size in (2, 3)]
    fails = [not binds(inner, [sizes[dim] if isinstance(dim, str) else dim for dim in own], {}) for sizes in every]
    assert any(fails) == bool(faults)


@given(DIMS)
def test_a_tensor_always_fits_itself(dims: list[Dim]) -> None:
    own: Signature = signature({"x": dims}, {"y": dims})
    assert in_pipeline(own, [step("same", own, x=X)], y=StepRef(0, "y")) == []


@given(DIMS, DIMS, st.booleans())
def test_connecting_twice_changes_nothing(given_dims: list[Dim], wanted: list[Dim], own: bool) -> None:
    dimensions = Dimensions([spec(*given_dims)] if own else [])
    reference: Reference = InputRef("t") if own else StepRef(0, "t")
    first = dimensions.connect(spec(*given_dims), spec(*wanted), reference=reference, consumer=1)
    again = dimensions.connect(spec(*given_dims), spec(*wanted), reference=reference, consumer=1)
    assert (first is None) == (again is None)
