"""A model of a repository, loaded into this process and called."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tritonforge import pbtxt
from tritonforge.errors import TritonForgeError
from tritonforge.testing.backend_utils import InferenceRequest, InferenceResponse, Tensor, TritonError
from tritonforge.testing.isolation import Isolation

__all__ = ["LoadedModel", "ModelError", "load_model"]

_numbers = itertools.count()


class ModelError(TritonForgeError):
    """What a model answered a request with: the message, and one of Triton's codes: `INVALID_ARG`."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class LoadedModel:
    """A model.py in this process, as Triton's Python backend would run it."""

    def __init__(self, model: Any, isolation: Isolation, *, decoupled: bool) -> None:
        self._model = model
        self._isolation = isolation
        self._decoupled = decoupled

    def infer(self, **inputs: Any) -> dict[str, Any]:
        """Call it with one request of these arrays; give its outputs by name.

        Raises:
            ModelError: it answered with an error.
        """
        (answer,) = self.infer_together([inputs])
        if isinstance(answer, ModelError):
            raise answer
        return answer

    def infer_together(self, requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any] | ModelError]:
        """Call it once with several requests, as the dynamic batcher would; give outputs or the error of each."""
        responses = self.execute([InferenceRequest(inputs=InferenceRequest.tensors(inputs)) for inputs in requests])
        return [_read(response) for response in responses]

    def stream(self, *, timeout_s: float = 60.0, **inputs: Any) -> list[dict[str, Any] | ModelError]:
        """Call a decoupled model with one request; give all its responses.

        Raises:
            TimeoutError: it didn't send the final flag in time.
        """
        request = InferenceRequest(inputs=InferenceRequest.tensors(inputs))
        with self._isolation.entered():
            self._model.execute([request])
            if not request.sender.finished.wait(timeout_s):
                raise TimeoutError(
                    f"no final flag within {timeout_s:g} s; {len(request.sender.responses)} responses came"
                )
        return [_read(response) for response in request.sender.responses]

    def execute(self, requests: Sequence[InferenceRequest], *, timeout_s: float = 60.0) -> list[InferenceResponse]:
        """Call its `execute` itself. A model that gives None, as an async one does, answers by its response senders.

        Raises:
            AssertionError: it didn't give a response for each request.
            TimeoutError: not all responses came in time.
        """
        with self._isolation.entered():
            responses = self._model.execute(list(requests))
            if responses is None and not self._decoupled:
                responses = [_sent(request, timeout_s) for request in requests]
        if not isinstance(responses, list) or len(responses) != len(requests):
            raise AssertionError(f"execute gave {responses!r} for {len(requests)} requests; is it a decoupled model?")
        return responses


def _sent(request: InferenceRequest, timeout_s: float) -> InferenceResponse:
    """Wait for the one response that a model sends."""
    if not request.sender.finished.wait(timeout_s):
        raise TimeoutError(f"no response within {timeout_s:g} s")
    (response,) = request.sender.responses
    return response


@contextmanager
def load_model(
    folder: str | Path, *, version: int | None = None, kind: str = "CPU", device_id: int = 0
) -> Iterator[LoadedModel]:
    """Load a model's folder: config.pbtxt beside a version folder with model.py, of a build or written by hand.

    The newest version is loaded, or `version`. Inside, `triton_python_backend_utils` is a stand-in without a server:
    requests come as the dynamic batcher would give them, and calls of other models fail. `initialize` runs at the
    start, `finalize` at the end.

    Raises:
        FileNotFoundError: there is no such version, or no config.pbtxt.
        ValueError: config.pbtxt can't be read.
    """
    folder = Path(folder).resolve()
    config = pbtxt.parse((folder / "config.pbtxt").read_text(encoding="utf-8"))
    chosen = version or max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=1)
    inner = folder / str(chosen)
    if not (inner / "model.py").is_file():
        raise FileNotFoundError(f"{inner / 'model.py'} is missing")
    arguments = {
        "model_config": json.dumps(_as_triton_writes(pbtxt.to_dict(config))),
        "model_name": config.name or folder.name,
        "model_repository": str(folder),
        "model_version": str(chosen),
        "model_instance_name": f"{config.name or folder.name}_0_0",
        "model_instance_kind": kind,
        "model_instance_device_id": str(device_id),
    }
    isolation = Isolation(folder)
    with isolation.entered():
        model = _import(folder, inner).TritonPythonModel()
        if hasattr(model, "initialize"):
            model.initialize(arguments)
    try:
        yield LoadedModel(model, isolation, decoupled=bool(config.decoupled))
    finally:
        with isolation.entered():
            if hasattr(model, "finalize"):
                model.finalize()


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
    return {"max_batch_size": 0, "input": [], "output": [], "parameters": {}, "optimization": {}, **config}


def _read(response: InferenceResponse) -> dict[str, Any] | ModelError:
    error = response.error()
    if error is None:
        return {tensor.name(): _array(tensor) for tensor in response.output_tensors()}
    codes = {value: name for name, value in vars(TritonError).items() if name.isupper()}
    return ModelError(error.message(), codes[error.code()])


def _array(tensor: Tensor) -> Any:
    if tensor.datatype != "BF16":
        return tensor.as_numpy()
    import ml_dtypes

    return tensor.given.view(ml_dtypes.bfloat16)
