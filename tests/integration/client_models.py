"""Models for the tests of the client and of `tritonforge infer`, as anyone may write them for Triton by hand."""

from __future__ import annotations

from pathlib import Path

DATATYPES = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP16", "FP32", "FP64", "BF16", "STRING"),
)
"""As config.pbtxt has them; the `identity` models have an optional input `x_TYPE` and an output `y_TYPE` for each."""

IDENTITY = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([self.same(t) for t in request.inputs()][::-1]) for request in requests]

    def same(self, tensor):
        name = "y" + tensor.name()[1:]
        if name == "y_BF16":  # NumPy has no such type
            return pb_utils.Tensor.from_dlpack(name, tensor.to_dlpack())
        return pb_utils.Tensor(name, tensor.as_numpy())
"""

MOODY = """
import time

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            if x.flat[0] < 0:
                raise ValueError("boom")
            time.sleep(float(x.flat[0]))
            if x.flat[0] == 0:
                responses.append(pb_utils.InferenceResponse([], pb_utils.TritonError("not zero, please")))
            else:
                responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", x)]))
        return responses
"""

COUNTER = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            count = pb_utils.get_input_tensor_by_name(request, "count").as_numpy()[0]
            sender = request.get_response_sender()
            for number in range(count):
                if number % 100 == 99 and sender.is_cancelled():  # or it keeps a processor busy for nobody
                    break
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("number", np.array([number], np.int32))]))
            error = pb_utils.InferenceResponse([], pb_utils.TritonError("below zero")) if count < 0 else None
            if error:
                sender.send(error)
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

MORTAL = """
import os


class TritonPythonModel:
    def execute(self, requests):
        os._exit(3)
"""

SCORER = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            amount = pb_utils.get_input_tensor_by_name(request, "amount").as_numpy()
            title = pb_utils.get_input_tensor_by_name(request, "title").as_numpy()
            assert amount.ndim == title.ndim == 1
            score = np.stack([amount, -amount], axis=1)
            word = np.array([item.decode().upper().encode() for item in title], object)
            tensors = [pb_utils.Tensor("word", word), pb_utils.Tensor("score", score)]
            responses.append(pb_utils.InferenceResponse([*tensors, pb_utils.Tensor("rank", amount.argsort())]))
        return responses
"""


def write_client_models(repository: Path) -> None:
    """Write `identity` (batches to 8), `plain` (doesn't batch), `moody`, `counter` (decoupled), `scorer`."""
    tensors = "".join(
        f'input {{ name: "x_{name}" data_type: TYPE_{name} dims: [-1] optional: true }}'
        f'output {{ name: "y_{name}" data_type: TYPE_{name} dims: [-1] }}'
        for name in DATATYPES
    )
    write(repository, "identity", f"max_batch_size: 8 {tensors}", IDENTITY)
    write(repository, "plain", f"max_batch_size: 0 {tensors}", IDENTITY)
    write(repository, "moody", f"max_batch_size: 8 {tensor('input', 'x')} {tensor('output', 'y')}", MOODY)
    write(
        repository,
        "counter",
        f"{tensor('input', 'count', 'INT32')} {tensor('output', 'number', 'INT32')} "
        "model_transaction_policy { decoupled: true }",
        COUNTER,
    )
    write(
        repository,
        "scorer",
        f"max_batch_size: 8 {row('input', 'amount', 'FP32')} {row('input', 'title', 'STRING')} "
        f"{row('output', 'rank', 'INT64')} {tensor('output', 'score', dims=2)} {row('output', 'word', 'STRING')}",
        SCORER,
    )


def tensor(kind: str, name: str, datatype: str = "FP32", *, dims: int = 1) -> str:
    """Spell an input or output with one dimension."""
    return f'{kind} {{ name: "{name}" data_type: TYPE_{datatype} dims: [{dims}] }}'


def row(kind: str, name: str, datatype: str) -> str:
    """Spell an input or output that is one value a row for the model, and `[batch, 1]` for clients."""
    return f'{kind} {{ name: "{name}" data_type: TYPE_{datatype} dims: [1] reshape {{ shape: [] }} }}'


def write(repository: Path, name: str, config: str, source: str) -> None:
    """Write, or write anew, a Python model."""
    version = repository / name / "1"
    version.mkdir(parents=True, exist_ok=True)
    (version.parent / "config.pbtxt").write_text(f'name: "{name}" backend: "python" {config}')
    (version / "model.py").write_text(source)
