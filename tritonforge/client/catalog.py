"""What the server has told of its models, kept so that each is asked for once."""

from __future__ import annotations

import copy
import re

from tritonforge.client.call_headers import HeadersTransport
from tritonforge.client.concurrency.joint import Joint, JointOfThreads, Work
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    ServerUnavailable,
    Target,
)
from tritonforge.client.failures import is_restricted, lacks_endpoint
from tritonforge.client.message import Headers, joined
from tritonforge.client.metadata import ModelStatus, read_served_model
from tritonforge.client.names import near_names
from tritonforge.client.questions import Question
from tritonforge.client.tensors.arguments import require_name
from tritonforge.client.tensors.kinds import Known
from tritonforge.client.transport import AsyncTransport, Json

__all__ = ["Catalog", "read_index"]


# What Triton 24.10 says, as INVALID_ARG or INTERNAL, of models that it doesn't know, and that don't load.
_ABSENT = re.compile(r"^requested model .*is not available|^Request for unknown model")
_UNLOADABLE = re.compile(r"^load failed for model|^failed to load '.*', failed to poll from model repository")
_FOUND = re.compile(r"^load failed for model")  # though in no index, where its files were given

_OF_ONE_CALLER = ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")
"""Codes of what one call may be refused, and another not: a function gives each its own token."""

Key = tuple[str, str | int]
Asking = tuple[str, str | int, Headers | None]
"""A model that is asked for: for all calls, or for those with these headers, others having been told no answer."""


