"""What was compared where a live comparison ends before its last round: no round is lost by what comes after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tritonforge.errors import TritonForgeError
from tritonforge.load import LoadFailed
from tritonforge.report.verdicts import Comparison

__all__ = ["CompareInterrupted", "CompareStopped", "keeping_rounds"]


class CompareStopped(LoadFailed):
    """A server went away, say. `comparisons` are those of the rounds until then."""

    def __init__(self, reason: str, comparisons: list[Comparison]) -> None:
        super().__init__(reason)
        self.comparisons = comparisons


class CompareInterrupted(KeyboardInterrupt):
    """Somebody interrupted a comparison. `comparisons` are those of the rounds until then."""

    def __init__(self, reason: str, comparisons: list[Comparison]) -> None:
        super().__init__(reason)
        self.comparisons = comparisons


@contextmanager
def keeping_rounds(compared: Callable[[], list[Comparison]]) -> Iterator[None]:
    """Where the block ends by an error or by Ctrl-C, raise it with what `compared` gives, if that is anything.

    Raises:
        CompareStopped: something failed after a round.
        CompareInterrupted: it was interrupted after a round.
    """
    try:
        yield
    except (TritonForgeError, OSError) as error:
        if not (found := compared()):
            raise
        raise CompareStopped(str(error), found) from error
    except KeyboardInterrupt as error:
        if not (found := compared()):
            raise
        raise CompareInterrupted(str(error) or "interrupted", found) from error
