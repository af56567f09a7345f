"""A model of a repository, loaded into this process and called."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from tritonforge import pbtxt
from tritonforge.ir import ModelConfig
from tritonforge.repository_files import read_text
from tritonforge.testing.auto_complete import completed
from tritonforge.testing.backend_utils import (
    TRITONSERVER_REQUEST_FLAG_SEQUENCE_END,
    TRITONSERVER_REQUEST_FLAG_SEQUENCE_START,
    InferenceRequest,
    InferenceResponse,
)
from tritonforge.testing.isolation import Isolation
from tritonforge.testing.requests import ModelError, answer, request

__all__ = ["LoadedModel", "ModelError", "load_model"]

_numbers = itertools.count()


class LoadedModel:
    """A model.py in this process, as Triton's Python backend would run it."""

    def __init__(self, model: Any, isolation: Isolation, config: ModelConfig) -> None:
        self._model = model
        self._isolation = isolation
        self._config = config

    def infer(self, **inputs: Any) -> dict[str, Any]:
        """Call it with one request of these arrays, in the shapes that clients send; give its outputs by name.

        One value a row is `[rows, 1]`, as on the wire. The request's parameters are given as the argument that takes
        them.

        Raises:
            ModelError: it answered with an error, or the server would have refused the request.
            TypeError: it is a stream.
        """
        (answer,) = self.infer_together([inputs])
        if isinstance(answer, ModelError):
            raise answer
        return answer

    def infer_together(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | ModelError]:
        """Call it with several requests that wait together; give the outputs of each by name, or its `ModelError`.

        As in the server, an execution has as many whole requests, in order, as have `max_batch_size` rows, and one
        where the model has no batch. What the server would refuse doesn't reach the model.

        Raises:
            TypeError: it is a stream.
        """
        if self._config.decoupled:
            raise TypeError(f"{self._config.name} is a stream, of many responses to a request: call model.stream(…)")
        made = [self._request(inputs) for inputs in requests]
        accepted = [one for one in made if isinstance(one, InferenceRequest)]
        responses = itertools.chain.from_iterable(map(self.execute, _executions(self._config, accepted)))
        return [one if isinstance(one, ModelError) else answer(self._config, next(responses)) for one in made]

    def sequence(
        self, requests: Sequence[Mapping[str, Any]], *, correlation_id: int | str = 1
    ) -> list[dict[str, Any] | ModelError]:
        """Call a sequence model with the requests of one sequence, from its start to its end; give the answer to each.

        That is its outputs by name, or a `ModelError`: of the model's, or of Triton's own.
        """
        answers: list[dict[str, Any] | ModelError] = []
        for number, inputs in enumerate(requests):
            flags = TRITONSERVER_REQUEST_FLAG_SEQUENCE_START if number == 0 else 0
            flags |= TRITONSERVER_REQUEST_FLAG_SEQUENCE_END if number == len(requests) - 1 else 0
            made = self._request(inputs, correlation_id=correlation_id, flags=flags)
            answers.append(made if isinstance(made, ModelError) else answer(self._config, *self.execute([made])))
        return answers

    def stream(self, *, timeout_s: float = 60.0, **inputs: Any) -> list[dict[str, Any] | ModelError]:
        """Call a decoupled model with one request; give all its responses: outputs by name, or a `ModelError`.

        Raises:
            TimeoutError: it didn't send the final flag in time.
            TypeError: it is no stream.
        """
        if not self._config.decoupled:
            raise TypeError(f"{self._config.name} is no stream, it answers once: call model.infer(…)")
        request = self._request(inputs)
        if isinstance(request, ModelError):
            return [request]
        with self._isolation.entered():
            self._model.execute([request])
            if not request.sender.finished.wait(timeout_s):
                raise TimeoutError(
                    f"no final flag within {timeout_s:g} s; {len(request.sender.responses)} responses came"
                )
        return [answer(self._config, response) for response in request.sender.responses]

    def execute(self, requests: Sequence[InferenceRequest], *, timeout_s: float = 60.0) -> list[InferenceResponse]:
        """Call its `execute` itself. A model that gives None, as an async one does, answers by its response senders.

        Raises:
            AssertionError: it didn't give a response for each request.
            TimeoutError: not all responses came in time.
        """
        with self._isolation.entered():
            responses = self._model.execute(list(requests))
            if responses is None and not self._config.decoupled:
                responses = [_sent(request, timeout_s) for request in requests]
        if not isinstance(responses, list) or len(responses) != len(requests):
            raise AssertionError(f"execute gave {responses!r} for {len(requests)} requests; is it a decoupled model?")
        return [response.sent() for response in responses]

    def _request(self, inputs: Mapping[str, Any], **sequence: Any) -> InferenceRequest | ModelError:
        told = getattr(self._model, "request_parameters", "")
        tensors = {name: value for name, value in inputs.items() if name != told}
        try:
            return request(self._config, tensors, parameters=inputs.get(told), **sequence)
        except ModelError as refused:
            return refused


def _sent(request: InferenceRequest, timeout_s: float) -> InferenceResponse:
    """Wait for the one response that a model sends."""
    if not request.sender.finished.wait(timeout_s):
        raise TimeoutError(f"no response within {timeout_s:g} s")
    (response,) = request.sender.responses
    return response