class Catalog:
    """Served models by name and version, usable from several threads and tasks, of whom one asks for all that wait."""

    __slots__ = ("_headers", "_joint", "_transport", "_unwatched", "models")

    def __init__(
        self,
        transport: AsyncTransport,
        unwatched: AsyncTransport | None = None,
        joint: Joint[Asking, Known] | None = None,
    ) -> None:
        """`unwatched` is for what no caller asked: whether it fails is nothing to count, or to trace.

        `joint` is how the calls over this transport wait for one another: by default they block.
        """
        self._transport = transport
        self._unwatched = unwatched or transport
        self._joint: Joint[Asking, Known] = joint or JointOfThreads()
        self._headers: Headers = ()
        self.models: dict[Key, Known] = {}

    def with_headers(self, headers: Headers) -> Catalog:
        """Give the same catalog for a call with headers of its own, which what it asks then has, too."""
        catalog = copy.copy(self)
        catalog._transport, catalog._unwatched = (
            HeadersTransport(transport, headers) for transport in (self._transport, self._unwatched)
        )
        catalog._headers = joined(headers, self._headers)
        return catalog

    def known(self, target: Target) -> Known | None:
        """Give what is known already."""
        try:
            return self.models.get((target.model, target.version))
        except TypeError:  # what can't be a key is no name, as who fetches it will say
            return None

    def forget(self, target: Target) -> None:
        """Have the model asked for again next time."""
        self.models.pop((target.model, target.version), None)

    async def obtain(self, target: Target, deadline: Deadline) -> tuple[Known, bool]:
        """Give what is known of a model, or what another call is told that asks already; else ask for this one.

        Tell whether it was this one that asked. An error is the call's, as of `fetch`. What a call with other headers
        is told holds for this one, but not that it fails, or takes long: it may be refused what this one isn't.
        """
        require_name(target.model)
        apart = False
        while (known := self.known(target)) is None:
            mine: Work[Known] = Work(deadline.timeout_s, self._headers)
            work = self._joint.works().setdefault(self._key(target, apart=apart), mine)
            over = work is not mine and await self._over(work, target, deadline)
            if work.by != self._headers and (not over or work.error is not None):
                apart = True
                continue
            if not over:
                try:
                    return await self._do(mine, target, deadline, apart=apart), True
                except ClientError as error:
                    error.tell_of(target, sent=False)
                    raise
            if work.result is not None:
                return work.result, False
            if work.error is not None and _holds_for(deadline, work):
                raise _told(work.error, target)
        return known, False

    def _key(self, target: Target, *, apart: bool = False) -> Asking:
        return target.model, target.version, self._headers if apart else None

    async def _over(self, work: Work[Known], target: Target, deadline: Deadline) -> bool:
        """Wait for somebody else's work; False where this call had better do it itself. Raise DeadlineExceeded.

        Who has more time, or other headers, may spend all of this call's at a server that hangs, or hangs for them, and
        this call ask another one then, or the same.
        """
        doubtful = work.timeout_s > deadline.timeout_s or work.by != self._headers
        try:
            if await self._joint.wait(work, (deadline.share() if doubtful else deadline).left_s()):
                return True
            deadline.left_s()
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer within {deadline.given}", target, sent=False) from error
        return False

    async def fetch(self, target: Target, deadline: Deadline, *, sent: bool = False) -> Known:
        """Ask the server for a call. An error is the call's; `sent`: its request had been sent before."""
        try:
            return await self.describe(target, deadline)
        except ClientError as error:
            error.tell_of(target, sent=sent)
            raise

    async def describe(self, target: Target, deadline: Deadline) -> Known:
        """Ask the server. Raise any ClientError, ModelNotFound and ModelNotReady among them."""
        require_name(target.model)
        return await self._do(Work(deadline.timeout_s, self._headers), target, deadline)

    async def _do(self, work: Work[Known], target: Target, deadline: Deadline, *, apart: bool = False) -> Known:
        """Ask for all that come meanwhile; `apart`: for those with the same headers."""
        key, works = self._key(target, apart=apart), self._joint.works()
        works[key] = work
        try:
            work.result = known = await self._describe(target, deadline)
        except DeadlineExceeded:  # the time of this call alone
            raise
        except ClientError as error:
            work.error = copy.copy(error)  # without the traceback, which has this frame
            raise
        finally:
            if works.get(key) is work:
                works.pop(key, None)
            work.end()
        return known

    async def _describe(self, target: Target, deadline: Deadline) -> Known:
        self.forget(target)
        metadata = await self._metadata(target, deadline)
        served = read_served_model(metadata, await self._config(target, deadline))
        self.models[target.model, target.version] = known = Known(served)
        return known

    async def _metadata(self, target: Target, deadline: Deadline) -> Json:
        """Fetch the metadata; of a model that isn't there, name those that are."""
        try:
            metadata: Json = await self._transport.ask(
                Question("model_metadata", target.model, target.version), deadline
            )
        except ModelNotFound as error:
            told = await self.told_apart(error, target, deadline)
            if told is None:
                raise
            try:
                raise told from error
            finally:
                del told  # its traceback has this frame: a circle would hold the call's arrays until they are collected
        return metadata

    async def told_apart(self, error: ClientError, target: Target, deadline: Deadline) -> ClientError | None:
        """Make another error where one is of a model that isn't there, or doesn't load; None where it is none such."""
        absent, unloadable = _ABSENT.search(error.reason), _UNLOADABLE.search(error.reason)
        if not target.model or not (absent or unloadable or isinstance(error, ModelNotFound)):
            return None
        try:
            there = {status.name for status in await read_index(self._unwatched, deadline)}
        except (ClientError, LookupError, TypeError):
            there = {target.model} if unloadable else set()
            names = ""
        else:
            names = near_names(target.model, there)
        told: ClientError
        if unloadable and (target.model in there or _FOUND.search(error.reason)):
            words = error.reason.rstrip(";\n")
            told = ModelNotReady(f"{words}; the server's log says why", target)
        elif absent and target.model in there and not target.version:
            told = ModelNotReady(f"{error.reason}; it is not loaded", target)
        else:
            doubt = (
                ": it isn't there, or its config.pbtxt is none, which the server's log says then" if unloadable else ""
            )
            told = ModelNotFound(f"{error.reason}{doubt}{names}", target)
        told.code = error.code
        return told

    async def _config(self, target: Target, deadline: Deadline) -> Json:
        """Fetch the configuration: an extension of Triton's, which other servers of the protocol don't have."""
        try:
            config: Json = await self._transport.ask(Question("model_config", target.model, target.version), deadline)
        except (ModelNotFound, InvalidRequest):
            return {}
        except ServerUnavailable as error:
            if lacks_endpoint(error):
                return {}
            raise
        return config


def _holds_for(deadline: Deadline, work: Work[Known]) -> bool:
    """Tell whether another call's error would be this one's, too; with more time a server may be tried once more."""
    if isinstance(work.error, ClientError) and work.error.code in _OF_ONE_CALLER:
        return False
    return not isinstance(work.error, ServerUnavailable) or work.timeout_s >= deadline.timeout_s


def _told(error: Exception, target: Target) -> Exception:
    """Make the error of another call that of this one."""
    told = copy.copy(error)
    if isinstance(told, ClientError):
        told.tell_of(target, sent=False)
    return told


async def read_index(transport: AsyncTransport, deadline: Deadline) -> list[ModelStatus]:
    """List the models of the repository with their states; where that wants a key, those that are served.

    The index is an API that also loads models, as Triton (24.10) restricts them; the statistics are open by default.
    """
    try:
        entries: list[Json] = await transport.ask(Question("index"), deadline)
    except InvalidRequest as error:
        if not is_restricted(error.reason):
            raise
        try:
            counted: Json = await transport.ask(Question("statistics"), deadline)
        except InvalidRequest:
            raise error from None
        entries = [{**entry, "state": "READY"} for entry in counted.get("model_stats", ())]
    return [
        ModelStatus(*(str(entry.get(key, "")) for key in ("name", "version", "state", "reason"))) for entry in entries
    ]
