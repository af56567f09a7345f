"""Every single request, in the JSON that perf_analyzer writes with `--profile-export-file`, streamed to the disk.

Its keys are those of perf_analyzer's `profile_data_exporter.cc` (2.54): `experiments`, each with `experiment` (`mode`
and `value`), `requests` and `window_boundaries`; then `version`, `service_kind` and `endpoint`. Times are nanoseconds
since 1970, by the machine's clock. Tensors are not in it: `request_inputs` and `response_outputs` are empty.

Of a load that is measured until it is stable perf_analyzer writes all windows. Here they are those of the figures, so
that whoever reads the file comes to the same ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from heapq import merge
from pathlib import Path
from types import TracebackType

from tritonforge import __version__
from tritonforge.load.exports.replacement import Replacement
from tritonforge.load.exports.trace import Traced, read_trace
from tritonforge.load.pacing.clock import now_ns
from tritonforge.load.settings import Load

__all__ = ["ProfileExport"]

_MODES = {"concurrency": "concurrency"}
_OPENING = '{"experiments":['


class ProfileExport:
    """A file that grows by an experiment for each load, beside its place until the end of the block.

    Then it replaces a file at the path, or at what a link there points to; a device or a pipe is written to.
    Where it can't be written, disk full, say, `failure` has the reason, and the load goes on. The block raises that
    OSError at its end, unless another error ends it; at its beginning it raises one where nothing can be made there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._experiments = self._whole = 0
        self.failure: OSError | None = None
        self.written = False
        """Whether the file is there: known once the block has ended."""

    def __enter__(self) -> ProfileExport:
        self._new = Replacement(self.path)
        self._file = self._new.part.open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._experiments and self.failure is None:
                version = json.dumps(f"tritonforge {__version__}")
                self._file.write(f'],"version":{version},"service_kind":"triton","endpoint":""}}\n')
                self._file.close()
                self._new.put()
                self.written = True
        except OSError as reason:
            self.failure = reason
        finally:
            self._discard()
        if self.failure is not None and kind is None:
            raise self.failure

    def traces(self, count: int) -> list[Path]:
        """Name files for as many processes to write their requests into."""
        return [self._new.folder / str(part) for part in range(count)]

    def fail(self, reason: OSError) -> None:
        """Give the export up: a process couldn't write down its requests."""
        self.failure = self.failure or reason

    def add(
        self, load: Load, traces: Sequence[Path], boundaries_ns: Sequence[int], *, counted_ns: int | None = None
    ) -> None:
        """Append the requests of a load that ended within its windows, and remove the traces.

        `boundaries_ns` are the windows' edges on the clock of `now_ns`. What ended before `counted_ns` was not counted:
        the time of the first window may begin before, with the start of a request that ended in it.
        """
        if self.failure is not None:
            return
        try:
            self._append(load, traces, boundaries_ns, boundaries_ns[0] if counted_ns is None else counted_ns)
            self._whole = self._file.tell()
            self._experiments += 1
        except OSError as reason:
            self.failure = reason
        except BaseException:  # interrupted: the experiments before are whole
            self._file.seek(self._whole)
            self._file.truncate()
            raise
        finally:
            for trace in traces:
                trace.unlink(missing_ok=True)

    def _append(self, load: Load, traces: Sequence[Path], boundaries_ns: Sequence[int], counted_ns: int) -> None:
        since = time.time_ns() - now_ns()
        mode = _MODES.get(load.kind, "request_rate")
        value = int(load.value) if mode == "concurrency" else load.value
        head = json.dumps({"mode": mode, "value": value}, separators=(",", ":"))
        self._file.write(f'{"," if self._experiments else _OPENING}{{"experiment":{head},"requests":[')
        comma = ""
        for request in _within(traces, counted_ns, boundaries_ns[-1]):
            self._file.write(comma + _request(request, since))
            comma = ","
        edges = json.dumps([edge + since for edge in boundaries_ns], separators=(",", ":"))
        self._file.write(f'],"window_boundaries":{edges}}}')

    def _discard(self) -> None:
        try:
            self._file.close()
        except OSError as reason:  # the rest of what it holds
            self.failure = self.failure or reason
        self._new.close()


def _within(traces: Sequence[Path], first: int, last: int) -> Iterator[Traced]:
    files = [read_trace(trace) for trace in traces if trace.exists()]
    for request in merge(*files, key=lambda traced: traced.ended):
        if first <= request.ended <= last:  # so many requests end with the last of them
            yield request


def _request(request: Traced, since: int) -> str:
    identity = f'"sequence_id":{request.sequence},' if request.sequence else ""
    times = ",".join(str(each + since) for each in request.came)
    outputs = ",".join("{}" for _ in request.came)
    return (
        f'{{"timestamp":{request.started + since},{identity}"request_inputs":{{}},'
        f'"response_timestamps":[{times}],"response_outputs":[{outputs}]}}'
    )
