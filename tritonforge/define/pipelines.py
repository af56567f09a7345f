"""`@pipeline`: models chained in a function's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ParamSpec, TypeVar, overload

from tritonforge.define import tracing
from tritonforge.define.arrays import Array
from tritonforge.define.base import Definition
from tritonforge.define.origin import Origin, caller
from tritonforge.define.signature import ParsedFunction, Returns, parse_function
from tritonforge.errors import Where
from tritonforge.ir import Signature

__all__ = ["Pipeline", "pipeline"]

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Pipeline(Definition[P, R_co]):
    """A function whose body passes tensors between models; Triton serves it as one ensemble."""

    def __init__(self, body: Callable[P, R_co], *, origin: Origin, name: str | None) -> None:
        super().__init__(origin, name)
        self.body = body
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
def pipeline(*, name: str | None = None) -> Callable[[Callable[P, R]], Pipeline[P, R]]: ...
def pipeline(body: Callable[..., Any] | None = None, /, *, name: str | None = None) -> Any:
    """Make a function a pipeline.

    Its parameters and its result are annotated like a model's. Its body calls models (and other pipelines) on its
    inputs and on their results, and returns some of those; it computes nothing itself. Called on arrays it runs here;
    built, it is a Triton ensemble.

    Args:
        body: the function.
        name: the model's name; by default that of the function.
    """
    origin = caller()

    def make(decorated: Callable[..., Any]) -> Pipeline[..., Any]:
        return Pipeline(decorated, origin=origin, name=name)

    return make if body is None else make(body)
