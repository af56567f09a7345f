"""What a generated client module checks of a server when it connects, and of each answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from tritonforge.client.call import give_back
from tritonforge.client.errors import ClientError, InferenceFailed, ModelNotFound, ModelNotReady, Target
from tritonforge.client.metadata import ServedModel
from tritonforge.client.result import Result
from tritonforge.client.stub import SchemaChanged, Stub, check_schema, check_schema_async, tensor
from tritonforge.ir import Signature

URL = "http://h:1"
SAME = Signature((tensor("x", "FP32", 1),), (tensor("y", "FP32", 1), tensor("z", "FP32", 1)), batched=True)
OTHER = Signature((tensor("x", "INT64", 1),), SAME.outputs, batched=True)
STUBS = [Stub(name, SAME, lambda *outputs: outputs) for name in ("one", "two", "three", "four")]


class Serves:
    """A client of a server whose models have these signatures, or fail so."""

    url = URL

    def __init__(self, **models: Signature | type[ClientError]) -> None:
        self._models = models

    def describe(self, model: str, /) -> ServedModel:
        found = self._models[model]
        if isinstance(found, Signature):
            return ServedModel(model, ("1",), "", found, 8)
        raise found("it isn't there", Target(URL, model))


class ServesAsync(Serves):
    async def describe(self, model: str, /) -> ServedModel:  # type: ignore[override]  # as an AsyncClient has it
        return super().describe(model)


def changes(**models: Signature | type[ClientError]) -> list[str]:
    """List what both kinds of client say, which is the same."""
    told = []
    for check in (
        lambda: check_schema(Serves(**models), STUBS),
        lambda: asyncio.run(check_schema_async(ServesAsync(**models), STUBS)),
    ):
        try:
            check()
            told.append([])
        except SchemaChanged as error:
            told.append(error.reason.splitlines()[1:])
    assert told[0] == told[1]
    return told[0]


def test_all_models_that_are_others_or_gone_are_told_at_once():
    first, *more = changes(one=OTHER, two=ModelNotFound, three=SAME, four=ModelNotFound)
    assert first.startswith("  one: generated for (x: FP32[batch, 1]) -> ")
    assert more == ["  two: it isn't there", "  four: it isn't there"]


def test_a_model_that_is_not_ready_keeps_nobody_from_the_others():
    assert changes(one=SAME, two=ModelNotReady, three=SAME, four=SAME) == []
    (only,) = changes(one=SAME, two=ModelNotReady, three=SAME, four=OTHER)
    assert only.startswith("  four: generated for")


def test_what_says_nothing_of_the_models_is_raised_as_it_is():
    class Unavailable(ClientError):
        pass

    with pytest.raises(Unavailable):
        changes(one=OTHER, two=Unavailable, three=SAME, four=SAME)


def test_an_answer_that_lacks_an_output_is_told_as_that_with_a_way_to_take_it():
    result = Result({"y": np.ones((2, 1), np.float32)})
    with pytest.raises(InferenceFailed, match=r'"z" .* not in the answer, which has: y; .*client\.infer\("one", …\)'):
        give_back(STUBS[0], result, Target(URL, "one"))
    other = Result({name: np.ones((2, 3), np.float32) for name in ("y", "z")})
    with pytest.raises(InferenceFailed, match=r"another state of the definition$"):
        give_back(STUBS[0], other, Target(URL, "one"))


@pytest.mark.parametrize(
    ("changed", "before", "after"),
    [
        ({"decoupled": True}, "with one response for a request", "with a stream of responses for a request"),
        ({"sequence": True}, "without a state", "with a state for each sequence of requests"),
        (
            {"decoupled": True, "sequence": True},
            "with one response for a request, without a state",
            "with a stream of responses for a request, with a state for each sequence of requests",
        ),
    ],
)
def test_a_change_of_the_kind_is_named(changed: dict[str, bool], before: str, after: str):
    other = replace(SAME, **changed)
    (line,) = changes(one=other, two=SAME, three=SAME, four=SAME)
    assert line == f"  one: generated for {SAME}, {before}, served is {SAME}, {after}"
    back = [Stub("one", other, lambda *outputs: outputs)]
    with pytest.raises(SchemaChanged, match=f"{after}, served is .*, {before}$"):
        check_schema(Serves(one=SAME), back)


def test_what_a_kind_has_in_common_is_not_named():
    (line,) = changes(one=OTHER, two=SAME, three=SAME, four=SAME)
    assert line == f"  one: generated for {SAME}, served is {OTHER}"
