"""Inferences whose tensors lie in a GPU's memory, which one server is told of.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_shared_memory.md
"""

from __future__ import annotations

import os
from typing import NoReturn

from tritonforge.client.cuda.arrays import CudaMemory
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    ServerUnavailable,
    Target,
)
from tritonforge.client.message import Request, Response, Tensor
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.regions import (
    cuda_registration,
    cuda_unregistration,
    is_known_already,
    is_unknown,
    sweep,
)
from tritonforge.client.shared_memory.releases import Releases
from tritonforge.client.transport import AsyncTransport

__all__ = ["CudaRegions", "is_on_device", "refuse_stream"]


def is_on_device(request: Request) -> bool:
    """Tell whether a request, as it comes from a caller, has tensors in a GPU's memory."""
    for _, _, _, _, region in request.inputs:
        if region is not None:
            return True
    return bool(request.into)


def refuse_stream(request: Request, url: str) -> NoReturn:
    """Raise InvalidRequest: a stream is for tensors over the wire."""
    name = next(tensor.name for tensor in request.inputs if tensor.region)
    reason = f"input \"{name}\" is a CudaArray: streams don't take those; numpy() copies it to the host's memory"
    raise InvalidRequest(reason, Target(url, request.model, request.version, request.id))


class CudaRegions:
    """Memory on GPUs that one server is told of when it is first used, for any number of threads.

    Nothing of it can go over the wire in its place: where the server can't map it, the call fails.
    """

    def __init__(self, inner: AsyncTransport) -> None:
        self._inner = inner
        self._releases = Releases(inner.ask, cuda_unregistration)
        self._memories: dict[str, CudaMemory] = {}
        self._told: set[str] = set()  # what the server has been told of, and may know
        self._registered: set[str] = set()  # what it has said to know
        self._swept = False

    def add(self, memory: CudaMemory) -> None:
        """Take note of memory that requests may name."""
        self._memories[memory.name] = memory

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response; what else is in it goes over the wire."""
        memories = self._memories_of(request)
        await self._register(memories, request, deadline)
        try:
            response = await self._inner.infer(request, deadline)
        except (InvalidRequest, InferenceFailed) as error:
            if not is_unknown(error):
                raise
            self._registered.difference_update(memory.name for memory in memories)  # the server has started anew
            await self._register(memories, request, deadline)
            response = await self._inner.infer(request, deadline)
        return _located(response, request, self._target(request))

    async def release(self, memory: CudaMemory, deadline: Deadline) -> None:
        """Forget memory, and have the server let go of it."""
        self._memories.pop(memory.name, None)
        await self._unregister(memory.name, memory.owner, deadline)

    async def close(self, deadline: Deadline) -> None:
        """Have the server let go of all memory."""
        for name, memory in list(self._memories.items()):
            await self._unregister(name, memory.owner, deadline)
        await self._releases.finish(deadline, self._inner.sleep)

    async def _unregister(self, name: str, owner: int, deadline: Deadline) -> None:
        if name in self._told and owner == os.getpid():  # a forked child leaves its parent's alone
            self._releases.add(name)
            self._told.discard(name)
            self._registered.discard(name)
            await self._releases.let_go(name, deadline)

    def _memories_of(self, request: Request) -> list[CudaMemory]:
        regions = [*(tensor.region for tensor in request.inputs), *request.into.values()]
        names = {region.name for region in regions if region is not None}
        try:
            return [self._memories[name] for name in names]
        except KeyError as error:
            reason = "a CudaArray is of another client's cuda_shared(…), which knows the server that it is for"
            raise InvalidRequest(reason, self._target(request)) from error

    async def _register(self, memories: list[CudaMemory], request: Request, deadline: Deadline) -> None:
        unknown = [memory for memory in memories if memory.name not in self._registered]
        try:
            if unknown and not self._swept:
                self._swept = True
                await sweep(self._inner.ask, Question("cuda_shared_memory"), self._releases.let_go, deadline)
            if unknown and self._releases:
                await self._releases.go_on(deadline)
            for memory in unknown:
                await self._map(memory, deadline)
        except (ServerUnavailable, DeadlineExceeded) as error:
            error.tell_of(self._target(request), sent=False)
            raise
        except (InvalidRequest, InferenceFailed, ModelNotFound) as error:
            reason = f"the server can't map this GPU's memory: {error.reason}; it needs a GPU, on this machine"
            told = InvalidRequest(reason, self._target(request))
            told.code = error.code
            raise told from error

    async def _map(self, memory: CudaMemory, deadline: Deadline) -> None:
        self._told.add(memory.name)
        try:
            await self._inner.ask(cuda_registration(memory), deadline)
        except (InvalidRequest, InferenceFailed) as error:
            if not is_known_already(error):
                raise
        self._registered.add(memory.name)

    def _target(self, request: Request) -> Target:
        return Target(self._inner.url, request.model, request.version, request.id)


def _located(response: Response, request: Request, target: Target) -> Response:
    """Give a response whose outputs in a GPU's memory say so. Raise ServerUnavailable where one came otherwise."""
    if not request.into:
        return response
    return response._replace(outputs=tuple([_in_place(tensor, request, target) for tensor in response.outputs]))


def _in_place(tensor: Tensor, request: Request, target: Target) -> Tensor:
    region = request.into.get(tensor.name)
    if region is not None and len(tensor.data):
        raise ServerUnavailable(f"the answer is not Triton's: it has the output {tensor.name!r} itself", target)
    return tensor if region is None else tensor._replace(region=region)
