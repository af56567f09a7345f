"""Tensors of a graph that Triton's sequence batcher gives and takes: states, and where in a sequence a request is."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from tritonforge.define.near_names import match_names
from tritonforge.define.onnx_graph import OnnxGraph
from tritonforge.define.settings import SequenceBatching
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Signature

__all__ = ["SequenceTensors", "sequence_tensors"]


@dataclass(frozen=True, slots=True)
class SequenceTensors:
    """Names of a graph's inputs and outputs that are none of the model's: requests neither send nor get them."""

    inputs: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()

    def hide(self, signature: Signature) -> Signature:
        """Give what is left of a signature. What keeps a state is a sequence model."""
        if not self.inputs:
            return signature
        return replace(
            signature,
            inputs=tuple(spec for spec in signature.inputs if spec.name not in self.inputs),
            outputs=tuple(spec for spec in signature.outputs if spec.name not in self.outputs),
            sequence=True,
        )

    def require(self, graph: OnnxGraph, declared: Container[str], where: Where) -> None:
        """Refuse a name that the graph hasn't, where an input of the graph is left without one that gives it.

        Raises:
            DiagnosticError: there is such a name. The rest is for the checker, which has types and dimensions, too.
        """
        there = {tensor.name for tensor in (*graph.inputs, *graph.initialized)}
        missing = (tensor.name for tensor in self.hide_inputs(graph).inputs if tensor.name not in declared)
        meant = match_names(sorted(self.inputs - there), missing)
        place = where.at(f"{where.subject}, sequence_batching")
        found = [
            Diagnostic("TF303", place, f'the graph has no input "{name}"', f'did you mean "{near}"?')
            for name, near in meant.items()
        ]
        if found:
            raise DiagnosticError(found)

    def hide_inputs(self, graph: OnnxGraph) -> OnnxGraph:
        """Give what is left of a graph's inputs."""
        return replace(graph, inputs=tuple(tensor for tensor in graph.inputs if tensor.name not in self.inputs))


def sequence_tensors(batching: SequenceBatching | None) -> SequenceTensors:
    """Read them off the settings; none without sequences."""
    if batching is None:
        return SequenceTensors()
    states, controls = batching.states, batching.control_inputs
    given = {*(state.input_name for state in states), *(control.name for control in controls)}
    return SequenceTensors(frozenset(given), frozenset(state.output_name for state in states))
