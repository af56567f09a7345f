"""The attempts of one call: which server is asked, and what follows when it fails. Waiting is left to the caller."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Generic, TypeVar

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    ModelNotFound,
    ModelNotReady,
    ServerUnavailable,
    Target,
)
from tritonforge.client.failures import lacks_endpoint
from tritonforge.client.message import Request, is_sequence
from tritonforge.client.reliable.replicas import Replica, Replicas
from tritonforge.client.reliable.retries import Budget, Retries, may_retry

__all__ = ["Attempts"]

T = TypeVar("T")


class Attempts(Generic[T]):
    """One call's attempts: `replica = begin()`, then `succeeded(replica)`, or sleep for `failed(replica, error)`.

    What the call earns for the budget is the caller's to add.
    """

    __slots__ = (
        "_able",
        "_absence",
        "_budget",
        "_extension",
        "_failing",
        "_failure",
        "_idempotent",
        "_model",
        "_replicas",
        "_request",
        "_retries",
        "_sent",
        "_steady",
        "_target",
        "_tried",
        "_uncounted",
        "_unsent",
        "deadline",
    )

    def __init__(
        self,
        replicas: Replicas[T],
        retries: Retries,
        budget: Budget,
        deadline: Deadline,
        target: Target,
        *,
        request: Request | None = None,
        idempotent: bool = True,
        steady: bool = False,
        extension: bool = False,
        able: Sequence[Replica[T]] = (),
    ) -> None:
        """`steady`: of a question that is answered at once, by the server that answered others of its kind.

        `extension`: of what Triton adds to the protocol; a server that lacks it may be up, and have all else.
        `able` are the servers that can be asked, where not all can.
        """
        self._able = able or replicas.all
        self._replicas, self._retries, self._budget = replicas, retries, budget
        self.deadline, self._target = deadline, target
        self._model = (target.model, target.version)
        self._request = request if request is not None and is_sequence(request) else None
        self._idempotent = idempotent and self._request is None
        self._steady, self._extension = steady, extension
        self._tried: list[Replica[T]] = []
        self._uncounted = 0  # how many of them don't have the model, or aren't Triton
        self._absence: ModelNotFound | ModelNotReady | None = None  # what one of those said
        self._failure: ClientError | None = None  # of the last attempt that counts
        self._failing: Replica[T] | None = None  # where that was
        self._unsent = False  # whether that one can't have reached the server
        self._sent = ""  # why an attempt failed whose request may have reached the server

    def began(self, replica: Replica[T]) -> None:
        """Note an attempt that has been begun there already."""
        self._tried.append(replica)

    def begin(self) -> Replica[T]:
        """Choose the server of the next attempt. Raise ServerUnavailable where all are being left alone."""
        request = self._request
        if request is None:
            chosen = self._replicas.choose(self._tried, steady=self._steady, model=self._model, able=self._able)
        else:
            flags = request.parameters
            start, end = bool(flags.get("sequence_start")), bool(flags.get("sequence_end"))
            chosen = self._replicas.pinned(flags["sequence_id"], self._tried, start=start, end=end, model=self._model)
        if chosen is None:
            wait_s = self._replicas.wait_s(self._able)
            last = self._able[0].last_failure
            reason = f"the server failed its last calls; none is made for another {wait_s:.1f} s (circuit open): {last}"
            raise self._whole(ServerUnavailable(reason, self._target, sent=False))
        self._tried.append(chosen)
        return chosen

    def limit(self) -> Deadline:
        """Give the limit on the attempt that has begun: where others can follow, not all of the time may go to one.

        What is the same from any server may take a share of it; anything else has it all, but connecting a share.
        """
        if not self._may_go_on:
            return self.deadline
        return self.deadline.share() if self._steady else self.deadline.sharing()

    def hearing(self, replica: Replica[T]) -> Deadline | None:
        """Give the limit on hearing anything of a server that never answered, before the request goes there.

        None where it needn't be: one that hangs would have all of the time, and another can follow.
        """
        return None if replica.heard or self._steady or not self._may_go_on else self.deadline.share()

    def succeeded(self, replica: Replica[T]) -> None:
        """Note an answer; an error that the server itself gave is one too."""
        self._answered(replica)
        self._replicas.has(replica, self._model)

    def abandoned(self, replica: Replica[T]) -> None:
        """Note what says nothing of the server, as that the caller has given up."""
        self._replicas.done(replica)
        if replica.probing and replica.open:
            self._replicas.failed(replica)

    def failed(self, replica: Replica[T], error: ClientError, *, answered: bool = False) -> float:
        """Give the seconds to wait before the next attempt; raise the error where there is to be none.

        `answered`: some of what was asked for has come, which isn't to come twice.
        """
        delay_s, error = self._weigh(replica, error, answered=answered)
        if delay_s is not None:
            return delay_s
        self._failure = self._absence = None
        try:
            raise error
        finally:
            del error  # its traceback has this frame: a circle would hold the call's arrays until they are collected

    def _weigh(self, replica: Replica[T], error: ClientError, *, answered: bool) -> tuple[float | None, ClientError]:
        """Give how long to wait after a failure, None where the call ends with it; and the error that tells of it."""
        if isinstance(error, (ModelNotFound, ModelNotReady)) or _is_foreign(error):
            follows = self._pass_on(replica, error, answered=answered)
            if follows is not None:
                return follows
            error = self._failure or error
        timed_out = isinstance(error, DeadlineExceeded) and not error.code  # with a code, the server has said so
        if error is not self._failure:
            if not self._note(replica, error, timed_out=timed_out, answered=answered):
                return None, error
            self._unsent = isinstance(error, ServerUnavailable) and not error.sent
            error = self._failure = self._whole(error)
            self._failing = replica
        retry = self._made - 1
        late = timed_out and self._steady  # after a share of the time: there is more, for another server
        others = not self._pinned and self._others()
        harmless = may_retry(error, idempotent=self._idempotent and not answered, elsewhere=others)
        if not (late or harmless) or retry + 1 >= self._retries.attempts or not self._some_may_have:
            return None, self._beside_absence(error)
        after_s = error.after_s if isinstance(error, ServerUnavailable) else 0
        delay_s = 0.0 if others else max(self._retries.delay_s(retry), after_s)
        if delay_s >= self.deadline.at - time.monotonic():
            return None, error
        free = others and (self._unsent or late)
        # With a server go all calls that are under way there: each may go on at another one.
        leaves = others and isinstance(error, ServerUnavailable) and not error.of_model
        lent = 1 + self._replicas.in_flight if leaves else 0
        return (delay_s if free or self._budget.spend(lent) else None), error

    def _pass_on(
        self, replica: Replica[T], error: ClientError, *, answered: bool
    ) -> tuple[float | None, ClientError] | None:
        """Give what follows where a server lacks the model, or isn't Triton, which is no attempt that counts.

        None where that is for the last failure to say, of another server, that may have the model, and be asked again.
        """
        told: ClientError
        may = not (answered or self._pinned)
        if isinstance(error, (ModelNotFound, ModelNotReady)):
            told = self._miss(replica, error)
            others, ends = self._others(having=False), self._failing in (None, replica)
        else:
            may = may and may_retry(error, idempotent=self._idempotent, elsewhere=True)
            told = self._disown(replica, error, answered=answered)
            others, ends = self._others(), replica in self._able
        if may and others and not self.deadline.over:
            return 0.0, told
        if may and not ends:
            return None
        return None, told if told is self._absence else self._beside_absence(told)

    def _miss(self, replica: Replica[T], error: ModelNotFound | ModelNotReady) -> ModelNotFound | ModelNotReady:
        """Note that the server lacks the model, where nothing was done then.

        Give the error that tells most of those that said so.
        """
        self._answered(replica)
        self._replicas.lacks(replica, self._model)
        self._uncounted += 1
        if self._absence is None or isinstance(error, ModelNotReady):  # which tells more
            self._absence = error
        return self._absence

    def _disown(self, replica: Replica[T], error: ClientError, *, answered: bool) -> ClientError:
        """Note that the server isn't Triton: it is not asked again for this call."""
        self._blame(replica, error, timed_out=False, answered=answered)
        self._able = [able for able in self._able if able is not replica] or self._able
        self._uncounted += 1
        told = self._whole(error)
        if self._failure is None or _is_foreign(self._failure):
            self._failure, self._failing = told, replica
        return told

    def _answered(self, replica: Replica[T]) -> None:
        self._replicas.done(replica)
        self._replicas.succeeded(replica)

    def _note(self, replica: Replica[T], error: ClientError, *, timed_out: bool, answered: bool) -> bool:
        """Note what a failure says of the server; False where that has taken the call."""
        if not isinstance(error, ServerUnavailable) and not timed_out:
            self.succeeded(replica)
            return False
        if isinstance(error, ServerUnavailable) and error.of_model:
            self.succeeded(replica)
        else:
            self._blame(replica, error, timed_out=timed_out, answered=answered)
        return True

    def _blame(self, replica: Replica[T], error: ClientError, *, timed_out: bool, answered: bool) -> None:
        """Note a failure that is the server's own."""
        of_token = isinstance(error, DeadlineExceeded) and error.of_token
        if of_token or (self._extension and lacks_endpoint(error)):  # which say nothing of the server
            self.abandoned(replica)
            return
        self._replicas.done(replica)
        # A slow model is no dead server, but where there are others, one that answers nothing is left out.
        if not timed_out or len(self._replicas.all) > 1 or replica.probing:
            vain = timed_out or (isinstance(error, ServerUnavailable) and _is_vain(error, again=replica.failures > 0))
            self._replicas.failed(replica, error.reason, pass_over=vain and not answered)

    def _others(self, *, willing: bool = False, having: bool = True) -> bool:
        """Tell whether there are servers that are untried and not left alone.

        `willing` ones are not passed over; those `having` the model have not said that they lack it.
        """
        lacking = self._replicas.lacking(self._model) if having else ()
        return any(
            other not in self._tried and not other.open and not (willing and other.passed_over) and other not in lacking
            for other in self._able
        )

    @property
    def _some_may_have(self) -> bool:
        """Whether a server is left that may have the model, where some lack it, or aren't Triton."""
        if not self._uncounted:
            return True
        lacking = self._replicas.lacking(self._model)
        return any(not each.open and each not in lacking for each in self._able)

    def _beside_absence(self, error: ClientError) -> ClientError:
        """Have the failure of one server tell of the other that lacks the model."""
        if self._absence is not None:
            error.reason = f"{error.reason}; and {self._absence.url}: {self._absence.reason}"
        return error

    @property
    def _made(self) -> int:
        """The attempts that are counted."""
        return len(self._tried) - self._uncounted

    @property
    def _may_go_on(self) -> bool:
        """Whether another server can be asked after the attempt that has begun, and isn't passed over."""
        return not self._pinned and self._made < self._retries.attempts and self._others(willing=True)

    @property
    def _pinned(self) -> bool:
        """Whether it has to be the server of the attempt before."""
        return self._request is not None and not self._request.parameters.get("sequence_start")

    def _whole(self, error: ClientError) -> ClientError:
        """Have the error of the last attempt tell of the call: what an earlier one sent may have been done."""
        if not isinstance(error, (ServerUnavailable, DeadlineExceeded)):
            return error
        if error.sent:
            self._sent = error.reason
        elif self._sent:
            before = "asked before" if self._steady else "the request had been sent before"
            repeats = error.reason.endswith(self._sent)  # as where a circuit opened by it
            error.reason = f"{error.reason}; {before}{'' if repeats else f': {self._sent}'}"
            error.sent = error.sent or not self._steady  # what is asked about a model is no part of the call's request
        return error


def _is_vain(error: ServerUnavailable, *, again: bool) -> bool:
    """Tell whether others are to be asked meanwhile: it answers nothing, isn't Triton, or breaks off calls in a row.

    One alone may be a kept connection, which a proxy closes when it likes.
    """
    return error.silent or error.foreign or (again and error.sent and not error.code)


def _is_foreign(error: ClientError) -> bool:
    """Tell whether what answered isn't Triton."""
    return isinstance(error, ServerUnavailable) and error.foreign
