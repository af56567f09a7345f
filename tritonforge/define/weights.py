"""Models that are weights: ONNX and TorchScript files, torch modules and scikit-learn estimators."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from typing_extensions import Unpack

from tritonforge.define.annotations import ParsedTensor
from tritonforge.define.arrays import Array
from tritonforge.define.base import Definition
from tritonforge.define.onnx_graph import OnnxGraph, declared_signature, read_graph
from tritonforge.define.onnx_sessions import open_session
from tritonforge.define.origin import Origin, caller
from tritonforge.define.redefinitions import note
from tritonforge.define.reshapes import reshaped
from tritonforge.define.sequence_tensors import SequenceTensors, sequence_tensors
from tritonforge.define.settings import Batching, Instances, OptionArguments
from tritonforge.define.signature import Returns, parse_tensors
from tritonforge.errors import Diagnostic, DiagnosticError, TritonForgeError
from tritonforge.ir import File, Signature

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Annotations", "OnnxModel", "WeightsModel", "onnx"]

Annotations = Mapping[str, Any]
"""Tensors by name, each annotated with jaxtyping: `{"ids": Int64[np.ndarray, "batch seq"]}`."""

_ENDINGS = {"onnx": ".onnx", "torchscript": ".pt"}


class WeightsModel(Definition[..., Any]):
    """A model whose file Triton's own runtimes execute."""

    kind: Literal["onnx", "torchscript"]

    def __init__(
        self, *, origin: Origin, name: str | None, batching: Batching | None, instances: Instances | None
    ) -> None:
        super().__init__(origin, name)
        note(self, origin.namespace)
        self.batching = self._typed("batching", batching)
        self.instances = self._typed("instances", instances)

    @cached_property
    def returns(self) -> Returns:
        """One output: the array. More: a named tuple of them, in the order of the signature."""
        names = [spec.name for spec in self.signature.outputs]
        if len(names) == 1:
            return Returns("single")
        record = namedtuple("Outputs", names, rename=True)  # type: ignore[misc]  # the names are known only now
        fields = record._fields

        def pack(**outputs: Any) -> Any:
            return record(**dict(zip(fields, (outputs[name] for name in names), strict=True)))

        return Returns("named", pack)

    def _beside(self, path: object) -> Path:
        """Find the model's file.

        Raises:
            DiagnosticError: it isn't there, or `path` is none.
        """
        if isinstance(path, str | PathLike):
            return self._origin.beside(path, self.name)
        reason = f"its path is {path!r}, of type {type(path).__name__}"
        hint = f'write {self.kind}("model{_ENDINGS[self.kind]}"): a file beside this one, as a str or a Path'
        raise DiagnosticError([Diagnostic("TF117", self.where, reason, hint)])

    @property
    @abstractmethod
    def files(self) -> tuple[File, ...]:
        """The files of its version folder.

        Raises:
            DiagnosticError: the model can't be exported.
        """


class OnnxModel(WeightsModel):
    """A model in ONNX form, from a file or from `export`, which is called once, when it is first needed."""

    kind = "onnx"

    def __init__(
        self,
        source: str | PathLike[str] | Callable[[OnnxModel], bytes],
        *,
        origin: Origin,
        name: str | None,
        batching: Batching | None,
        instances: Instances | None,
        inputs: Annotations | None = None,
        outputs: Annotations | None = None,
        batched: bool | None = None,
    ) -> None:
        super().__init__(origin=origin, name=name, batching=batching, instances=instances)
        self._source = source
        self._batched = batched or (True if batching else None)
        self._inputs = inputs
        self._outputs = outputs

    @cached_property
    def signature(self) -> Signature:
        """What the graph takes and gives, as far as it isn't declared."""
        return reshaped(self._read_signature(), self.options.tensors)

    def _read_signature(self) -> Signature:
        inputs, outputs = self._declared("input"), self._declared("output")
        kept = self._kept_by_triton
        if inputs is None and outputs is None:
            return kept.hide(self._graph.signature(self.where, batched=self._batched))
        # A state may be declared as an output: Triton then answers with it, too.
        if inputs is not None:
            kept.require(self._graph, {parsed.spec.name for parsed in inputs}, self.where)
        graph = kept.hide_inputs(self._graph)
        found = declared_signature(graph, inputs, outputs, self.where)
        return replace(kept.hide(found), outputs=found.outputs) if outputs is not None else kept.hide(found)

    @property
    def files(self) -> tuple[File, ...]:
        """model.onnx, and the files of its external data under the names that it refers to them by."""
        model = self._model
        if isinstance(model, bytes):
            return (File("model.onnx", content=model),)
        external = []
        for location in self._graph.external:
            source = Path(os.path.abspath(model.parent / location))  # a cache may have both files as links
            if not source.is_file() or not source.is_relative_to(model.parent):
                raise DiagnosticError(
                    [
                        Diagnostic(
                            "TF301",
                            self.where,
                            f'{model.name} keeps weights in "{location}", which is not beside it',
                            "copy the file there, or export the model again",
                        )
                    ]
                )
            external.append(File(location, source=source))
        return (File("model.onnx", source=model), *external)

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Run the graph with onnxruntime.

        Raises:
            TritonForgeError: Triton gives some of its inputs, the state of a sequence, say.
        """
        if self._kept_by_triton.inputs:
            given = ", ".join(sorted(self._kept_by_triton.inputs))
            hint = "serve it, and call it with client.sequence(…)"
            raise TritonForgeError(
                f"{self.name} gets {given} from Triton's sequence batcher, not in a call here: {hint}"
            )
        feed = {name: array for name, array in inputs.items() if array is not None}
        names = [spec.name for spec in self.signature.outputs]
        results = self._session.run(names, feed)
        return self.returns.pack({name: np.asarray(result) for name, result in zip(names, results, strict=True)})

    @property
    def _kept_by_triton(self) -> SequenceTensors:
        return sequence_tensors(self.options.sequence_batching)

    @cached_property
    def _model(self) -> Path | bytes:
        if callable(self._source):
            return self._source(self)
        return self._beside(self._source)

    @cached_property
    def _graph(self) -> OnnxGraph:
        return read_graph(self._model, self.where)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        return open_session(self._model)

    def _declared(self, kind: Literal["input", "output"]) -> tuple[ParsedTensor, ...] | None:
        annotations = self._inputs if kind == "input" else self._outputs
        return None if annotations is None else parse_tensors(annotations, kind, self.name, self.where)


def onnx(
    path: str | PathLike[str],
    *,
    inputs: Annotations | None = None,
    outputs: Annotations | None = None,
    batching: Batching | None = None,
    instances: Instances | None = None,
    name: str | None = None,
    **options: Unpack[OptionArguments],
) -> OnnxModel:
    """Serve an ONNX file.

    Its signature is read from the graph: a first dimension that is variable in every tensor is the batch. Declare
    `inputs` or `outputs` where the graph says less than is known; what is declared is held against the graph. Tensors
    that `sequence_batching` names, states and controls, are Triton's affair: no inputs or outputs of the model.

    Args:
        path: the file, relative to the calling file; external data beside it travels too.
        inputs: annotations by input name.
        outputs: annotations by output name; outputs left out are not served.
        batching: how requests are batched.
        instances: how many copies run; by default Triton decides.
        name: the model's name; by default that of the variable.
        options: the rest of the configuration: `response_cache`, `warmup`, `version_policy`, …; see `Options`.
    """
    return OnnxModel(
        path, origin=caller(), name=name, batching=batching, instances=instances, inputs=inputs, outputs=outputs
    ).configured(options)
