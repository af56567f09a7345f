"""Sequences: requests of one client that belong together, and the state that is kept between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tritonforge import ir
from tritonforge.define.settings.base import Datatype, Index, Microseconds, Setting, Size

__all__ = ["Control", "ControlInput", "Direct", "InitialState", "Oldest", "SequenceBatching", "State"]


class Direct(Setting):
    """Each sequence keeps a batch slot of one instance until it ends."""

    record: ClassVar[type[Any]] = ir.DirectStrategy

    max_queue_delay_us: Microseconds = 0
    """How long to wait for a fuller batch, in microseconds. Default: 0."""
    minimum_slot_utilization: float = Field(default=0.0, ge=0, le=1)
    """The share of slots (0 … 1) that must be ready before the delay is over. Default: 0."""


class Oldest(Setting):
    """Each sequence keeps to one instance; batches are made of the oldest requests of different sequences."""

    record: ClassVar[type[Any]] = ir.OldestStrategy

    max_candidate_sequences: Index = 1
    """How many sequences one instance handles at a time. Default: 1."""
    preferred_batch_sizes: tuple[int, ...] = ()
    """Batch sizes at which the batcher stops waiting. Default: none."""
    max_queue_delay_us: Microseconds = 0
    """How long to wait for more requests, in microseconds. Default: 0."""
    preserve_ordering: bool = False
    """Whether responses come in the order of their requests. Default: no. Since 23.09."""


class Control(Setting):
    """What a control input tells the model."""

    record: ClassVar[type[Any]] = ir.Control
    prefixes: ClassVar[Mapping[str, str]] = {"kind": "CONTROL_SEQUENCE_", "data_type": "TYPE_"}

    kind: Literal["start", "ready", "end", "corrid"]
    """Whether the request starts its sequence, whether the slot has a request at all, whether it ends its sequence; or
    the sequence's correlation id."""
    int32_false_true: tuple[int, ...] = ()
    """The two values that an INT32 tensor has for false and true."""
    fp32_false_true: tuple[float, ...] = ()
    """The two values that an FP32 tensor has for false and true."""
    bool_false_true: tuple[bool, ...] = ()
    """The two values that a BOOL tensor has for false and true."""
    data_type: Datatype = "INVALID"
    """Of corrid: the type of the correlation id: UINT64, INT64, UINT32, INT32 or BYTES."""

    @model_validator(mode="after")
    def _agrees(self) -> Control:
        forms = [form for form in (self.int32_false_true, self.fp32_false_true, self.bool_false_true) if form]
        if self.kind == "corrid":
            if forms or self.data_type == "INVALID":
                raise ValueError("a corrid control has a data_type, and no values for false and true")
        elif len(forms) != 1 or len(forms[0]) != 2 or self.data_type != "INVALID":
            raise ValueError(f"a {self.kind} control has one pair of values for false and true: bool_false_true=(…, …)")
        return self


class ControlInput(Setting):
    """An input of the model that the sequence batcher fills; it isn't among the model's own inputs."""

    record: ClassVar[type[Any]] = ir.ControlInput

    name: str
    """The tensor's name."""
    controls: tuple[Control, ...]
    """What it says: one control."""


class InitialState(Setting):
    """What a state is for the first request of a sequence. Without one, Triton gives what happens to be there."""

    record: ClassVar[type[Any]] = ir.InitialState
    prefixes: ClassVar[Mapping[str, str]] = {"data_type": "TYPE_"}

    name: str
    """A name for people."""
    data_type: Datatype
    """The state's type."""
    dims: tuple[Size, ...] = ()
    """Its dimensions, without the batch."""
    zero_data: bool | None = None
    """It is zeros."""
    data_file: str | None = None
    """It is the raw content of a file beside the definition, which the build copies into the model's folder
    `initial_state`; of `model_files`, a file in that folder."""

    @model_validator(mode="after")
    def _agrees(self) -> InitialState:
        if (self.zero_data is None) == (self.data_file is None):
            raise ValueError("one of zero_data and data_file is needed")
        return self


class State(Setting):
    """An output that Triton keeps, and gives the next request of the same sequence as an input."""

    record: ClassVar[type[Any]] = ir.State
    prefixes: ClassVar[Mapping[str, str]] = {"data_type": "TYPE_"}

    input_name: str
    """The input by which the model gets it."""
    output_name: str
    """The output by which the model gives it."""
    data_type: Datatype
    """Its type."""
    dims: tuple[Size, ...]
    """Its dimensions, without the batch; -1 is variable."""
    initial_states: tuple[InitialState, ...] = ()
    """What it is at first. Default: whatever is there."""
    use_same_buffer_for_input_output: bool = False
    """Whether the model may write it in place. Default: no. Since 23.11."""
    use_growable_memory: bool = False
    """Whether its memory on the GPU grows without being copied; needs the same buffer. Default: no. Since
    23.11."""


class SequenceBatching(Setting):
    """Requests with the same correlation id reach the same instance, in their order."""

    record: ClassVar[type[Any]] = ir.SequenceBatching

    direct: Direct | None = None
    """The strategy in which a sequence keeps its slot. Default: this one, where neither is given."""
    oldest: Oldest | None = None
    """The strategy in which batches are made of the oldest requests."""
    max_sequence_idle_us: Microseconds = 0
    """How long after its last request a sequence is ended by the server, in microseconds. Default 0: one second."""
    control_inputs: tuple[ControlInput, ...] = ()
    """Inputs that tell the model where in a sequence a request is. Default: none."""
    states: tuple[State, ...] = ()
    """What Triton keeps between requests. Default: nothing; the model keeps it."""
    iterative_sequence: bool = False
    """Whether the model asks for its request to be scheduled again, until it is done. Default: no. Since 23.11."""

    @model_validator(mode="after")
    def _agrees(self) -> SequenceBatching:
        if self.direct and self.oldest:
            raise ValueError("direct and oldest exclude each other")
        return self
