"""What stands for a body's values while a pipeline is traced, and refuses what only a model can do with them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NoReturn

from tritonforge.define.origin import caller
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import Reference

__all__ = ["IN_BLS", "OnlyInBls", "Symbol", "Told", "Unawaited", "Unwaited"]

IN_BLS = 'let the body run in the server: @pipeline(lowering="bls")'


class OnlyInBls(Diagnostic):
    """What a body does that can't be traced, and is no mistake where it runs in the server."""

    __slots__ = ()


class Symbol:
    """Stands for a tensor while a pipeline is traced. It can be passed to models and returned, and nothing else.

    What else a body does with it is noted in `refused`, since the body may catch what is raised.
    """

    __slots__ = ("pipeline", "reference", "refused")

    def __init__(self, pipeline: str, reference: Reference, refused: list[Diagnostic]) -> None:
        self.pipeline = pipeline
        self.reference = reference
        self.refused = refused


class Told:
    """Stands for the request's parameters while a pipeline is traced. They can be handed on to models, as a whole.

    What else a body does with them is noted in `refused`.
    """

    __slots__ = ("pipeline", "refused")

    def __init__(self, pipeline: str, refused: list[Diagnostic]) -> None:
        self.pipeline = pipeline
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Unawaited:
    """A call of an async model while a pipeline is traced: it gives its symbols when it is awaited."""

    model: str
    outputs: Any
    error: Exception | None = None

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        if self.error is not None:
            raise self.error
        return self.outputs

    def __iter__(self) -> NoReturn:
        """Refuse to be taken apart, as several outputs are."""
        raise Unwaited(*self.explain("takes apart"))

    def explain(self, use: str) -> tuple[str, str]:
        """Say what is wrong with a use of the call as if it were its result, and how to mend it."""
        reason = f"{use} a call of {self.model}, which is async, and isn't awaited"
        return reason, f"write `await {self.model}(…)` in an `async def` body"


class Unwaited(TypeError):
    """A body uses the call of an async model as if it were its result: the message, and the hint."""


def _refuse(operation: str) -> Callable[..., NoReturn]:
    def refused(self: Symbol | Told, *given: object) -> NoReturn:
        place = caller().where.at(self.pipeline)
        attribute = str(given[0]) if operation == _ATTRIBUTE and given else ""
        found = f'{operation}, "{attribute}"' if attribute else operation
        found = _NUMPY if attribute.startswith("__array") else found
        wrong = (
            f"its body {found}; a pipeline only passes tensors between models",
            f"move the computation into a @model, or {IN_BLS}",
        )
        if isinstance(self, Told):
            wrong = (
                "its body reads the request's parameters; a pipeline only hands them on to models",
                f"read them in a @model, or {IN_BLS}",
            )
        diagnostic = OnlyInBls("TF209", place, *wrong)
        self.refused.append(diagnostic)
        raise DiagnosticError([diagnostic])

    return refused


_ATTRIBUTE = "asks a tensor for an attribute"
_NUMPY = "hands a tensor to NumPy"
_REFUSED = {
    "branches or loops on a tensor's value": ("bool", "int", "float", "complex", "index", "contains"),
    "takes a tensor apart (a model with one output gives one tensor)": ("iter", "getitem"),
    "asks a tensor for its length": ("len",),
    _ATTRIBUTE: ("getattr",),
    "compares tensors": ("eq", "ne", "lt", "le", "gt", "ge"),
    _NUMPY: ("array", "array_ufunc", "array_function"),
    "computes with a tensor": (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "matmul"),
        *("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rdivmod", "rpow", "rmatmul"),
        *("and", "or", "xor", "lshift", "rshift", "rand", "ror", "rxor", "rlshift", "rrshift"),
        *("neg", "pos", "abs", "invert", "round", "setitem", "delitem"),
    ),
}
for _operation, _names in _REFUSED.items():
    for _name in _names:
        setattr(Symbol, f"__{_name}__", _refuse(_operation))
        setattr(Told, f"__{_name}__", _refuse(_operation))
for _kind in (Symbol, Told):
    _kind.__hash__ = object.__hash__  # type: ignore[method-assign]  # __eq__ above would take it away
