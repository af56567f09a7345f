"""Values of a fused pipeline that several read: a Python step may write into them, and the others must not see it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from tritonforge.ir import Graph, Reference

__all__ = ["copied_inputs"]


def copied_inputs(graph: Graph, writers: Collection[str], *, in_order: bool) -> Mapping[str, frozenset[str]]:
    """Find the inputs of each model of `writers` that must be copies, of a graph without pipelines in it.

    A value is copied for each of its readers but the last, where the steps run `in_order`: nobody reads it after that.
    Where they may run at once, it is copied for all. One reader alone gets no copy.
    """
    read: list[tuple[Reference, str, str]] = [
        (reference, step.model, name) for step in graph.steps for name, reference in step.inputs
    ]
    read += [(reference, "", name) for name, reference in graph.outputs]
    places: dict[Reference, list[int]] = defaultdict(list)
    for place, (reference, _, _) in enumerate(read):
        places[reference].append(place)
    copied: dict[str, set[str]] = defaultdict(set)
    for place, (reference, model, name) in enumerate(read):
        readers = places[reference]
        if model in writers and len(readers) > 1 and not (in_order and place == readers[-1]):
            copied[model].add(name)
    return {model: frozenset(names) for model, names in copied.items()}
