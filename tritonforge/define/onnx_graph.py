"""Reading an ONNX file's signature: names, data types and dimensions of its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tritonforge import dtypes
from tritonforge.define.annotations import ParsedTensor
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import ANONYMOUS, Dim, Signature, TensorSpec

if TYPE_CHECKING:
    import onnx

__all__ = ["OnnxGraph", "OnnxTensor", "declared_signature", "read_graph"]


@dataclass(frozen=True, slots=True)
class OnnxTensor:
    """One input or output of a graph: every dimension is there, a leading batch too; None where the rank is unknown."""

    name: str
    datatype: str
    dims: tuple[Dim, ...] | None

    def __str__(self) -> str:
        return f"{self.datatype}{'[…]' if self.dims is None else [*self.dims]}".replace("'", "")


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """The outside of an ONNX graph, and the files beside the model file that hold its external data.

    `initialized` are inputs that have an initializer: a request may give another value, where the model declares them.
    """

    inputs: tuple[OnnxTensor, ...]
    outputs: tuple[OnnxTensor, ...]
    external: tuple[str, ...] = ()
    initialized: tuple[OnnxTensor, ...] = ()

    def signature(self, where: Where, *, batched: bool | None = None) -> Signature:
        """Derive the signature. Without `batched`, it is batched where every tensor's first dimension is variable.

        Raises:
            DiagnosticError: the rank of a tensor is unknown, or `batched` is asked of a graph with a fixed first
                dimension.
        """
        tensors = [*self.inputs, *self.outputs]
        unknown = [tensor.name for tensor in tensors if tensor.dims is None]
        if unknown:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "TF302",
                        where,
                        f"the graph doesn't say how many dimensions {', '.join(unknown)} has",
                        "declare the signature: onnx(path, inputs={…}, outputs={…})",
                    )
                ]
            )
        fixed = [tensor for tensor in tensors if not tensor.dims or isinstance(tensor.dims[0], int)]
        if batched and fixed:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "TF111",
                        where,
                        f'it is to be batched, but the first dimension of "{fixed[0].name}" is fixed: {fixed[0]}',
                        "export it with a dynamic first dimension in every tensor, or declare it without a batch",
                    )
                ]
            )
        batched = not fixed if batched is None else batched
        return Signature(
            tuple(_spec(tensor, batched=batched) for tensor in self.inputs),
            tuple(_spec(tensor, batched=batched) for tensor in self.outputs),
            batched=batched,
        )


def read_graph(source: Path | bytes, where: Where) -> OnnxGraph:
    """Read the outside of an ONNX model, without its weights.

    Raises:
        DiagnosticError: it can't be parsed, or a tensor's data type is not one of Triton's, or BF16.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = (
            onnx.load_model_from_string(source)
            if isinstance(source, bytes)
            else onnx.load_model(str(source), load_external_data=False)
        )
    except (DecodeError, ValueError, OSError) as error:
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF302", where, f"{_label(source)} is not an ONNX model: {error}", "export the model again to ONNX"
                )
            ]
        ) from error
    found: list[Diagnostic] = []
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [info for info in proto.graph.input if info.name not in constants]
    # Before version 4 of the format all initializers stood among the inputs, and none of them can be overridden.
    initialized = [info for info in proto.graph.input if info.name in constants and proto.ir_version >= 4]
    if not proto.graph.output:
        found.append(
            Diagnostic("TF302", where, f"{_label(source)} is not an ONNX model: it has no outputs", "export it again")
        )
    graph = OnnxGraph(
        tuple(_tensors(inputs, "input", where, found)),
        tuple(_tensors(proto.graph.output, "output", where, found)),
        tuple(sorted(_external_files(proto))),
        tuple(_tensors(initialized, "input", where, found)),
    )
    if found:
        raise DiagnosticError(found)
    return graph


def declared_signature(
    graph: OnnxGraph, inputs: tuple[ParsedTensor, ...] | None, outputs: tuple[ParsedTensor, ...] | None, where: Where
) -> Signature:
    """Hold declared tensors against a graph's, and give the signature that they make with it.

    Where only one side is declared, the other is the graph's own, with a batch where the declared one has it.

    Raises:
        DiagnosticError: a name, data type, rank or fixed dimension disagrees.
    """
    found: list[Diagnostic] = []
    if inputs is not None:
        _compare(inputs, (*graph.inputs, *graph.initialized), "input", where, found)
        _compare_presence(inputs, graph, where, found)
    if outputs is not None:
        _compare(outputs, graph.outputs, "output", where, found)
    declared = [*(inputs or ()), *(outputs or ())]
    batched = any(tensor.batched for tensor in declared) if declared else None
    if any(tensor.batched != batched for tensor in declared):
        found.append(
            Diagnostic(
                "TF104",
                where,
                "some of its declared tensors have a batch dimension, some have none",
                'begin every annotation with "batch", or none',
            )
        )
    if found:
        raise DiagnosticError(found)
    if inputs is None or outputs is None:
        derived = graph.signature(where, batched=batched)
        ins = derived.inputs if inputs is None else tuple(t.spec for t in inputs)
        outs = derived.outputs if outputs is None else tuple(t.spec for t in outputs)
        return Signature(ins, outs, batched=derived.batched)
    return Signature(tuple(t.spec for t in inputs), tuple(t.spec for t in outputs), batched=bool(batched))


