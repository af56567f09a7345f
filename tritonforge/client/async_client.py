"""The client for event loops: the same methods, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import Any, NoReturn, TypeVar, overload
from weakref import WeakSet

from typing_extensions import Unpack

from tritonforge.client.assembly import assemble_async
from tritonforge.client.call import Defined, DefinedAsync
from tritonforge.client.calls.admin import AsyncAdmin
from tritonforge.client.calls.generate_calls import generate, generate_stream
from tritonforge.client.calls.keywords import AnyBatches, MapKeywords, SequenceKeywords
from tritonforge.client.calls.map_calls import AsyncMapped, map_in_tasks
from tritonforge.client.calls.mapping import Progress
from tritonforge.client.calls.methods import Calls
from tritonforge.client.calls.readiness import is_ready, wait_ready
from tritonforge.client.calls.sequence_calls import AsyncDefinedSequence, AsyncModelSequence, begin_sequence
from tritonforge.client.calls.sequences import placed_parameters
from tritonforge.client.calls.turns import turns_of_tasks
from tritonforge.client.concurrency.joint import JointOfTasks
from tritonforge.client.concurrency.loops import PerLoop
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
from tritonforge.client.shared_memory.arrays import Shape, SharedArrays, lent_async
from tritonforge.client.tensors.casts import Cast
from tritonforge.client.tensors.payload import version_text
from tritonforge.client.tensors.wire import Array
from tritonforge.client.transport import Json

__all__ = ["AsyncClient"]

R = TypeVar("R")


class AsyncClient:
    """A client of one Triton server for asyncio: any number of tasks, and as an asynchronous context manager.

    It takes what `Client` takes, and its methods are those of `Client`. Cancelling a task cancels its request; over
    gRPC the server learns of it. Each event loop that uses it has connections of its own, which end with it.
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
        self._assembly = parts = assemble_async(
            url,
            options,
            retries=retries,
            breaker=breaker,
            balance=balance,
            shared_memory=shared_memory,
            observers=find_observers(tracing, metrics),
        )
        self._calls = Calls(parts.transport, timeout_s, parts.reliable, None, parts.async_direct, JointOfTasks())
        self._maps: PerLoop[WeakSet[AsyncMapped[Any]]] = PerLoop(WeakSet, WeakSet.clear)

    @property
    def url(self) -> str:
        """The server's URL."""
        return self._calls.transport.url

    @property
    def admin(self) -> AsyncAdmin:
        """Statistics, loading and unloading, the settings of traces and of the log."""
        return AsyncAdmin(self._ask)

    @property
    def timeout_s(self) -> float:
        """The limit of each call that gives none."""
        return self._calls.timeout_s

    async def infer(
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
        """Send arrays by tensor name, as keywords or in `inputs`, and give the named outputs; see `Client.infer`.

        A name that is also an option's goes into `inputs`. `headers` go beside those of the client's options, as of all
        calls that take them; of a name in both the call's counts.

        Raise InvalidRequest before sending where the arrays don't match what the server says of the model.
        """
        if parameters or sequence_id is not None or sequence_start or sequence_end:
            parameters = placed_parameters(parameters, sequence_id, start=sequence_start, end=sequence_end)
        calls = self._calls if headers is None else self._calls.with_headers(headers)
        fast = calls.async_fast if type(request_id) is str and not (request_id or parameters) else None
        if fast and inputs is None and outputs is None and top is None and into is None and cast == "none":
            coming = fast.infer(model, version, named, Deadline(calls.timeout_s if timeout_s is None else timeout_s))
            if coming is not None:
                return await coming
        return await calls.infer(
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

    @overload
    async def call(self, definition: DefinedAsync[R], /, *args: Any, **options: Any) -> R: ...
    @overload
    async def call(
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
    async def call(
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
        return await calls.call(definition, args, inputs, version=version, timeout_s=timeout_s, request_id=request_id)

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
    ) -> AsyncGenerator[Result, None]: ...
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
    ) -> AsyncGenerator[R, None]: ...
    async def stream(self, model: Any, /, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        """Send one request and give each response of a decoupled model as it comes; gRPC only.

        By name it takes what `infer` takes and gives Results; through a definition what `call` takes, and gives what
        the definition yields. The timeout is for the whole stream. Closing the generator cancels the request.
        """
        calls = self._calls.with_headers(options.pop("headers", None))
        start = calls.stream_by_name if isinstance(model, str) else calls.stream_definition
        async with aclosing(await start(model, *args, **options)) as items:
            async for item in items:
                yield item

    async def generate(
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
        return await generate(calls, model, inputs, named, version=version, timeout_s=timeout_s, request_id=request_id)

    async def generate_stream(
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
    ) -> AsyncGenerator[Json, None]:
        """Send inputs as `generate` does, and give each response as it comes; HTTP only."""
        calls = self._calls.with_headers(headers)
        async with aclosing(
            generate_stream(calls, model, inputs, named, version=version, timeout_s=timeout_s, request_id=request_id)
        ) as answers:
            async for answer in answers:
                yield answer

    @overload
    def map(self, model: str, inputs: AnyBatches, /, **options: Unpack[MapKeywords]) -> AsyncMapped[Result]: ...
    @overload
    def map(self, model: DefinedAsync[R], inputs: AnyBatches, /, **options: Unpack[MapKeywords]) -> AsyncMapped[R]: ...
    @overload
    def map(self, model: Defined[R], inputs: AnyBatches, /, **options: Unpack[MapKeywords]) -> AsyncMapped[R]: ...
    def map(
        self,
        model: Any,
        inputs: AnyBatches,
        /,
        *,
        concurrency: int = 8,
        ordered: bool = True,
        batch_size: int | None = None,
        version: str | int = "",
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> AsyncMapped[Any]:
        """Infer many batches, `concurrency` at a time, and give each one's result: in order, else as they come.

        `inputs` are arrays, alone or by name, which are cut along the batch into requests of `batch_size` rows
        (max_batch_size, if none is given); or an iterable of batches, also an asynchronous one, read as needed, one
        result for each. A batch larger than a request is cut, and its results are put together. `merge()` joins all.
        At most twice `concurrency` requests are held. The timeout is for each request. The first error ends it.
        """
        mapped = map_in_tasks(
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
        with suppress(RuntimeError):  # of a map that is made outside of a loop: what it leaves, the loop's end ends
            self._maps.get().add(mapped)
        return mapped

    map_async = map
    """`map`, by the name that tells it from that of `Client`."""

    @overload
    def sequence(self, model: str, /, **options: Unpack[SequenceKeywords]) -> AsyncModelSequence: ...
    @overload
    def sequence(
        self, definition: DefinedAsync[R], /, **options: Unpack[SequenceKeywords]
    ) -> AsyncDefinedSequence[R]: ...
    @overload
    def sequence(self, definition: Defined[R], /, **options: Unpack[SequenceKeywords]) -> AsyncDefinedSequence[R]: ...
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
            turns_of_tasks(),
            version=version,
            sequence_id=sequence_id,
            closing=closing,
            replay=replay,
            timeout_s=timeout_s,
        )
        return AsyncModelSequence(core) if isinstance(model, str) else AsyncDefinedSequence(core, model)

    def shared(self, **shapes: Shape) -> AbstractAsyncContextManager[dict[str, Array]]:
        """Give arrays in shared memory, for the block: `shared(x=((64, 20), np.float32))`; see `Client.shared`."""
        return lent_async(lambda: SharedArrays(self._assembly.shared, shapes, self.url))

    def cuda_shared(self, device: int, /, **shapes: Shape) -> AbstractAsyncContextManager[dict[str, CudaArray]]:
        """Give arrays in the memory of a GPU: `cuda_shared(0, x=((64, 20), np.float32))`; see `Client.cuda_shared`."""
        return lent_async(lambda: CudaShared(self._assembly, device, shapes, self.url))

    async def is_ready(self, model: str = "", *, version: str | int = "", timeout_s: float | None = None) -> bool:
        """Tell whether the server, or a model of it, is ready; False where none can be reached."""
        return await is_ready(self._calls, model, version=version, timeout_s=timeout_s)

    async def wait_ready(self, *models: str, timeout_s: float | None = None) -> None:
        """Wait until the server, and each of these models, is ready. Raise DeadlineExceeded where it isn't in time."""
        await wait_ready(self._calls, models, timeout_s=timeout_s)

    async def describe(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> ServedModel:
        """Fetch what the server says of a model: signature, versions, batch limit. Later checks use it, too."""
        return await self._calls.describe(model, version=version, timeout_s=timeout_s)

    async def models(self, *, timeout_s: float | None = None) -> list[ModelStatus]:
        """List the models of the server's repository with their states."""
        return await self._calls.models(timeout_s=timeout_s)

    async def server(self, *, timeout_s: float | None = None) -> Json:
        """Fetch the server's name, version and extensions."""
        return dict(await self._ask(Question("server_metadata"), timeout_s))

    async def metadata(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> Json:
        """Fetch a model's metadata as Triton's HTTP API words it."""
        return dict(await self._ask(Question("model_metadata", model, version_text(version)), timeout_s))

    async def config(self, model: str, *, version: str | int = "", timeout_s: float | None = None) -> Json:
        """Fetch a model's configuration as Triton's HTTP API words it."""
        return dict(await self._ask(Question("model_config", model, version_text(version)), timeout_s))

    async def close(self) -> None:
        """Close all connections, and maps that nobody waits for. A later call raises RuntimeError."""
        for mapped in list(self._maps.known() or ()):
            await mapped.abandon(RuntimeError(f"the client of {self.url} is closed"))
        await self._calls.transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r}, timeout_s={self.timeout_s:g})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} holds connections, and can't be copied or pickled: make one in each process")

    async def _ask(self, question: Question, timeout_s: float | None) -> Json:
        answer: Json = await self._calls.ask(question, timeout_s=timeout_s)
        return answer
