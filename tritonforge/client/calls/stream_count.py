"""The responses of a stream, counted, to say of one that is late how many it has given."""

from __future__ import annotations

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded

__all__ = ["StreamCount"]


class StreamCount:
    """Counts a stream's responses while its block runs: else one that was not over in time seems to have given none."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.given = 0

    def __enter__(self) -> StreamCount:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, DeadlineExceeded) and self.given and not error.code:
            responses = f"{self.given} response{'s' if self.given > 1 else ''}"
            error.reason = f"the stream was not over within {self._deadline.given}, after {responses}"
