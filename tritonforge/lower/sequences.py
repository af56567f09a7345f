"""A sequence model's scheduler: its strategy, and the inputs by which Triton tells where in a sequence a request is."""

from __future__ import annotations

from tritonforge.define import Batching, Sequence
from tritonforge.ir import Control, ControlInput, ControlKind, DirectStrategy, OldestStrategy, SequenceBatching

__all__ = ["schedule"]

_CONTROLS: tuple[ControlKind, ...] = ("CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_READY")
"""Not the id's own, which the runtime asks the request for: Triton 24.10 writes an id that is a text into a tensor of
numbers past its end, and may crash; where that is a STRING, it refuses any request."""


def schedule(sequence: Sequence, batching: Batching | None) -> SequenceBatching:
    """Write a sequence's settings down; queue delay and preferred sizes are those of the batching."""
    delay_us = batching.max_queue_delay_us if batching else 0
    preferred = batching.preferred_batch_sizes if batching else ()
    direct = sequence.strategy == "direct"
    return SequenceBatching(
        direct=DirectStrategy(max_queue_delay_us=delay_us) if direct else None,
        oldest=None if direct else OldestStrategy(sequence.max_sequences, preferred, delay_us),
        max_sequence_idle_us=sequence.max_idle_us,
        control_inputs=tuple(
            ControlInput(kind.removeprefix("CONTROL_"), (Control(kind, int32_false_true=(0, 1)),)) for kind in _CONTROLS
        ),
    )
