"""Every single request, in the JSON that perf_analyzer writes with `--profile-export-file`, streamed to the disk.

Its keys are those of perf_analyzer's `profile_data_exporter.cc` (2.54): `experiments`, each with `experiment` (`mode`
and `value`), `requests` and `window_boundaries`; then `version`, `service_kind` and `endpoint`. Times are nanoseconds
since 1970, by the machine's clock. Tensors are not in it: `request_inputs` and `response_outputs` are empty.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from heapq import merge
from pathlib import Path
from types import TracebackType

from tritonforge import __version__
from tritonforge.load.clock import now_ns
from tritonforge.load.settings import Load
from tritonforge.load.trace import Traced, read_trace

__all__ = ["ProfileExport"]

_MODES = {"concurrency": "concurrency"}


class ProfileExport:
    """A file that grows by an experiment for each load. It takes its name at the end of the block, failures included.

    Raise OSError where the file can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._experiments = 0

    def __enter__(self) -> ProfileExport:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("w", encoding="utf-8")
        self._file.write('{"experiments":[')
        self._folder = tempfile.TemporaryDirectory(prefix="tritonforge-trace-", dir=self._path.parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()
        version = json.dumps(f"tritonforge {__version__}")
        self._file.write(f'],"version":{version},"service_kind":"triton","endpoint":""}}\n')
        self._file.close()
        if self._experiments:
            self._part.replace(self._path)
        else:
            self._part.unlink()

    def traces(self, count: int) -> list[Path]:
        """Name files for as many processes to write their requests into."""
        return [Path(self._folder.name, str(part)) for part in range(count)]

    def add(self, load: Load, traces: Sequence[Path], boundaries_ns: Sequence[int]) -> None:
        """Append the requests of a load that ended within its windows, and remove the traces.

        `boundaries_ns` are the windows' edges on the clock of `now_ns`.
        """
        since = time.time_ns() - now_ns()
        mode = _MODES.get(load.kind, "request_rate")
        value = int(load.value) if mode == "concurrency" else load.value
        head = json.dumps({"mode": mode, "value": value}, separators=(",", ":"))
        self._file.write(f'{"," if self._experiments else ""}{{"experiment":{head},"requests":[')
        self._experiments += 1
        comma = ""
        for request in _within(traces, boundaries_ns):
            self._file.write(comma + _request(request, since))
            comma = ","
        edges = json.dumps([edge + since for edge in boundaries_ns], separators=(",", ":"))
        self._file.write(f'],"window_boundaries":{edges}}}')
        for trace in traces:
            trace.unlink(missing_ok=True)


def _within(traces: Sequence[Path], boundaries_ns: Sequence[int]) -> Iterator[Traced]:
    first, last = boundaries_ns[0], boundaries_ns[-1]
    files = [read_trace(trace) for trace in traces if trace.exists()]
    for request in merge(*files, key=lambda traced: traced[2][-1]):
        if first <= request[2][-1] < last:
            yield request


def _request(request: Traced, since: int) -> str:
    started, sequence, came = request
    identity = f'"sequence_id":{sequence},' if sequence else ""
    times = ",".join(str(each + since) for each in came)
    outputs = ",".join("{}" for _ in came)
    return (
        f'{{"timestamp":{started + since},{identity}"request_inputs":{{}},'
        f'"response_timestamps":[{times}],"response_outputs":[{outputs}]}}'
    )
