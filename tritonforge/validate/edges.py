"""Edges of a pipeline: what feeds each input, and what each output is, must agree in dtype, batch and dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tritonforge.errors import Diagnostic
from tritonforge.ir import Graph, InputRef, Model, Reference, Repository, StepRef, TensorSpec
from tritonforge.validate.dimensions import Dimensions

__all__ = ["check"]


def check(repository: Repository) -> Iterator[Diagnostic]:
    """Check each pipeline's edges."""
    for model in repository.models:
        if model.graph is not None:
            yield from _Pipeline(model, model.graph, Dimensions(model.signature.inputs)).check()


@dataclass(frozen=True, slots=True)
class _Pipeline:
    model: Model
    graph: Graph
    dimensions: Dimensions

    def check(self) -> Iterator[Diagnostic]:
        for index, step in enumerate(self.graph.steps):
            yield from self._batch(index)
            for name, reference in step.inputs:
                wanted = step.signature.input(name)
                given = self._spec(reference)
                if wanted is not None and given is not None:
                    yield from self._edge(index, given, wanted, reference)
        for name, reference in self.graph.outputs:
            wanted, given = self.model.signature.output(name), self._spec(reference)
            if wanted is not None and given is not None:
                yield from self._output(given, wanted, reference)

    def _batch(self, index: int) -> Iterator[Diagnostic]:
        step, own = self.graph.steps[index], self.model.signature.batched
        if step.signature.batched == own:
            return
        name, other = (step.model, self.model.config.name) if not own else (self.model.config.name, step.model)
        yield Diagnostic(
            "TF205",
            step.where,
            f"{name} has a batch dimension, {other} has none; Triton can't hand tensors from one kind to the other",
            f'begin the annotations of {other} with "batch" too',
        )

    def _edge(self, index: int, given: TensorSpec, wanted: TensorSpec, reference: Reference) -> Iterator[Diagnostic]:
        step = self.graph.steps[index]
        where = step.where.at(f'{step.where.subject}, input "{wanted.name}"')
        giver = self._giver(reference)
        found = f"{giver} gives {given.describe(batched=self._batched(reference))}"
        want = f"{step.model} wants {wanted.describe(batched=step.signature.batched)}"
        if given.optional and not wanted.optional:
            yield Diagnostic(
                "TF212",
                where,
                f'{giver} may leave "{given.name}" out, {step.model} always wants it',
                f"make it optional there too ({wanted.name}: … | None), or required here",
            )
        if given.datatype != wanted.datatype:
            yield Diagnostic(
                "TF204", where, f"{found}, {want}", _mend_dtype(giver, given, wanted, self._is_own(reference))
            )
            return
        fault = self.dimensions.connect(given, wanted, reference=reference, consumer=index)
        if fault is not None and step.signature.batched == self._batched(reference):
            yield Diagnostic("TF203", where, f"{found}, {want}{fault}", self._mend_dims(giver, step.model, reference))

    def _output(self, given: TensorSpec, wanted: TensorSpec, reference: Reference) -> Iterator[Diagnostic]:
        name = self.model.config.name
        where = self.model.where.at(f'{name}, output "{wanted.name}"')
        batched = self.model.signature.batched
        found = f"{self._giver(reference)} gives {given.describe(batched=self._batched(reference))}"
        want = f"{name} is annotated to return {wanted.describe(batched=batched)}"
        fault = self.dimensions.connect(given, wanted, reference=reference, consumer=None)
        if given.datatype != wanted.datatype or (fault is not None and batched == self._batched(reference)):
            yield Diagnostic("TF210", where, f"{found}, {want}{fault or ''}", "annotate what the body returns")

    def _spec(self, reference: Reference) -> TensorSpec | None:
        if isinstance(reference, InputRef):
            return self.model.signature.input(reference.name)
        return self.graph.steps[reference.step].signature.output(reference.output)

    def _batched(self, reference: Reference) -> bool:
        if isinstance(reference, InputRef):
            return self.model.signature.batched
        return self.graph.steps[reference.step].signature.batched

    def _giver(self, reference: Reference) -> str:
        return self.graph.steps[reference.step].model if isinstance(reference, StepRef) else self.model.config.name

    def _is_own(self, reference: Reference) -> bool:
        return isinstance(reference, InputRef)

    def _mend_dims(self, giver: str, taker: str, reference: Reference) -> str:
        if self._is_own(reference):
            return f"change the annotation of {giver}'s parameter, or put a model between them"
        return f"change {giver}'s return annotation, or feed {taker} from another step"


def _mend_dtype(giver: str, given: TensorSpec, wanted: TensorSpec, own: bool) -> str:
    what = f"{giver}'s parameter" if own else f"{giver}'s result"
    return f"change the annotation of {what}, or convert {given.datatype} to {wanted.datatype} in a model between them"