def _compare(
    declared: tuple[ParsedTensor, ...], real: tuple[OnnxTensor, ...], kind: str, where: Where, found: list[Diagnostic]
) -> None:
    known = {tensor.name: tensor for tensor in real}
    listing = ", ".join(f"{tensor.name}: {tensor}" for tensor in real)
    for parsed in declared:
        place = where.at(f'{where.subject}, {kind} "{parsed.spec.name}"')
        tensor = known.get(parsed.spec.name)
        if tensor is None:
            found.append(Diagnostic("TF303", place, f"the graph has no such {kind}", f"its {kind}s are {listing}"))
            continue
        dims: tuple[Dim, ...] = (("batch",) if parsed.batched else ()) + parsed.spec.dims
        if parsed.spec.datatype != tensor.datatype or not _compatible(dims, tensor.dims):
            reason = f"declared as {parsed.spec.describe(batched=parsed.batched)}, but the graph says {tensor}"
            found.append(
                Diagnostic("TF303", place, f"{reason}{_fixed(dims, tensor.dims)}", "declare what the graph says")
            )


def _compare_presence(
    declared: tuple[ParsedTensor, ...], graph: OnnxGraph, where: Where, found: list[Diagnostic]
) -> None:
    """Hold what requests may leave out against what the graph has an initializer for: natively these are the same."""
    optional = {parsed.spec.name: parsed.spec.optional for parsed in declared}
    faults: list[tuple[str, str, str]] = []
    for tensor in graph.inputs:
        if tensor.name not in optional:
            faults.append((tensor.name, "the graph needs it, but it isn't declared", f"it is {tensor}"))
        elif optional[tensor.name]:
            faults.append((tensor.name, "declared as optional, but the graph has no initializer for it", "require it"))
    for tensor in graph.initialized:
        if not optional.get(tensor.name, True):
            reason = "declared as required, but the graph has an initializer for it"
            faults.append((tensor.name, reason, "make it optional (… | None), or leave it out"))
    for name, message, hint in faults:
        found.append(Diagnostic("TF303", where.at(f'{where.subject}, input "{name}"'), message, hint))


def _compatible(declared: tuple[Dim, ...], real: tuple[Dim, ...] | None) -> bool:
    """Say whether every declared shape is one that the graph takes; a declared size narrows a variable dimension."""
    if real is None:
        return True
    if len(declared) != len(real):
        return False
    return all(isinstance(there, str) or here == there for here, there in zip(declared, real, strict=True))


def _fixed(declared: tuple[Dim, ...], real: tuple[Dim, ...] | None) -> str:
    """Name the variable dimensions of which a graph has one size only."""
    pairs = zip(declared, real or (), strict=False) if len(declared) == len(real or ()) else ()
    fixed = [f"{here} is fixed at {there}" for here, there in pairs if isinstance(here, str) and isinstance(there, int)]
    return f": {', '.join(fixed)}" if fixed else ""


def _tensors(
    infos: Iterable[onnx.ValueInfoProto], kind: str, where: Where, found: list[Diagnostic]
) -> Iterable[OnnxTensor]:
    for info in infos:
        dtype = dtypes.from_onnx(info.type.tensor_type.elem_type) if info.type.HasField("tensor_type") else None
        if dtype is None:
            found.append(
                Diagnostic(
                    "TF302",
                    where.at(f'{where.subject}, {kind} "{info.name}"'),
                    "the graph's type for it is none of Triton's tensors",
                    "export the model with tensors only (for scikit-learn: zipmap=False)",
                )
            )
            continue
        if dtype.name == "BF16":
            found.append(
                Diagnostic(
                    "TF302",
                    where.at(f'{where.subject}, {kind} "{info.name}"'),
                    "it is BF16, which Triton's backend for ONNX doesn't serve",
                    "export the graph with FP32 or FP16 inputs and outputs; inside it may be BF16",
                )
            )
            continue
        shape = info.type.tensor_type.shape if info.type.tensor_type.HasField("shape") else None
        yield OnnxTensor(info.name, dtype.name, None if shape is None else tuple(_dim(dim) for dim in shape.dim))


def _dim(dim: onnx.TensorShapeProto.Dimension) -> Dim:
    if dim.HasField("dim_value") and dim.dim_value > 0:
        return int(dim.dim_value)
    return dim.dim_param if dim.dim_param.isidentifier() else ANONYMOUS


def _spec(tensor: OnnxTensor, *, batched: bool) -> TensorSpec:
    assert tensor.dims is not None
    dims = tensor.dims[1:] if batched else tensor.dims
    return TensorSpec(tensor.name, tensor.datatype, dims, text=tensor.datatype == "BYTES")


def _external_files(proto: onnx.ModelProto) -> set[str]:
    nodes = (node for function in proto.functions for node in function.node)
    tensors = (*_stored(proto.graph), *_constants(nodes))
    return {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}


def _stored(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Give all tensors that hold weights, those of branches and loops too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _constants(graph.node)


def _constants(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in (attribute for node in nodes for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _stored(inner)


def _label(source: Path | bytes) -> str:
    return "the exported model" if isinstance(source, bytes) else source.name
