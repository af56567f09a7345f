"""The typed client module: its text, its types, and what it notices."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
from type_checks import mypy_errors

from tritonforge.build import build
from tritonforge.client import Client
from tritonforge.client.metadata import ServedModel
from tritonforge.client.stub import SchemaChanged, Stub, check_schema, fingerprint, only, tensor
from tritonforge.client.stubs import generate, read_repository
from tritonforge.errors import TritonForgeError
from tritonforge.ir import ANONYMOUS, Signature

ROOT = Path(__file__).resolve().parents[3]
SIGNATURE = Signature(
    (tensor("amount", "FP32"), tensor("in-put", "BYTES", "n", optional=True, text=True)),
    (tensor("class", "INT64"), tensor("score", "FP32", 2)),
    batched=True,
)
COUNT = Signature((tensor("upto", "INT32", 1),), (tensor("number", "INT32", 1),), batched=False, decoupled=True)
TOTAL = Signature((tensor("x", "FP32", 1),), (tensor("y", "FP32", 1),), batched=True, sequence=True)
TALK = Signature((tensor("x", "FP32", 1),), (tensor("y", "FP32", 1),), batched=True, decoupled=True, sequence=True)
STUBS = [
    Stub("of-fer", SIGNATURE, only),
    Stub("count", COUNT, only),
    Stub("total", TOTAL, only),
    Stub("talk", TALK, only),
]
USE = """
from typing import Generator
from typing_extensions import assert_type
import numpy as np
from numpy.typing import NDArray
from made import COUNT, AsyncModels, Models, OfFer, connect

def use(models: Models, x: NDArray[np.float32]) -> None:
    assert_type(models.of_fer(amount=x), OfFer)
    assert_type(models.of_fer(amount=x).score, NDArray[np.float32])
    for number in models.count(upto=np.array([1], np.int32)):
        assert_type(number, NDArray[np.int32])
    with models.total(version=1, closing={"x": x}, timeout_s=5, headers={"x-tenant": "a"}) as steps:
        assert_type(steps.infer(x), NDArray[np.float32])
    assert_type(models.of_fer(amount=x, version="1", headers={"x-tenant": "a"}, parameters={"top": 3}), OfFer)
    models.of_fer(amount="no")
    with connect(["http://a", "http://b"], timeout_s=3, balance="least_in_flight") as connected:
        assert_type(connected, Models)
    with connect("http://a", timeout=3):
        pass

async def use_async(models: AsyncModels, x: NDArray[np.float32]) -> None:
    async with models.total(sequence_id=7) as steps:
        assert_type(await steps.infer(x, end=True), NDArray[np.float32])
