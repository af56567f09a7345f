"""How each question is put over Triton's gRPC API."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from tritonclient.grpc import service_pb2 as pb

from tritonforge.client.grpc.admin import message_body, worded_answer
from tritonforge.client.grpc.message import to_json
from tritonforge.client.metadata import require_description
from tritonforge.client.questions import Question

__all__ = ["SUBJECTS", "parse_answer", "procedure", "serialize_question"]

SUBJECTS: dict[str, tuple[str, str]] = {
    "server_live": ("ServerLive", "live"),
    "server_ready": ("ServerReady", "ready"),
    "server_metadata": ("ServerMetadata", ""),
    "model_ready": ("ModelReady", "ready"),
    "model_metadata": ("ModelMetadata", ""),
    "model_config": ("ModelConfig", "config"),
    "index": ("RepositoryIndex", "models"),
    "statistics": ("ModelStatistics", ""),
    "load": ("RepositoryModelLoad", ""),
    "unload": ("RepositoryModelUnload", ""),
    "trace": ("TraceSetting", "settings"),
    "logging": ("LogSettings", "settings"),
    "shared_memory": ("SystemSharedMemoryStatus", "regions"),
    "register_shared_memory": ("SystemSharedMemoryRegister", ""),
    "unregister_shared_memory": ("SystemSharedMemoryUnregister", ""),
    "cuda_shared_memory": ("CudaSharedMemoryStatus", "regions"),
    "register_cuda_shared_memory": ("CudaSharedMemoryRegister", ""),
    "unregister_cuda_shared_memory": ("CudaSharedMemoryUnregister", ""),
}
"""By subject: the procedure, and the field of its answer that is the answer over HTTP; empty: all of it."""


def procedure(question: Question) -> str:
    """Name the procedure that answers."""
    return SUBJECTS[question.subject][0]


def serialize_question(question: Question) -> bytes:
    """Write the request message. Raise ValueError where the body is not what the procedure takes."""
    message = getattr(pb, f"{procedure(question)}Request")()
    known = message.DESCRIPTOR.fields_by_name
    about = {"name": question.model, "model_name": question.model, "version": question.version}
    fields = {name: value for name, value in about.items() if name in known and value}
    try:
        json_format.ParseDict({**fields, **message_body(question)}, message)
    except json_format.ParseError as error:
        raise ValueError(f"{procedure(question)} takes no such request: {error}") from error
    return bytes(message.SerializeToString())


def parse_answer(question: Question, data: bytes) -> Any:
    """Read the response message. Raise google.protobuf's DecodeError, or ValueError, where it is not one."""
    name, field = SUBJECTS[question.subject]
    answer = to_json(getattr(pb, f"{name}Response").FromString(data))
    worded = worded_answer(question, answer.get(field) if field else answer)
    require_description(question, worded)
    return worded
