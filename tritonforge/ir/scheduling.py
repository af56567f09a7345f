"""The schedulers of a model: dynamic batching, sequence batching, and ensembles. Delays are in microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tritonforge.ir.fields import mapped

__all__ = [
    "Control",
    "ControlInput",
    "ControlKind",
    "DirectStrategy",
    "DynamicBatching",
    "Ensemble",
    "EnsembleStep",
    "InitialState",
    "OldestStrategy",
    "QueuePolicy",
    "SequenceBatching",
    "State",
]

ControlKind = Literal[
    "CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_CORRID"
]


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """A `default_queue_policy`, or one of `priority_queue_policy`."""

    timeout_action: Literal["REJECT", "DELAY"] = "REJECT"
    default_timeout_us: int = mapped(0, name="default_timeout_microseconds")
    allow_timeout_override: bool = False
    max_queue_size: int = 0


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """The `dynamic_batching` group."""

    preferred_batch_sizes: tuple[int, ...] = mapped((), name="preferred_batch_size")
    max_queue_delay_us: int = mapped(0, name="max_queue_delay_microseconds")
    preserve_ordering: bool = False
    priority_levels: int = 0
    default_priority_level: int = 0
    default_queue_policy: QueuePolicy | None = None
    priority_queue_policies: tuple[tuple[int, QueuePolicy], ...] = mapped((), name="priority_queue_policy")


@dataclass(frozen=True, slots=True)
class DirectStrategy:
    """The `direct` strategy: a sequence keeps its batch slot."""

    max_queue_delay_us: int = mapped(0, name="max_queue_delay_microseconds")
    minimum_slot_utilization: float = 0.0


@dataclass(frozen=True, slots=True)
class OldestStrategy:
    """The `oldest` strategy: batches of the oldest requests of different sequences."""

    max_candidate_sequences: int = 0
    preferred_batch_sizes: tuple[int, ...] = mapped((), name="preferred_batch_size")
    max_queue_delay_us: int = mapped(0, name="max_queue_delay_microseconds")
    preserve_ordering: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """What a control input says, and in which form: a false and a true value, or, of CORRID, a data type."""

    kind: ControlKind = "CONTROL_SEQUENCE_START"
    int32_false_true: tuple[int, ...] = ()
    fp32_false_true: tuple[float, ...] = ()
    bool_false_true: tuple[bool, ...] = ()
    data_type: str = "TYPE_INVALID"


@dataclass(frozen=True, slots=True)
class ControlInput:
    """A `control_input` entry: an input of the model that the sequence batcher fills."""

    name: str
    controls: tuple[Control, ...] = mapped((), name="control")


@dataclass(frozen=True, slots=True)
class InitialState:
    """An `initial_state`: zeros, or the content of a file below the model's folder `initial_state`."""

    name: str = ""
    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    zero_data: bool | None = None
    data_file: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """A `state` entry: an output that comes back as an input of the sequence's next request."""

    input_name: str
    output_name: str
    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    initial_states: tuple[InitialState, ...] = mapped((), name="initial_state")
    use_same_buffer_for_input_output: bool = False
    use_growable_memory: bool = False


@dataclass(frozen=True, slots=True)
class SequenceBatching:
    """The `sequence_batching` group. At most one of `direct` and `oldest`."""

    direct: DirectStrategy | None = None
    oldest: OldestStrategy | None = None
    max_sequence_idle_us: int = mapped(0, name="max_sequence_idle_microseconds")
    control_inputs: tuple[ControlInput, ...] = mapped((), name="control_input")
    states: tuple[State, ...] = mapped((), name="state")
    iterative_sequence: bool = False


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """One step of an ensemble: maps from the composing model's tensor names to the ensemble's."""

    model_name: str
    input_map: tuple[tuple[str, str], ...]
    output_map: tuple[tuple[str, str], ...]
    model_version: int = -1
    model_namespace: str = ""


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The `ensemble_scheduling` group. `max_inflight_requests` is known to Triton since 25.11; 0 doesn't limit."""

    steps: tuple[EnsembleStep, ...] = mapped((), name="step")
    max_inflight_requests: int = 0
