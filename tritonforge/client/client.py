"""The client that blocks: checks before sending, one deadline a call, errors that say what and where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn, TypeVar, overload

from typing_extensions import Unpack

from tritonforge.client.assembly import assemble_blocking
from tritonforge.client.call import Defined, DefinedAsync
from tritonforge.client.calls.admin import Admin
from tritonforge.client.calls.generate_calls import generate, generate_stream
from tritonforge.client.calls.keywords import Batches, MapKeywords, SequenceKeywords
from tritonforge.client.calls.map_calls import map_in_threads
from tritonforge.client.calls.mapping import Mapped, Progress
from tritonforge.client.calls.methods import Calls
from tritonforge.client.calls.readiness import is_ready, wait_ready
from tritonforge.client.calls.sequence_calls import DefinedSequence, ModelSequence, begin_sequence
from tritonforge.client.calls.sequences import placed_parameters
from tritonforge.client.calls.turns import turns_of_threads
from tritonforge.client.concurrency.blocking import finish, iterate
from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.cuda.shared import CudaShared
from tritonforge.client.deadline import Deadline
from tritonforge.client.message import Parameter
from tritonforge.client.metadata import ModelStatus, ServedModel
from tritonforge.client.observing.observers import Metrics, Tracing, find_observers
from tritonforge.client.options import ConnectionOptions
from tritonforge.client.questions import Question
from tritonforge.client.reliable.replicas import Balance, Breaker
from tritonforge.client.reliable.retries import Retries
from tritonforge.client.result import Result
from tritonforge.client.shared_memory.arrays import Shape, SharedArrays, lent
from tritonforge.client.tensors.casts import Cast
from tritonforge.client.tensors.payload import version_text
from tritonforge.client.tensors.wire import Array
from tritonforge.client.transport import Json

__all__ = ["Client"]

R = TypeVar("R")


class Client:
    """A client of one Triton server for any number of threads, over HTTP also after a fork; a context manager.

    `url` is `http://host:port`, `grpc://host:port`, `https://…`, `grpcs://…`, or `host:port`, which is HTTP.
    `timeout_s` is the limit of each call as a whole, connecting included, where the call itself gives none.
    `options` are headers, tokens, TLS and the like. Nothing connects before the first call.
    `tracing` is None for spans where OpenTelemetry is installed, False for none, or a TracerProvider; `metrics` is True
    for Prometheus metrics in the default registry, or a CollectorRegistry.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        *,
        timeout_s: float = 30.0,
        options: ConnectionOptions | None = None,
        retries: Retries | None = None,
        breaker: Breaker | None = None,
        balance: Balance = "round_robin",
        shared_memory: bool = True,
        tracing: Tracing = None,
        metrics: Metrics = False,
    ) -> None:
        """Raise ValueError where a URL is not one, `timeout_s` not a finite number above 0, or a setting is none;
        TritonForgeError where `tracing` or `metrics` want a package that isn't installed.
        """
        self._assembly = assemble_blocking(
            url,
            options,
            retries=retries,
            breaker=breaker,
            balance=balance,
            shared_memory=shared_memory,
            observers=find_observers(tracing, metrics),
        )
        self._calls = Calls(self._assembly.transport, timeout_s, self._assembly.reliable, self._assembly.direct)

    @property
    def url(self) -> str:
        """The server's URL."""
        return self._calls.transport.url

    @property
    def admin(self) -> Admin:
        """Statistics, loading and unloading, the settings of traces and of the log."""
        return Admin(self._ask)

    @property
    def timeout_s(self) -> float:
        """The limit of each call that gives none."""
        return self._calls.timeout_s

    def infer(
        self,
        model: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        outputs: Iterable[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        cast: Cast = "none",
        top: Mapping[str, int] | None = None,
        into: Mapping[str, CudaArray] | None = None,
        sequence_id: int | str | None = None,
        sequence_start: bool = False,
        sequence_end: bool = False,
        headers: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Result:
        """Send arrays by tensor name, as keywords or in `inputs`, and give the named outputs.

        `outputs` asks for some only, in that order. Arrays go as they are, with no added dimensions, unless `cast`
        says otherwise. A name that is also an option's goes into `inputs`. An optional input may be None or left out.
        `top={"scores": 3}` gives the three highest values of an output as Labels; `into={"scores": array}` has one
        written to a CudaArray, which the result has as much of as it takes. `sequence_id`, `sequence_start` and
        `sequence_end` say where in a sequence the request is, for which there is also `sequence`. `headers` go beside
        those of the client's options, as of all calls that take them; of a name in both the call's counts.

        Raise InvalidRequest before sending where the arrays don't match what the server says of the model.
        """
        if parameters or sequence_id is not None or sequence_start or sequence_end:
            parameters = placed_parameters(parameters, sequence_id, start=sequence_start, end=sequence_end)
        calls = self._calls if headers is None else self._calls.with_headers(headers)
        fast = calls.fast if type(request_id) is str and not (request_id or parameters) else None
        if fast and inputs is None and outputs is None and top is None and into is None and cast == "none":
            result = fast.infer(model, version, named, Deadline(calls.timeout_s if timeout_s is None else timeout_s))
            if result is not None:
                return result
        coming = calls.infer(
            model,
            inputs,
            named,
            version=version,
            timeout_s=timeout_s,
            outputs=outputs,
            request_id=request_id,
            parameters=parameters,
            cast=cast,
            top=top,
            into=into,
        )
        return finish(coming)

    @overload
    def call(self, definition: DefinedAsync[R], /, *args: Any, **options: Any) -> R: ...
    @overload
    def call(
        self,
        definition: Defined[R],
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> R: ...
    def call(
        self,
        definition: Any,
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> Any:
        """Call a model through its definition: the arguments and the result are those of the definition called here.

        Raise InvalidRequest where the arguments don't match the definition's signature, or that one the server's;
        TypeError where it is given a name, or anything else that is no definition.
        """
        calls = self._calls if headers is None else self._calls.with_headers(headers)
        return finish(calls.call(definition, args, inputs, version=version, timeout_s=timeout_s, request_id=request_id))

    @overload
    def stream(
        self,
        model: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        outputs: Iterable[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        headers: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Generator[Result, None, None]: ...
    @overload
    def stream(
        self,
        definition: Defined[Iterator[R]] | Defined[AsyncIterator[R]],
        /,
        *args: Any,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> Generator[R, None, None]: ...
    def stream(self, model: Any, /, *args: Any, **options: Any) -> Generator[Any, None, None]:
        """Send one request and give each response of a decoupled model as it comes; gRPC only.

        By name it takes what `infer` takes and gives Results; through a definition what `call` takes, and gives what
        the definition yields. The timeout is for the whole stream. Closing the generator cancels the request.
        """
        calls = self._calls.with_headers(options.pop("headers", None))
        start = calls.stream_by_name if isinstance(model, str) else calls.stream_definition
        return iterate(finish(start(model, *args, **options)))

    def generate(
        self,
        model: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Json:
        """Send inputs and parameters as JSON and give the one answer as such, as models of text take it; HTTP only.

        Scalars and lists go as they are; the one response has its outputs by name, beside model_name and model_version.
        """
        calls = self._calls.with_headers(headers)
        return finish(
            generate(calls, model, inputs, named, version=version, timeout_s=timeout_s, request_id=request_id)
        )

    def generate_stream(
        self,
        model: str,
        /,
        inputs: Mapping[str, Any] | None = None,
        *,
        version: str | int = "",
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Generator[Json, None, None]:
        """Send inputs as `generate` does, and give each response as it comes; HTTP only."""
        calls = self._calls.with_headers(headers)
        came = generate_stream(calls, model, inputs, named, version=version, timeout_s=timeout_s, request_id=request_id)
        return iterate(came)

    @overload
    def map(self, model: str, inputs: Batches, /, **options: Unpack[MapKeywords]) -> Mapped[Result]: ...
    @overload
    def map(self, model: DefinedAsync[R], inputs: Batches, /, **options: Unpack[MapKeywords]) -> Mapped[R]: ...
    @overload
    def map(self, model: Defined[R], inputs: Batches, /, **options: Unpack[MapKeywords]) -> Mapped[R]: ...
    def map(
        self,
        model: Any,
        inputs: Batches,
        /,
        *,
        concurrency: int = 8,
        ordered: bool = True,
        batch_size: int | None = None,
        version: str | int = "",
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Mapped[Any]:
        """Infer many batches, `concurrency` at a time, and give each one's result: in order, else as they come.

        `inputs` are arrays, alone or by name, which are cut along the batch into requests of `batch_size` rows
        (max_batch_size, if none is given); or an iterable of batches, read as it is needed, one result for each. A
        batch larger than a request is cut, and its results are put together. `merge()` joins all results. At most twice
        `concurrency` requests are held in memory. The timeout is for each request. The first error ends it.
        """
        return map_in_threads(
            self._calls.with_headers(headers),
            model,
            inputs,
            version=version,
            timeout_s=timeout_s,
            concurrency=concurrency,
            ordered=ordered,
            batch_size=batch_size,
            progress=progress,
        )

    @overload
    def sequence(self, model: str, /, **options: Unpack[SequenceKeywords]) -> ModelSequence: ...
    @overload
    def sequence(self, definition: DefinedAsync[R], /, **options: Unpack[SequenceKeywords]) -> DefinedSequence[R]: ...
    @overload
    def sequence(self, definition: Defined[R], /, **options: Unpack[SequenceKeywords]) -> DefinedSequence[R]: ...
    def sequence(
        self,
        model: Any,
        /,
        *,
        version: str | int = "",
        sequence_id: int | str | None = None,
        closing: Mapping[str, Any] | None = None,
        replay: bool = False,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Begin a sequence: requests with a state between them, all to one instance of the model, on one server.

        The id is drawn where none is given. The first request starts the sequence, one with `end=True` ends it. Where
        none did, the block's end sends `closing` as the last request; without it, Triton ends the sequence after the
        model's idle time. With `replay`, the inputs are kept, and sent again where the server has lost the sequence.
        Requests go one at a time, in the order of asking; the timeout is for the waiting, too. Through a definition it
        takes the definition's arguments, `closing` too, and gives what it returns.
        """
        core = begin_sequence(
            self._calls.with_headers(headers),
            model,
            turns_of_threads(),
            version=version,
            sequence_id=sequence_id,
            closing=closing,
            replay=replay,
            timeout_s=timeout_s,
        )
        return ModelSequence(core) if isinstance(model, str) else DefinedSequence(core, model)

    def shared(self, **shapes: Shape) -> AbstractContextManager[dict[str, Array]]:
        """Give arrays in shared memory, for the block: `shared(x=((64, 20), np.float32))`.

        Sent as they are, or slices of them along the first dimension, they aren't copied. Don't change them while a
        call is under way. Raise ValueError where no server is on this machine, OSError where /dev/shm has no room.
        """
        return lent(lambda: SharedArrays(self._assembly.shared, shapes, self.url))

    def cuda_shared(self, device: int, /, **shapes: Shape) -> AbstractContextManager[dict[str, CudaArray]]:
        """Give arrays in the memory of a GPU, for the block: `cuda_shared(0, x=((64, 20), np.float32))`.

        As inputs and in `into=` of `infer` the server reads and writes them there. torch and CuPy take them as they
        are. Don't change them while a call is under way. Raise OSError where this machine has no CUDA driver, no GPU or
        no room, ValueError where it has no such device, or a server is not on this machine.
        """
        return lent(lambda: CudaShared(self._assembly, device, shapes, self.url))

    def is_ready(self, model: str = "", *, version: str | int = "", timeout_s: float | None = None) -> bool:
        """Tell whether the server, or a model of it, is ready; False where none can be reached."""
        return finish(is_ready(self._calls, model, version=version, timeout_s=timeout_s))

    def wait_ready(self, *models: str, timeout_s: float | None = None) -> None:
        """Wait until the server, and each of these models, is ready. Raise DeadlineExceeded where it isn't in time."""
        finish(wait_ready(self._calls, models, timeout_s=timeout_s))

    def describe(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> ServedModel:
        """Fetch what the server says of a model: signature, versions, batch limit. Later checks use it, too."""
        return finish(self._calls.describe(model, version=version, timeout_s=timeout_s))

    def models(self, *, timeout_s: float | None = None) -> list[ModelStatus]:
        """List the models of the server's repository with their states."""
        return finish(self._calls.models(timeout_s=timeout_s))

    def server(self, *, timeout_s: float | None = None) -> Json:
        """Fetch the server's name, version and extensions."""
        return dict(self._ask(Question("server_metadata"), timeout_s))

    def metadata(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> Json:
        """Fetch a model's metadata as Triton's HTTP API words it."""
        return dict(self._ask(Question("model_metadata", model, version_text(version)), timeout_s))

    def config(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> Json:
        """Fetch a model's configuration as Triton's HTTP API words it."""
        return dict(self._ask(Question("model_config", model, version_text(version)), timeout_s))

    def close(self) -> None:
        """Close all connections. A later call raises RuntimeError."""
        finish(self._calls.transport.close())

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r}, timeout_s={self.timeout_s:g})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} holds connections, and can't be copied or pickled: make one in each process")

    def _ask(self, question: Question, timeout_s: float | None) -> Any:
        return finish(self._calls.ask(question, timeout_s=timeout_s))
