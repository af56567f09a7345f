"""What the server tells of a model, and of its repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tritonforge.client.names import shown
from tritonforge.client.questions import Question
from tritonforge.client.transport import Json
from tritonforge.client.unreadable import what_is_wrong
from tritonforge.ir import ANONYMOUS, Dim, Signature, TensorSpec

__all__ = ["ModelStatus", "ServedModel", "read_served_model", "require_description"]

_NO_TENSORS: Json = {"name": "", "inputs": (), "outputs": ()}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as the server describes it.

    `signature` is what clients see: dimensions as on the wire, variable ones as `_`. `versions` are those loaded;
    `max_batch_size` is 0 for a model that doesn't batch. `queue_timeout`: a request's own time limit in the queue is
    heeded, by it or by a model of its steps.
    """

    name: str
    versions: tuple[str, ...]
    platform: str
    signature: Signature
    max_batch_size: int
    queue_timeout: bool = False


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One entry of the repository's index. `state`: READY, UNAVAILABLE, LOADING, UNLOADING, or empty (never loaded)."""

    name: str
    version: str
    state: str
    reason: str


def require_description(question: Question, answer: Any) -> None:
    """Raise ValueError where an answer to what describes a model is not what the protocol says, or is of another."""
    if question.subject not in ("model_metadata", "model_config"):
        return
    try:
        if question.subject == "model_metadata":
            name = read_served_model(answer, {}).name
        else:
            read_served_model(_NO_TENSORS, answer)
            name = answer.get("name", question.model)  # which other servers may leave out
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(what_is_wrong(error)) from error
    if name != question.model:
        raise ValueError(f"it is of {shown(name) if isinstance(name, str) and name else 'none'}")


def read_served_model(metadata: Json, config: Json) -> ServedModel:
    """Join a model's metadata and configuration. A server that has no configurations gives an empty `config`.

    Raise ValueError, LookupError, TypeError or AttributeError where they are not what the protocol says.
    """
    max_batch_size = int(config.get("max_batch_size", 0))
    optional = {tensor["name"] for tensor in config.get("input", []) if tensor.get("optional")}
    batched = max_batch_size > 0
    signature = Signature(
        inputs=tuple(_tensor(entry, optional, batched=batched) for entry in metadata["inputs"]),
        outputs=tuple(_tensor(entry, set(), batched=batched) for entry in metadata["outputs"]),
        batched=batched,
        decoupled=bool(config.get("model_transaction_policy", {}).get("decoupled")),
        sequence="sequence_batching" in config,
    )
    return ServedModel(
        name=metadata["name"],
        versions=tuple(metadata.get("versions") or ()),
        platform=metadata.get("platform") or "",
        signature=signature,
        max_batch_size=max_batch_size,
        queue_timeout=_heeds_timeouts(config),
    )


def _heeds_timeouts(config: Json) -> bool:
    batching = config.get("dynamic_batching", {})
    policies = [batching.get("default_queue_policy", {}), *batching.get("priority_queue_policy", {}).values()]
    return "ensemble_scheduling" in config or any(policy.get("allow_timeout_override") for policy in policies)


def _tensor(entry: dict[str, Any], optional: set[str], *, batched: bool) -> TensorSpec:
    shape = [int(size) for size in entry["shape"]]
    dims: tuple[Dim, ...] = tuple(size if size >= 0 else ANONYMOUS for size in shape[1 if batched else 0 :])
    return TensorSpec(entry["name"], entry["datatype"], dims, optional=entry["name"] in optional)
