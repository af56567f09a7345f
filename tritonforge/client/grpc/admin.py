"""The administration's questions as gRPC's messages have them: what differs from the words of the HTTP API."""

from __future__ import annotations

from typing import Any

from tritonforge.client.questions import Question

__all__ = ["message_body", "worded_answer"]


def message_body(question: Question) -> dict[str, Any]:
    """Give the body as the protobuf JSON of the request."""
    body = dict(question.body)
    if question.subject == "load":
        return {"parameters": {name: _load_parameter(name, value) for name, value in body["parameters"].items()}}
    if question.subject == "unload":
        return {"parameters": {name: {"bool_param": value} for name, value in body["parameters"].items()}}
    if question.subject == "trace":
        return {"settings": {name: {"value": _values(value)} for name, value in body.items()}}
    if question.subject == "logging":
        return {"settings": {name: {_log_field(value): value} for name, value in body.items()}}
    if question.subject == "register_cuda_shared_memory":
        return {**body, "raw_handle": body["raw_handle"]["b64"]}
    return body


def worded_answer(question: Question, answer: Any) -> Any:
    """Word an answer, as a JSON object of its message, as HTTP does."""
    if question.subject in ("shared_memory", "cuda_shared_memory"):
        return list(answer.values())
    if question.subject == "trace":
        texts = {name: setting["value"] for name, setting in answer.items()}
        return {name: value if name == "trace_level" else "".join(value) for name, value in texts.items()}
    if question.subject == "logging":
        return {name: next(iter(setting.values())) for name, setting in answer.items()}
    return answer


def _load_parameter(name: str, value: str) -> dict[str, str]:
    # Files go as bytes, which protobuf's JSON has in base 64, as HTTP has them.
    return {"bytes_param" if name.startswith("file:") else "string_param": value}


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _log_field(value: object) -> str:
    if isinstance(value, bool):
        return "bool_param"
    return "uint32_param" if isinstance(value, int) else "string_param"
