"""`@pipeline`: models chained in a function's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, ParamSpec, TypeVar, overload

from tritonforge.define import tracing
from tritonforge.define.arrays import Array
from tritonforge.define.base import Definition
from tritonforge.define.origin import Origin, caller
from tritonforge.define.settings import Batching, Instances
from tritonforge.define.signature import ParsedFunction, Returns, parse_function
from tritonforge.errors import Where
from tritonforge.ir import Signature

__all__ = ["Lowering", "Pipeline", "pipeline"]

Lowering = Literal["ensemble", "fused"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Pipeline(Definition[P, R_co]):
    """A function whose body passes tensors between models."""

    def __init__(
        self,
        body: Callable[P, R_co],
        *,
        origin: Origin,
        name: str | None,
        lowering: Lowering,
        batching: Batching | None,
        instances: Instances | None,
    ) -> None:
        super().__init__(origin, name)
        self.body = body
        self.lowering = lowering
        self.batching = batching
        self.instances = instances
        self.__doc__ = body.__doc__
        self.__name__ = getattr(body, "__name__", "")
        self.__wrapped__ = body

    @property
    def name(self) -> str:
        """The pipeline's name: as given, or that of its variable, or that of the function."""
        return super().name or self.__name__

    @property
    def where(self) -> Where:
        """The line at which the function begins."""
        return self._origin.begin(self.body).at(self.name)

    @property
    def signature(self) -> Signature:
        """What it takes and gives, read from its annotations."""
        return self._parsed.signature

    @property
    def returns(self) -> Returns:
        """The form of its return annotation."""
        return self._parsed.returns

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Run the body on arrays: each model in it runs in this process."""
        body: Callable[..., Any] = self.body
        return body(**inputs)

    def trace(self) -> tracing.Traced:
        """Run the body on symbols; give the graph of its calls.

        Raises:
            DiagnosticError: the signature can't be served, or the body computes with a tensor itself.
        """
        return tracing.trace(self.body, self.name, self.signature, self.returns, self.where)

    @cached_property
    def _parsed(self) -> ParsedFunction:
        return parse_function(self.body, self.name, self.where)


@overload
def pipeline(body: Callable[P, R], /) -> Pipeline[P, R]: ...
@overload
def pipeline(
    *,
    name: str | None = None,
    lowering: Lowering = "ensemble",
    batching: Batching | None = None,
    instances: Instances | None = None,
) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(
    body: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    lowering: Lowering = "ensemble",
    batching: Batching | None = None,
    instances: Instances | None = None,
) -> Any:
    """Make a function a pipeline.

    Its parameters and its result are annotated like a model's. Its body calls models (and other pipelines) on its
    inputs and on their results, and returns some of those; it computes nothing itself. Called on arrays it runs here.

    Args:
        body: the function; or a pipeline, to make another of it with other settings.
        name: the model's name; by default that of the function.
        lowering: what Triton serves. `"ensemble"`: an ensemble; each model in it is scheduled and batched by itself.
            `"fused"`: one Python model, in which the body runs, its Python functions and ONNX graphs in one process,
            with no hop between them. That is faster; its ONNX graphs need the package onnxruntime in Triton's Python.
        batching: how requests are batched, of a fused pipeline; by default the largest batch that all its models take.
            An ensemble leaves batching to its models.
        instances: how many copies of a fused pipeline run; one on the CPU by default.
    """
    origin = caller()

    def make(decorated: Callable[..., Any]) -> Pipeline[..., Any]:
        decorated = decorated.body if isinstance(decorated, Pipeline) else decorated
        return Pipeline(decorated, origin=origin, name=name, lowering=lowering, batching=batching, instances=instances)

    return make if body is None else make(body)
