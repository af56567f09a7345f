"""`@pipeline`: models chained in a function's body."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, Literal, ParamSpec, TypeVar, get_args, overload

from typing_extensions import Unpack

from tritonforge.define import tracing
from tritonforge.define.arrays import Array
from tritonforge.define.base import Definition
from tritonforge.define.calls import named_models
from tritonforge.define.failing import refuse_to_go_on
from tritonforge.define.function_definition import FunctionDefinition, wrappable
from tritonforge.define.isolation import run_body
from tritonforge.define.origin import Origin, caller
from tritonforge.define.presence import trace_whatever_is_there
from tritonforge.define.settings import Batching, Instances, OptionArguments
from tritonforge.define.signature import ParsedFunction, parse_function

__all__ = ["Lowering", "Pipeline", "pipeline"]

Lowering = Literal["auto", "ensemble", "fused", "bls"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Pipeline(FunctionDefinition[P, R_co]):
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
        if lowering not in get_args(Lowering):
            raise ValueError(f"lowering={lowering!r}; it is one of {', '.join(map(repr, get_args(Lowering)))}")
        super().__init__(body, origin=origin, name=name)
        self.body = body
        self.lowering = lowering
        self.batching = self._typed("batching", batching)
        self.instances = self._typed("instances", instances)

    def run(self, inputs: Mapping[str, Array | None]) -> Any:
        """Run the body on arrays: each model in it runs in this process, a function on arrays of its own."""
        return run_body(self.body, inputs, bls=self.lowering == "bls")

    def called(self) -> tuple[Definition[..., Any], ...]:
        """Find the models that the body names, without running it."""
        return named_models(self.body)

    def trace(self) -> tracing.Traced:
        """Run the body on symbols; give the graph of its calls.

        Raises:
            DiagnosticError: the signature can't be served, or the body computes with a tensor itself, asks whether an
                optional input is there, or goes on where a call fails.
        """
        signature = self.signature

        def trace(absent: Collection[str]) -> tracing.Traced:
            traced = tracing.trace(self.body, self.name, signature, self.returns, self.where, absent=absent)
            refuse_to_go_on(self.body, self.name, signature, traced, absent)
            return traced

        return trace_whatever_is_there(trace, self.name, signature, self.where)

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
    **options: Unpack[OptionArguments],
) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(
    body: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    lowering: Lowering = "ensemble",
    batching: Batching | None = None,
    instances: Instances | None = None,
    **options: Unpack[OptionArguments],
) -> Any:
    """Make a function a pipeline.

    Its parameters and its result are annotated like a model's. Its body calls models (and other pipelines) on its
    inputs and on their results, and returns some of those; it computes nothing itself. What it takes as
    `RequestParameters` it hands on to models that take them, as a whole. Called on arrays it runs here.

    Args:
        body: the function; or a pipeline, to make another of it with other settings.
        name: the model's name; by default that of the function.
        lowering: what Triton serves. `"ensemble"`: an ensemble; each model in it is scheduled and batched by itself.
            `"fused"`: one Python model, in which the body runs, its Python functions and ONNX graphs in one process,
            with no hop between them. That is faster; its ONNX graphs need the package onnxruntime in Triton's Python.
            `"bls"`: one Python model, in which the body runs and calls the other models where Triton serves them, at
            once where they don't depend on each other. Such a body may branch and loop on the data of a request, and
            on its parameters; it then runs for each request by itself. `"auto"`: fused where all that it calls is
            Python that loses nothing by it, else an ensemble; `tritonforge build --explain` says which, and why.
        batching: how requests are batched, of a fused or bls pipeline; by default the largest batch that all its models
            take. An ensemble leaves batching to its models.
        instances: how many copies of a fused or bls pipeline run; one on the CPU by default.
        options: the rest of the configuration: `response_cache`, `warmup`, `version_policy`, …; see `Options`.
    """

    def make(decorated: Callable[..., Any]) -> Pipeline[..., Any]:
        decorated = wrappable(decorated.body if isinstance(decorated, Pipeline) else decorated, "pipeline")
        made: Pipeline[..., Any] = Pipeline(
            decorated, origin=caller(), name=name, lowering=lowering, batching=batching, instances=instances
        )
        return made.configured(options)

    return make if body is None else make(body)
