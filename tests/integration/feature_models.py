"""Models for the tests of what the client can do beside plain calls: sequences, classes, ensembles, queues, texts."""

from __future__ import annotations

from pathlib import Path

from client_models import MOODY, tensor, write, write_client_models

ADDER = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x, start, ready, key = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy().flat[0]
            for name in ("x", "START", "READY", "CORRID")
        )
        if ready:
            self.sums[key] = float(x) + (0 if start else self.sums[key])
        if ready and x < 0:
            return pb_utils.InferenceResponse([], pb_utils.TritonError("below zero"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", np.array([[self.sums.get(key, 0)]], np.float32))])
"""
SAME = """
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([pb_utils.Tensor("scores", r.inputs()[0].as_numpy())]) for r in requests]
"""
WORDS = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "text").as_numpy().flat[0].decode()
            sender = request.get_response_sender()
            for word in text.split():
                if word == "bad":
                    sender.send(pb_utils.InferenceResponse([], pb_utils.TritonError("a bad word")))
                    break
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("word", np.array([word], object))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
LABELS = ("cat", "dog", "bird")


def write_feature_models(repository: Path) -> None:
    """Write those of `client_models`, `adder`, `labelled`, `words`, `queued`, `drowsy` and the ensemble `chain`."""
    write_client_models(repository)
    controls = (
        'control_input { name: "START" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] } }'
        'control_input { name: "READY" control { kind: CONTROL_SEQUENCE_READY fp32_false_true: [0, 1] } }'
        'control_input { name: "CORRID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }'
    )
    scalars = f"max_batch_size: 8 {tensor('input', 'x')} {tensor('output', 'y')}"
    write(repository, "adder", f"{scalars} sequence_batching {{ {controls} }}", ADDER)
    scores = f"{tensor('input', 'x', dims=3)} {tensor('output', 'scores', dims=3)}"
    labelled = scores.replace('name: "scores"', 'name: "scores" label_filename: "labels.txt"')
    write(repository, "labelled", f"max_batch_size: 8 {labelled}", SAME)
    (repository / "labelled" / "labels.txt").write_text("\n".join(LABELS) + "\n")
    texts = f"{tensor('input', 'text', 'STRING')} {tensor('output', 'word', 'STRING')}"
    write(repository, "words", f"{texts} model_transaction_policy {{ decoupled: true }}", WORDS)
    # A request can only lower the policy's own limit (24.10): without one, what it says is ignored.
    limit = "default_timeout_microseconds: 60000000 allow_timeout_override: true"
    policy = f"default_queue_policy {{ timeout_action: REJECT {limit} }}"
    write(repository, "queued", f"{scalars} dynamic_batching {{ {policy} }}", MOODY)
    wide = f"{tensor('input', 'x', dims=-1)} {tensor('output', 'y', dims=-1)}"
    write(repository, "drowsy", f"max_batch_size: 8 {wide}", MOODY)
    (repository / "chain" / "1").mkdir(parents=True)
    maps = 'input_map { key: "x" value: "x" } output_map { key: "y" value: "y" }'
    step = f'step {{ model_name: "moody" model_version: -1 {maps} }}'
    config = f'name: "chain" platform: "ensemble" {scalars} ensemble_scheduling {{ {step} }}'
    (repository / "chain" / "config.pbtxt").write_text(config)
