"""The client: checks before sending, one deadline a call, errors that say what and where."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

from tritonforge.client.call import Definition, give_back, make_inputs, require_definition
from tritonforge.client.catalog import Catalog
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.http import HttpTransport
from tritonforge.client.message import Parameter, Request
from tritonforge.client.metadata import ModelStatus, ServedModel
from tritonforge.client.payload import check, make_request, merge_inputs, read_result, version_text
from tritonforge.client.result import Result
from tritonforge.client.streams import read_results, typed_results
from tritonforge.client.transport import Json, Transport
from tritonforge.client.url import parse_url
from tritonforge.ir import Signature

__all__ = ["Client"]

R = TypeVar("R")

_POLL_S = 0.05


class Client:
    """A client of one Triton server, usable from any number of threads, and as a context manager.

    `url` is `http://host:port`, `grpc://host:port`, or `host:port`, which is HTTP. `timeout_s` is the limit of each
    call as a whole, connecting included, where the call itself gives none. Nothing connects before the first call.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        """Raise ValueError where the URL is not one, or `timeout_s` not a finite number above 0."""
        Deadline(timeout_s)
        self.timeout_s = timeout_s
        self._transport = _transport(url)
        self._catalog = Catalog(self._transport)

    @property
    def url(self) -> str:
        """The server's URL."""
        return self._transport.url

    def infer(
        self,
        model: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        **named: Any,
    ) -> Result:
        """Send arrays by tensor name, as keywords or in `inputs`, and give the named outputs.

        `outputs` asks for some only, in that order. Arrays go as they are: no casts, no added dimensions. A name
        that is also an option's goes into `inputs`. An optional input may be None or left out.

        Raise InvalidRequest before sending where the arrays don't match what the server says of the model.
        """
        target = Target(self.url, model, version_text(version), request_id)
        merged = merge_inputs(inputs, named, target)
        return self._infer(target, merged, self._deadline(timeout_s), outputs=outputs, parameters=parameters)

    def call(
        self,
        definition: Definition[R],
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        **inputs: Any,
    ) -> R:
        """Call a model through its definition: the arguments and the result are those of the definition called here.

        Raise InvalidRequest where the arguments don't match the definition's signature, or that one the server's;
        TypeError where it is given a name, or anything else that is no definition.
        """
        require_definition(definition, "call", "infer")
        target = Target(self.url, definition.name, version_text(version), request_id)
        sent = make_inputs(definition, args, inputs, target)
        return give_back(
            definition, self._infer(target, sent, self._deadline(timeout_s), defined=definition.signature), target
        )

    @overload
    def stream(
        self,
        model: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        **named: Any,
    ) -> Generator[Result, None, None]: ...
    @overload
    def stream(
        self,
        definition: Definition[Iterator[R]],
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        **inputs: Any,
    ) -> Generator[R, None, None]: ...
    def stream(self, model: Any, /, *args: Any, **options: Any) -> Generator[Any, None, None]:
        """Send one request and give each response of a decoupled model as it comes; gRPC only.

        By name it takes what `infer` takes and gives Results; through a definition it takes what `call` takes, and
        gives what the definition yields. The timeout is for the whole stream. Closing the generator cancels the
        request.
        """
        if isinstance(model, str):
            return self._stream_by_name(model, *args, **options)
        require_definition(model, "stream", "stream")
        return self._stream_definition(model, *args, **options)

    def is_ready(self, model: str = "", *, version: str | int = "", timeout_s: float | None = None) -> bool:
        """Tell whether the server, or a model of it, is ready; False where none can be reached."""
        try:
            return self._is_ready(model, version_text(version), self._deadline(timeout_s))
        except (ServerUnavailable, DeadlineExceeded):
            return False

    def wait_ready(self, *models: str, timeout_s: float | None = None) -> None:
        """Wait until the server, and each of these models, is ready. Raise DeadlineExceeded where it isn't in time."""
        deadline = self._deadline(timeout_s)
        waiting = ["", *models]
        last = "it said that it is not ready"
        try:
            while waiting:
                try:
                    while waiting and self._is_ready(waiting[0], "", deadline):
                        waiting.pop(0)
                except ServerUnavailable as error:
                    last = error.reason
                if waiting:
                    time.sleep(min(_POLL_S, deadline.left_s()))
        except (TimeoutError, DeadlineExceeded) as error:
            reason = f"not ready within {deadline.timeout_s:g} s: {last}"
            raise DeadlineExceeded(reason, Target(self.url, waiting[0])) from error

    def describe(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> ServedModel:
        """Fetch what the server says of a model: signature, versions, batch limit. Later checks use it, too."""
        return self._catalog.fetch(Target(self.url, model, version_text(version)), self._deadline(timeout_s))

    def models(self, *, timeout_s: float | None = None) -> list[ModelStatus]:
        """List the models of the server's repository with their states."""
        entries = self._transport.index(self._deadline(timeout_s))
        return [
            ModelStatus(*(str(entry.get(key, "")) for key in ("name", "version", "state", "reason")))
            for entry in entries
        ]

    def server(self, *, timeout_s: float | None = None) -> Json:
        """Fetch the server's name, version and extensions."""
        return self._transport.server_metadata(self._deadline(timeout_s))

    def metadata(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> Json:
        """Fetch a model's metadata as Triton's HTTP API words it."""
        return self._transport.model_metadata(model, version_text(version), self._deadline(timeout_s))

    def config(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> Json:
        """Fetch a model's configuration as Triton's HTTP API words it."""
        return self._transport.model_config(model, version_text(version), self._deadline(timeout_s))

    def close(self) -> None:
        """Close all connections. A later call raises RuntimeError."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, timeout_s={self.timeout_s:g})"

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self.timeout_s if timeout_s is None else timeout_s)

    def _is_ready(self, model: str, version: str, deadline: Deadline) -> bool:
        if model:
            return self._transport.model_ready(model, version, deadline)
        return self._transport.server_ready(deadline)

    def _infer(
        self,
        target: Target,
        inputs: Mapping[str, Any],
        deadline: Deadline,
        *,
        outputs: Sequence[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
        defined: Signature | None = None,
    ) -> Result:
        served, request = self._prepare(target, inputs, outputs, parameters, deadline, defined)
        if served.signature.decoupled:
            raise InvalidRequest("the model is decoupled: it may give any number of responses; use stream()", target)
        try:
            response = self._transport.infer(request, deadline)
        except InvalidRequest:
            self._catalog.forget(target)  # it passed the checks: the model has changed, perhaps
            raise
        return read_result(response, served, outputs, target)

    def _stream_by_name(
        self,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        **named: Any,
    ) -> Generator[Result, None, None]:
        deadline = self._deadline(timeout_s)
        target = Target(self.url, model, version_text(version), request_id)
        served, request = self._prepare(target, merge_inputs(inputs, named, target), outputs, parameters, deadline)
        return read_results(self._transport.stream(request, deadline), served, outputs, target)

    def _stream_definition(
        self,
        definition: Definition[R],
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        **inputs: Any,
    ) -> Generator[R, None, None]:
        deadline = self._deadline(timeout_s)
        target = Target(self.url, definition.name, version_text(version), request_id)
        sent = make_inputs(definition, args, inputs, target)
        served, request = self._prepare(target, sent, (), None, deadline, definition.signature)
        results = read_results(self._transport.stream(request, deadline), served, (), target)
        return typed_results(results, definition, target)

    def _prepare(
        self,
        target: Target,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        parameters: Mapping[str, Parameter] | None,
        deadline: Deadline,
        defined: Signature | None = None,
    ) -> tuple[ServedModel, Request]:
        """Check the inputs against the model, asking the server anew where what is known of it doesn't fit.

        `defined` is the signature of the definition that the inputs have been checked against already.
        """
        served = self._catalog.known(target)
        if served is None or check(served, inputs, outputs, defined):
            served = self._catalog.fetch(target, deadline)
            problem = check(served, inputs, outputs, defined)
            if problem:
                raise InvalidRequest(problem, target)
        return served, make_request(target, served, inputs, outputs, parameters)


def _transport(url: str) -> Transport:
    endpoint = parse_url(url)
    if endpoint.scheme == "grpc":
        from tritonforge.client.grpc import GrpcTransport

        return GrpcTransport(endpoint)
    return HttpTransport(endpoint)
