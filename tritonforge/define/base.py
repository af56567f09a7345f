"""What all definitions have in common: a name, a signature, and a call that runs here or is traced."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, cast

from pydantic import ValidationError
from typing_extensions import Self

from tritonforge.define import tracing
from tritonforge.define.argument_types import mistyped
from tritonforge.define.arrays import Array, Sizes, check_inputs, check_outputs
from tritonforge.define.asynchronous import then
from tritonforge.define.faults import settle, unknown
from tritonforge.define.isolation import copied, in_body, own, run_step
from tritonforge.define.origin import Origin, variable
from tritonforge.define.request_parameters import check_request_parameters
from tritonforge.define.settings import CommonArguments, OptionArguments, Options
from tritonforge.define.signature import Returns
from tritonforge.errors import Diagnostic, InvalidTensor, Where
from tritonforge.ir import Signature

__all__ = ["Definition"]

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


Given = TypeVar("Given")


class Definition(ABC, Generic[P, R_co]):
    """Something that becomes one model of a repository.

    Calling it on arrays runs it in this process; calling it inside a pipeline that is being built records a step. Where
    it is `asynchronous`, the call is awaited.
    """

    asynchronous: bool = False
    remarks: tuple[Diagnostic, ...] = ()
    """Warnings of what its signature was read from."""

    def __init__(self, origin: Origin, name: str | None) -> None:
        self._origin = origin
        self._mistyped: list[Exception] = []
        self._name = self._typed("name", name)
        self._variable = ""
        self.options = Options()

    def configured(self, options: CommonArguments | OptionArguments) -> Self:
        """Set the options of a definition that has just been made.

        While a build imports its sources, wrong ones are collected, and left out.

        Raises:
            ValidationError: one of them isn't allowed.
            TypeError: there is no such option, or another argument is of a wrong type.
        """
        given: dict[str, Any] = {**options}
        errors: list[Exception] = [*unknown(type(self), given), *self._mistyped]
        if self._name == "":
            errors.append(ValueError('name="" is no name; leave it out for that of the variable'))
        try:
            self.options = Options(**{name: given[name] for name in given if name in Options.model_fields})
        except ValidationError as error:
            errors.append(error)
        settle(errors, lambda: self.where)
        return self

    def _typed(self, argument: str, given: Given) -> Given | None:
        """Give an argument back; None, and the mistake to `configured`, where it is of another type than its own."""
        mistake = mistyped(argument, given)
        if mistake is None:
            return given
        self._mistyped.append(mistake)
        return None

    @property
    def name(self) -> str:
        """The model's name: as given, or that of the variable that holds it; empty where it has neither."""
        return self._name or self.variable

    @property
    def variable(self) -> str:
        """The variable of the defining module that holds it; empty where none does."""
        self._variable = self._variable or variable(self._origin.namespace, self)
        return self._variable

    @property
    def module(self) -> str:
        """The name of the module that defines it."""
        return self._origin.module

    @property
    def file(self) -> Path:
        """The file of that module."""
        return self._origin.file

    @property
    def where(self) -> Where:
        """The line that defines it."""
        return self._origin.where.at(self.name)

    def find_beside(self, path: str) -> Path:
        """Find a file that a setting names, from the folder of the file that makes the definition.

        Raises:
            MissingFile: nothing is there.
        """
        return self._origin.beside(path, self.name)

    @property
    @abstractmethod
    def signature(self) -> Signature:
        """What it takes and gives.

        Raises:
            DiagnosticError: its annotations or its file can't be served by Triton.
        """

    @property
    @abstractmethod
    def returns(self) -> Returns:
        """The form in which it hands over its outputs."""

    @abstractmethod
    def run(self, inputs: Mapping[str, Any]) -> Any:
        """Run on checked arrays in this process, with the request's parameters where they are taken; give the result
        in the form of `returns`.
        """

    def wrap(self, outputs: Mapping[str, Array]) -> R_co:
        """Put outputs by name into the definition's own return type, as a client does with a response."""
        names = [spec.name for spec in self.signature.outputs]
        return cast(R_co, self.returns.pack({name: outputs[name] for name in names}))

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Run on arrays in this process, or record a step of the pipeline that is being traced.

        Raises:
            InvalidTensor: an argument or a result doesn't match the signature.
            TritonError: inside a bls pipeline's body, whatever the call itself raises.
            DiagnosticError: the definition itself can't be served, or not be called inside a pipeline's body.
        """
        tracer = tracing.active()
        if tracer is not None:
            return cast(R_co, tracer.call(self, args, kwargs))
        signature = self.signature
        if in_body():
            tracing.require_chainable(self)
        given, faults = tracing.bind(signature, args, kwargs)
        if faults:
            raise InvalidTensor(f"{self.name}: {'; '.join(fault for _, fault in faults)}; it takes {signature}")
        sizes = Sizes()
        inputs: dict[str, Any] = check_inputs(self.name, signature, given, sizes)
        if name := signature.request_parameters:
            inputs[name] = check_request_parameters(self.name, name, given.get(name))
        return cast(R_co, run_step(lambda: self._run(signature, inputs, sizes)))

    def _run(self, signature: Signature, inputs: Mapping[str, Any], sizes: Sizes) -> Any:
        result = self.run(inputs)
        if signature.decoupled:
            if isinstance(result, AsyncIterator):
                return self._async_stream(result)
            if isinstance(result, Iterator):
                return self._stream(result)
            reason = f"returned {type(result).__name__}; wanted an iterator, as a generator function gives"
            raise InvalidTensor(f"{self.name}: {reason}")
        return then(result, lambda found: self._checked(found, sizes))

    async def _async_stream(self, results: AsyncIterator[Any]) -> AsyncIterator[R_co]:
        async for result in results:
            yield self._checked(result, Sizes(), copy=True)

    def _stream(self, results: Iterator[Any]) -> Iterator[R_co]:
        for result in results:
            yield self._checked(result, Sizes(), copy=True)

    def _checked(self, result: Any, sizes: Sizes, *, copy: bool = False) -> R_co:
        names = tuple(spec.name for spec in self.signature.outputs)
        try:
            outputs = self.returns.unpack(result, names)
        except ValueError as error:
            raise InvalidTensor(f"{self.name}: {error}") from error
        checked = check_outputs(self.name, self.signature, outputs, sizes)
        return self.wrap(copied(checked) if copy else own(checked))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or 'without a name'}>"
