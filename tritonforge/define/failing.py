"""Whether a pipeline's body goes on where a call fails: no one graph says what such a body does."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from tritonforge.define import tracing
from tritonforge.define.calls import named_values
from tritonforge.define.served_errors import TritonError
from tritonforge.define.symbols import IN_BLS, OnlyInBls
from tritonforge.errors import DiagnosticError
from tritonforge.ir import Signature

__all__ = ["refuse_to_go_on"]


class _AnyText(str):
    """A text that is and has all that it is asked for: a body may look at an error before it decides."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __contains__(self, part: object) -> bool:
        return True

    def startswith(self, *_: object) -> bool:
        return True

    def endswith(self, *_: object) -> bool:
        return True

    def lower(self) -> _AnyText:
        return self


class _AnyError(TritonError):
    """An error that is whichever a body looks for."""

    def __init__(self) -> None:
        super().__init__("")
        self.message = self.code = _AnyText()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.message


def refuse_to_go_on(
    body: Callable[..., Any], name: str, signature: Signature, traced: tracing.Traced, absent: Collection[str]
) -> None:
    """Trace a body again once for each of its calls, with that call raising: the error has to come out, or another.

    Requests that share a run of the body would else all get what it does about an error of one of them.

    Raises:
        DiagnosticError: it doesn't.
    """
    for index, step in enumerate(traced.graph.steps):
        for error in _errors(body):
            if tracing.goes_on(body, name, signature, index, error, absent=absent):
                caught = OnlyInBls(
                    "TF209",
                    step.where.at(name),
                    f"its body catches an error of {step.model} and goes on; a pipeline only passes tensors between "
                    "models",
                    f"let the error out, or {IN_BLS}",
                )
                raise DiagnosticError([*traced.diagnostics, caught])


def _errors(body: Callable[..., Any]) -> Iterator[Exception]:
    """Make errors to raise: of each kind that the body's code names, as it may catch any, and such as models raise."""
    yield TritonError("")
    yield _AnyError()
    kinds = [kind for value in named_values(body) for kind in (value if isinstance(value, tuple) else (value,))]
    for kind in dict.fromkeys(kind for kind in kinds if isinstance(kind, type)):
        if issubclass(kind, Exception) and not issubclass(TritonError, kind):
            try:
                yield kind.__new__(kind)
            except TypeError:  # it can't be made of nothing
                continue