"""


def test_the_module_is_strictly_typed_and_always_the_same(tmp_path):
    text = generate(STUBS)
    assert text == generate(STUBS)
    assert text.startswith(f'"""Typed access to {len(STUBS)} models. ')
    assert generate(STUBS[:1]).startswith('"""Typed access to 1 model. ')
    (tmp_path / "made.py").write_text(text, encoding="utf-8")
    (tmp_path / "use.py").write_text(USE)
    errors = mypy_errors(tmp_path, "use.py", "made.py")
    assert [error.split(" error: ")[0] for error in errors] == ["use.py:16:", "use.py:19:"], errors
    imported = {name.split(".")[0] for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", text, re.MULTILINE)}
    assert imported == {
        "__future__",
        "collections",
        "contextlib",
        "numpy",
        "tritonforge",
        "typing",
        "typing_extensions",
    }


def used_names() -> set[str]:
    """List all names that a generated module has, of any kind: models and tensors may have each of them."""
    found = set()
    for node in ast.walk(ast.parse(generate(STUBS))):
        for field in ("id", "name", "asname", "attr", "arg"):
            found.add(getattr(node, field, None))
    return {name for name in found if isinstance(name, str) and name.isidentifier()}


@pytest.mark.parametrize("kind", ["one", "several", "sequence"])
def test_a_model_or_tensor_may_have_any_name_that_the_module_uses(tmp_path, kind):
    names = sorted({*used_names(), "np", "Any", "object", "a", "Offer", "offer", "OFFER", "true", "class", "1model"})
    odd = tuple(tensor(name, "FP32", 1) for name in names)
    one = Signature(odd, (tensor("np", "BF16", 1),), batched=True, decoupled=kind == "one")
    several = Signature((tensor("x", "FP32", 1, optional=True),), odd, batched=True)
    signature = {"one": one, "several": several, "sequence": TOTAL}[kind]
    made = generate([Stub(name, signature, only) for name in names])
    (tmp_path / "made.py").write_text(made, encoding="utf-8")
    assert mypy_errors(tmp_path, "made.py") == []
    body = ast.parse(made).body
    bound = [node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))]
    bound += [node.target.id for node in body if isinstance(node, ast.AnnAssign)]
    bound += [node.targets[0].id for node in body if isinstance(node, ast.Assign)]
    bound += [alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert len(bound) == len(set(bound))


def test_names_that_are_no_identifiers_are_spelled_as_the_guide_says():
    signature = Signature((tensor("in", "FP32", 1), tensor("2nd-x", "FP32", 1)), COUNT.outputs, batched=False)
    text = generate([Stub(name, signature, only) for name in ("class", "1model", "of-fer", "np", "np_")])
    for method in ("m_class", "m_1model", "of_fer", "np_", "np__"):
        assert f"    def {method}(\n        self,\n        m_in: NDArray[np.float32],\n        m_2nd_x: " in text


def test_a_name_that_is_an_identifier_is_kept_beside_one_that_is_spelled_like_it(tmp_path):
    """Whatever sorts first; `client` is the module's own, and its stand-in is no reason to rename client_ either."""
    signature = Signature(
        (tensor("in-x", "FP32", 1), tensor("in_x", "FP32", 1)),
        (tensor("out-y", "FP32", 1), tensor("out_y", "FP32", 1)),
        batched=False,
    )
    models = ["client", "client_", "my-model", "my_model"]
    (tmp_path / "named.py").write_text(generate([Stub(name, signature, only) for name in models]))
    made = runpy.run_path(str(tmp_path / "named.py"))
    methods = {"client_": "client_", "client__": "client", "my_model": "my_model", "my_model_": "my-model"}
    for method, model in methods.items():
        called = getattr(made["Models"], method)
        assert called.__doc__.startswith(f"Call {model}: ")
        assert [*inspect.signature(called).parameters][1:3] == ["in_x_", "in_x"]
        stub = made[method.upper()]
        assert (stub.name, [*stub.build._fields]) == (model, ["out_y_", "out_y"])
    assert made["MY_MODEL"].build is made["MyModel"]


def test_a_model_of_sequences_is_shown_by_one_and_a_stream_of_them_has_no_method():
    text = generate([Stub("total", TOTAL, only), Stub("talk", TALK, only)])
    assert "        with models.total() as steps:\n            answer = steps.infer(x=…)\n" in text
    assert "# talk streams its responses within a sequence" in text
    assert "def talk" not in text
    assert "DefinedSequence" not in generate([Stub("count", COUNT, only)])


def test_a_built_repository_tells_which_models_take_sequences(tmp_path):
    (tmp_path / "a.py").write_text(
        "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import Batching, Sequence, model\n\n"
        "@model(sequence=Sequence(), batching=Batching(max_batch_size=4))\nclass Total:\n"
        '    def start(self) -> dict[str, float]:\n        return {"sum": 0.0}\n\n'
        '    def __call__(self, state: dict[str, float], x: Float32[np.ndarray, "batch 1"])'
        ' -> Float32[np.ndarray, "batch 1"]:\n        return x\n',
        encoding="utf-8",
    )
    build((tmp_path / "a.py",), tmp_path / "repository")
    (stub,) = read_repository(tmp_path / "repository")
    assert stub.signature.sequence
    assert [spec.name for spec in stub.signature.inputs] == ["x"]
    plain = Stub(stub.name, replace(stub.signature, sequence=False), only)
    assert fingerprint([stub]) != fingerprint([plain])


def test_a_tensor_that_clients_see_otherwise_is_told_with_both_shapes(tmp_path):
    (tmp_path / "models.py").write_text(
        "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import Tensor, model\n\n"
        '@model(tensors={"x": Tensor(dims=(-1, 1), reshape=(-1,))})\n'
        'def folded(x: Float32[np.ndarray, "batch n"]) -> Float32[np.ndarray, "batch"]:\n    return x.sum(1)\n'
    )
    build([tmp_path / "models.py"], tmp_path / "repository")
    (stub,) = read_repository(tmp_path / "repository")
    assert 'tensor("x", "FP32", "n", reshaped=(-1, 1)),' in generate([stub])
    served = replace(
        stub.signature, inputs=(tensor("x", "FP32", ANONYMOUS, 1),), outputs=(tensor("output", "FP32", 1),)
    )
    assert fingerprint([stub]) == fingerprint([replace(stub, signature=served)])


def test_a_stub_builds_its_result_in_the_models_order():
    stub = Stub("m", SIGNATURE, lambda *outputs: outputs)
    assert stub.wrap({"score": np.ones(2), "class": np.zeros(1)})[0].tolist() == [0]


class Describes:
    url = "http://h:1"

    def __init__(self, signature: Signature) -> None:
        self.signature = signature

    def describe(self, model: str, /) -> ServedModel:
        return ServedModel(model, ("1",), "", self.signature, 8)


def test_what_clients_see_alike_is_alike_and_a_change_is_noticed():
    served = Signature(
        (tensor("amount", "FP32", 1), tensor("in-put", "BYTES", "_", optional=True)),
        (tensor("class", "INT64", 1), tensor("score", "FP32", 2)),
        batched=True,
    )
    assert fingerprint([Stub("m", SIGNATURE, only)]) == fingerprint([Stub("m", served, only)])
    check_schema(Describes(served), [Stub("m", SIGNATURE, only)])
    with pytest.raises(SchemaChanged, match="generate it again\n  m: generated for"):
        check_schema(Describes(COUNT), [Stub("m", SIGNATURE, only)])


def test_a_repository_without_a_manifest_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(TritonForgeError, match="build the repository with tritonforge, or serve it"):
        read_repository(tmp_path)
    (tmp_path / "tritonforge.json").write_text("[]")
    with pytest.raises(TritonForgeError, match="not a manifest"):
        read_repository(tmp_path)
    with pytest.raises(TritonForgeError, match="no models"):
        generate([])


def test_the_committed_repository_gives_its_models():
    assert [stub.name for stub in read_repository(ROOT / "generated_repo")][:2] == ["breast_cancer", "classifier"]


class Answers:
    """A client that gives back what it was called with."""

    def call(self, stub, *args, **options):
        return stub.name, args, options

    stream = sequence = call


def test_inputs_named_as_options_of_call_go_through():
    taken = ("version", "timeout_s", "request_id", "headers", "self", "ECHO", "inputs", "parameters")
    inputs = tuple(tensor(name, "FP32", 1) for name in taken)
    signature = Signature(inputs, (tensor("y", "FP32", 1),), batched=False)
    names: dict[str, Any] = {}
    exec(compile(generate([Stub("echo", signature, only), Stub("client", signature, only)]), "made", "exec"), names)
    models = names["Models"](Answers())
    words = ("version_", "timeout_s_", "request_id_", "headers_", "self_", "ECHO_", "inputs", "parameters_")
    given = dict(zip(words, range(8), strict=True))
    options = {"version": 2, "timeout_s": 9, "request_id": "r", "headers": {"x-tenant": "a"}}
    assert models.echo(**given, **options) == ("echo", (*range(8), None), options)
    assert models.echo(**given, parameters={"a": 1}) == ("echo", (*range(8), {"a": 1}), dict.fromkeys(options, ANY))
    assert names["ECHO"].signature.request_parameters == "parameters_"
    assert models.client_(**{name.replace("ECHO_", "ECHO"): value for name, value in given.items()})[0] == "client"


class AsyncAnswers:
    async def call(self, stub, *args, **options):
        return stub.name, args, options


INPUTS = {"call": ("amount", "in_put"), "stream": ("upto",), "sequence": ()}


@pytest.mark.parametrize(("kind", "signature"), [("call", SIGNATURE), ("stream", COUNT), ("sequence", TOTAL)])
@pytest.mark.parametrize("models", ["Models", "AsyncModels"])
def test_a_method_takes_all_options_of_the_call_that_it_makes(kind, signature, models):
    names: dict[str, Any] = {}
    exec(compile(generate([Stub("m", signature, only)]), "made", "exec"), names)
    called = names[models](AsyncAnswers() if (kind, models) == ("call", "AsyncModels") else Answers()).m
    # What a stream of a definition takes is what a call of one does.
    taken = inspect.signature(Client.sequence if kind == "sequence" else Client.call).parameters.values()
    given = {one.name: "given" for one in taken if one.kind is one.KEYWORD_ONLY}
    sent = () if kind == "sequence" else tuple(range(len(signature.inputs)))
    inputs = dict(zip(INPUTS[kind], sent, strict=True))
    found = called(**inputs, **given)
    parameters = () if kind == "sequence" else (None,)
    expected = ("m", (*sent, *parameters), given)
    assert (asyncio.run(found) if inspect.isawaitable(found) else found) == expected
