"""What each method of a client does, written once for `Client` and `AsyncClient`: no I/O but a transport's."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from tritonforge.client.call import Definition, give_back, read_arguments, require_definition
from tritonforge.client.call_headers import HeadersTransport
from tritonforge.client.calls.fast_path import AsyncDirectTransport, AsyncFastPath, Direct, DirectTransport, FastPath
from tritonforge.client.calls.reading import conclude, read
from tritonforge.client.calls.stream_count import StreamCount
from tritonforge.client.catalog import Catalog, read_index
from tritonforge.client.concurrency.joint import Joint
from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    Target,
)
from tritonforge.client.message import Parameter, Request
from tritonforge.client.metadata import ModelStatus, ServedModel
from tritonforge.client.options import checked_headers, require_metadata
from tritonforge.client.questions import Question
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import checked_parameters, list_outputs, require_name, require_request_id
from tritonforge.client.tensors.casts import Cast, cast_inputs, require_cast
from tritonforge.client.tensors.kinds import Known, form_of
from tritonforge.client.tensors.payload import (
    check,
    make_request,
    make_request_of,
    merge_inputs,
    require_outputs,
    require_own,
    version_text,
    with_timeout,
)
from tritonforge.client.tensors.wanted import Wanted, require_wanted
from tritonforge.client.transport import AsyncTransport
from tritonforge.ir import Signature

__all__ = ["Calls"]

R = TypeVar("R")

_OF_ONE_MODEL = ("model_metadata", "model_config", "load", "unload")


class Calls:
    """The calls to one server over one transport. Whether they block is the transport's business."""

    __slots__ = ("async_fast", "catalog", "fast", "timeout_s", "transport")

    def __init__(
        self,
        transport: AsyncTransport,
        timeout_s: float,
        unwatched: AsyncTransport | None = None,
        direct: Direct[DirectTransport] | None = None,
        async_direct: Direct[AsyncDirectTransport] | None = None,
        joint: Joint[Any, Any] | None = None,
    ) -> None:
        """Raise ValueError where `timeout_s` is not a finite number above 0.

        `unwatched` is without observers; `direct` is what common calls go by that block,
        `async_direct` those in an event loop; `joint` is how these wait for one another.
        """
        Deadline(timeout_s)
        self.timeout_s = timeout_s
        self.transport = transport
        self.catalog = Catalog(transport, unwatched, joint)
        self.fast = FastPath(self.catalog, direct) if direct else None
        self.async_fast = AsyncFastPath(self.catalog, async_direct) if async_direct else None

    def with_headers(self, headers: Mapping[str, str] | None) -> Calls:
        """Give the same calls with headers of their own, which count where the client has a name, too.

        Raise TypeError or ValueError for what is no header, or can't be sent.
        """
        if headers is None:
            return self
        given = checked_headers(headers)
        if any(url.startswith("grpc") for url in self.transport.url.split(", ")):
            require_metadata(headers)
        calls = copy.copy(self)
        calls.transport = HeadersTransport(self.transport, given)
        calls.catalog = self.catalog.with_headers(given)
        calls.fast = calls.async_fast = None
        return calls

    def deadline(self, timeout_s: float | None) -> Deadline:
        """Start the clock of a call. Raise ValueError where `timeout_s` is not a finite number above 0."""
        return Deadline(self.timeout_s if timeout_s is None else timeout_s)

    def target(self, model: str, version: str | int = "", request_id: str = "") -> Target:
        """Name whom a call speaks to. Raise ValueError where the version is none."""
        if type(request_id) is not str:
            require_request_id(request_id)
        unversioned = type(version) is str and not version
        return Target(self.transport.url, model, "" if unversioned else version_text(version), request_id)

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Any] | None,
        named: dict[str, Any],
        *,
        version: str | int,
        timeout_s: float | None,
        outputs: Iterable[str] | None,
        request_id: str,
        parameters: Mapping[str, Parameter] | None,
        cast: Cast = "none",
        top: Mapping[str, int] | None = None,
        into: Mapping[str, CudaArray] | None = None,
    ) -> Result:
        """Infer by the model's name."""
        asked = () if outputs is None else list_outputs(outputs)
        target = self.target(model, version, request_id)
        merged = named if inputs is None else merge_inputs(inputs, named, target)
        deadline = self.deadline(timeout_s)
        wanted = None if not top and into is None else require_wanted(top, into)
        if cast == "none":
            return await self._infer_outputs(target, merged, deadline, asked, parameters, wanted)
        require_cast(cast)
        known = await self.known(target, deadline)
        try:
            sent = cast_inputs(known.served.signature, merged, cast, target)
            return await self._infer_outputs(target, sent, deadline, asked, parameters, wanted)
        except InvalidRequest as error:
            renewed = await self.catalog.fetch(target, deadline, sent=bool(error.code))
            if renewed.served.signature == known.served.signature:
                raise
        # It was refused for what the model takes no more: it is made anew for what that takes now.
        sent = cast_inputs(renewed.served.signature, merged, cast, target)
        return await self._infer_outputs(target, sent, deadline, asked, parameters, wanted)

    async def call(
        self,
        definition: Definition[R],
        args: Sequence[Any],
        inputs: Mapping[str, Any],
        *,
        version: str | int,
        timeout_s: float | None,
        request_id: str,
    ) -> R:
        """Infer through a definition."""
        require_definition(definition, "call", "infer")
        target = self.target(definition.name, version, request_id)
        sent, parameters = read_arguments(definition, args, inputs, target)
        result = await self.infer_checked(
            target, sent, self.deadline(timeout_s), parameters=parameters, defined=definition.signature
        )
        return give_back(definition, result, target)

    async def stream_by_name(
        self,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        outputs: Iterable[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        **named: Any,
    ) -> AsyncGenerator[Result, None]:
        """Start a stream by the model's name, and give what reads it."""
        parameters = checked_parameters(parameters)
        asked = () if outputs is None else list_outputs(outputs)
        deadline = self.deadline(timeout_s)
        target = self.target(model, version, request_id)
        merged = merge_inputs(inputs, named, target)
        await self._require_streams(target, deadline)
        known, request = await self.prepare(target, merged, asked, parameters, deadline)
        return self._results(request, deadline, asked, known, target)

    async def stream_definition(
        self,
        definition: Definition[R],
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        **inputs: Any,
    ) -> AsyncGenerator[R, None]:
        """Start a stream through a definition, and give what reads it."""
        require_definition(definition, "stream", "stream")
        deadline = self.deadline(timeout_s)
        target = self.target(definition.name, version, request_id)
        await self._require_streams(target, deadline)
        sent, parameters = read_arguments(definition, args, inputs, target)
        known, request = await self.prepare(target, sent, (), parameters, deadline, definition.signature)
        return self._typed_results(self._results(request, deadline, (), known, target), definition, target)

    async def describe(self, model: str, *, version: str | int, timeout_s: float | None) -> ServedModel:
        """Fetch what the server says of a model, and check later requests against it."""
        return (await self.catalog.describe(self.target(model, version), self.deadline(timeout_s))).served

    async def models(self, *, timeout_s: float | None) -> list[ModelStatus]:
        """List the models of the server's repository with their states; those served, where that wants a key."""
        return await read_index(self.transport, self.deadline(timeout_s))

    async def ask(self, question: Question, *, timeout_s: float | None) -> Any:
        """Ask the server something, and give its answer as Triton's HTTP API words it."""
        if question.model != "" or question.subject in _OF_ONE_MODEL:
            require_name(question.model)
        deadline = self.deadline(timeout_s)
        try:
            return await self.transport.ask(question, deadline)
        except (InvalidRequest, InferenceFailed, ModelNotFound) as error:
            target = Target(self.transport.url, question.model, question.version)
            told = await self.catalog.told_apart(error, target, deadline)
            if told is None:
                raise
            raise told from error

    async def _infer_outputs(
        self,
        target: Target,
        inputs: Mapping[str, Any],
        deadline: Deadline,
        asked: Sequence[str],
        parameters: Mapping[str, Parameter] | None,
        wanted: Wanted | None,
    ) -> Result:
        """Infer, and give the outputs asked for, or all. Raise InferenceFailed where one that was named is missing.

        To have one in another form, a request must name all that it wants: without `asked`, those that the model has
        now, of which it may leave some out, as of a request that names none.
        """
        if wanted is None:
            result = await self.infer_checked(target, inputs, deadline, outputs=asked, parameters=parameters)
            require_outputs(result, asked, target)
            return result
        known = self.catalog.known(target) if asked else None
        if known is None or wanted.misfit(known.served.signature):
            known = await self.catalog.fetch(target, deadline)
            wanted.require_fit(known.served.signature, target)
        outputs, changes = wanted.among(asked or known.output_names), wanted.changes(target)
        result = await self.infer_checked(
            target, inputs, deadline, outputs=outputs, parameters=parameters, changes=changes
        )
        require_outputs(result, wanted.among(asked), target)
        return wanted.give(result, target)

    async def infer_checked(
        self,
        target: Target,
        inputs: Mapping[str, Any],
        deadline: Deadline,
        *,
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
        defined: Signature | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Result:
        """Check, send, and read the one answer. `changes` are fields of the request that no model has to agree to."""
        if not (outputs or parameters or changes or target.request_id):
            common = target.model, target.version, inputs, deadline
            if self.fast is not None and (result := self.fast.infer(*common)) is not None:
                return result
            if self.async_fast is not None and (coming := self.async_fast.infer(*common)) is not None:
                return await coming
        known, request = self._like(target, inputs, outputs, parameters, deadline) or await self.prepare(
            target, inputs, outputs, parameters, deadline, defined
        )
        if changes:
            request = request._replace(**changes, kind=None)
        if known.served.signature.decoupled:
            raise InvalidRequest("the model is decoupled: it may give any number of responses; use stream()", target)
        return await conclude(self.transport.infer(request, deadline), known, self.catalog, target, deadline, outputs)

    async def prepare(
        self,
        target: Target,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        parameters: Mapping[str, Parameter] | None,
        deadline: Deadline,
        defined: Signature | None = None,
    ) -> tuple[Known, Request]:
        """Check the inputs against the model, asking the server anew where what is known of it doesn't fit.

        `defined` is the signature of the definition that the inputs have been checked against already.
        """
        require_name(target.model)
        known, new = await self.catalog.obtain(target, deadline)
        problem = check(known.served, inputs, outputs, defined)
        if problem and not new:
            known = await self.catalog.fetch(target, deadline)
            problem = check(known.served, inputs, outputs, defined)
        if problem:
            raise InvalidRequest(problem, target)
        known.learn(form_of(inputs, outputs), inputs)
        if known.served.queue_timeout:
            parameters = with_timeout(parameters, deadline)
        request = make_request(target, known.served, inputs, outputs, parameters)
        try:
            deadline.left_s()  # many strings take long to encode
        except TimeoutError as error:
            raise DeadlineExceeded(f"not sent within {deadline.given}", target, sent=False) from error
        return known, request

    def _like(
        self,
        target: Target,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        parameters: Mapping[str, Parameter] | None,
        deadline: Deadline,
    ) -> tuple[Known, Request] | None:
        """Make a request like an earlier one, which needs no check; None where there has been none."""
        known = self.catalog.known(target)
        kind = None if known is None else known.kinds.get(form_of(inputs, outputs))
        if known is None or kind is None:
            return None
        if known.served.queue_timeout:
            parameters = with_timeout(parameters, deadline)
        return known, make_request_of(kind, target, inputs, outputs, parameters)

    async def known(self, target: Target, deadline: Deadline) -> Known:
        """Give what is known of a model; ask the server where nothing is."""
        return (await self.catalog.obtain(target, deadline))[0]

    async def _require_streams(self, target: Target, deadline: Deadline) -> None:
        """Raise InvalidRequest where all servers are of HTTP: to mend the inputs first would be in vain."""
        if all(url.startswith("http") for url in self.transport.url.split(", ")):
            nothing = Request(target.model, (), version=target.version, id=target.request_id)
            async with aclosing(self.transport.stream(nothing, deadline)) as responses:
                async for _ in responses:
                    return

    async def _results(
        self, request: Request, deadline: Deadline, outputs: Sequence[str], known: Known, target: Target
    ) -> AsyncGenerator[Result, None]:
        with StreamCount(deadline) as count:
            async with aclosing(self.transport.stream(request, deadline)) as responses:
                async for response in responses:
                    require_own(response, target)
                    yield await read(response, known, self.catalog, target, deadline, outputs)
                    count.given += 1

    async def _typed_results(
        self, results: AsyncGenerator[Result, None], definition: Definition[R], target: Target
    ) -> AsyncGenerator[R, None]:
        async with aclosing(results):
            async for result in results:
                yield give_back(definition, result, target)