@contextmanager
def load_model(
    folder: str | Path,
    *,
    version: int | None = None,
    kind: str = "CPU",
    device_id: int = 0,
    models: Mapping[str, Callable[..., Any]] | None = None,
) -> Iterator[LoadedModel]:
    """Load a model's folder: config.pbtxt beside a version folder with model.py, of a build or written by hand.

    The newest version is loaded, or `version`. Inside, `triton_python_backend_utils` is a stand-in without a server:
    requests come as the dynamic batcher would give them. `initialize` runs at the start, `finalize` at the end.

    Other models, which a bls body calls, are those that `models` has by name: functions of arrays by input, which give
    arrays by output, as on the wire; `LoadedModel.infer` of another one, say. That of a model which takes the request's
    parameters gets those that a call says, as the argument that takes them. A call of any other fails.

    Without a config.pbtxt the model's `auto_complete_config` says what is in it, as in Triton.

    Raises:
        FileNotFoundError: there is no such version, or no config.pbtxt and nothing that says what is in it.
        ValueError: config.pbtxt can't be read, or is of a model that is not Python's.
    """
    folder = Path(folder).resolve()
    written = folder / "config.pbtxt"
    if not written.is_file() and not any(path.name.isdecimal() for path in folder.glob("*/")):
        raise FileNotFoundError(_no_model(folder))
    config = pbtxt.parse(read_text(written)) if written.is_file() else None
    chosen = version or max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=1)
    inner = folder / str(chosen)
    if not (inner / "model.py").is_file():
        raise _not_python(inner, config)
    isolation = Isolation(folder, models or {})
    with isolation.entered():
        served = _import(folder, inner).TritonPythonModel
        content = completed(served, folder.name) if config is None else None
    taking = (part for part in getattr(served, "parts", ()) if getattr(part, "request_parameters", ""))
    isolation.arguments.update({part.name: part.request_parameters for part in taking})
    if content is not None:
        config = pbtxt.from_dict(content)
    if config is None:
        raise FileNotFoundError(f"{_no_model(folder)}; write one, or auto_complete_config in its model.py")
    arguments = {
        "model_config": json.dumps(_as_triton_writes(pbtxt.to_dict(config))),
        "model_name": config.name or folder.name,
        "model_repository": str(folder),
        "model_version": str(chosen),
        "model_instance_name": f"{config.name or folder.name}_0_0",
        "model_instance_kind": kind,
        "model_instance_device_id": str(device_id),
    }
    with isolation.entered():
        model = served()
        if hasattr(model, "initialize"):
            model.initialize(arguments)
    try:
        yield LoadedModel(model, isolation, replace(config, name=config.name or folder.name))
    finally:
        with isolation.entered():
            if hasattr(model, "finalize"):
                model.finalize()


def _executions(config: ModelConfig, requests: Sequence[InferenceRequest]) -> list[list[InferenceRequest]]:
    """Put requests together as the server does: whole ones, in order, up to the largest batch."""
    found: list[list[InferenceRequest]] = []
    left = 0
    for one in requests:
        rows = next((tensor.shape()[0] for tensor in one.inputs() if tensor.shape()), 0)
        if not found or not config.max_batch_size or rows > left:
            found.append([])
            left = config.max_batch_size
        found[-1].append(one)
        left -= rows
    return found


def _not_python(inner: Path, config: ModelConfig | None) -> Exception:
    """Say why a version without a model.py can't be loaded."""
    name, files = inner.parent.name, sorted(path.name for path in inner.glob("model.*"))
    kind = "python" if config is None else config.backend or config.platform or "python"
    if kind != "python" or files:
        what = f"a model of {files[0]}" if kind == "python" else f"a model of the backend {kind}"
        what = "an ensemble" if kind == "ensemble" else what
        return ValueError(f"{name} is {what}: only Python models can be loaded without a server")
    return FileNotFoundError(f"{inner / 'model.py'} is missing")


def _no_model(folder: Path) -> str:
    """Say what is there in place of a model."""
    above = folder if folder.is_dir() else folder.parent
    models = sorted(path.parent.name for path in above.glob("*/config.pbtxt"))
    there = f"; the models in {above} are {', '.join(models)}" if models else ""
    return f"{folder} is no model's folder: it has no config.pbtxt{there}"


def _import(folder: Path, inner: Path) -> ModuleType:
    """Import model.py as a module of a package, which its version folder is to Triton."""
    package = ModuleType(f"_triton_model_{next(_numbers)}")
    package.__path__ = [str(inner)]
    package.__file__ = str(inner / "__init__.py")
    sys.modules[package.__name__] = package
    sys.path += [str(folder), str(inner)]
    return importlib.import_module(f"{package.__name__}.model")


def _as_triton_writes(config: dict[str, Any]) -> dict[str, Any]:
    """Say what Triton says also where it is the default, and sizes as numbers, which protobuf's JSON has as text."""
    for entry in (*config.get("input", ()), *config.get("output", ())):
        entry["dims"] = [int(size) for size in entry.get("dims", ())]
        if "reshape" in entry:
            entry["reshape"] = {"shape": [int(size) for size in entry["reshape"].get("shape", ())]}
    for entry in config.get("sequence_batching", {}).get("control_input", ()):
        entry["control"] = [{"kind": "CONTROL_SEQUENCE_START", **control} for control in entry["control"]]
    return {"max_batch_size": 0, "input": [], "output": [], "parameters": {}, "optimization": {}, **config}
