"""What a measurement took of the processors: of the generator and of the server, for each request that was answered."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import replace

from reference_tools import Reading

from tritonforge.load import Point, TlsFiles
from tritonforge.load.address import parse_address
from tritonforge.load.observed.control import connect
from tritonforge.load.observed.processes import find_server, usage
from tritonforge.load.observed.statistics import Counters, read_counters

__all__ = ["Meter", "cost_of"]


class Meter:
    """Reads a server's counters, and times of processors, before and after a tool has run."""

    def __init__(self, http_url: str, model: str) -> None:
        address = parse_address(http_url)
        pid = find_server(address.host, address.port)
        if pid is None:
            raise RuntimeError(f"no server of this machine listens at {http_url}")
        self.server_pid, self.model, self._control = pid, model, connect(address, {}, TlsFiles())

    def run(self, tool: Callable[[], Reading]) -> Reading:
        """Run another tool, a process of its own that has ended when this returns; put its cost into its reading."""
        before = self._state()
        reading = tool()
        answered, server_us, tool_us = (late - early for early, late in zip(before, self._state(), strict=True))
        return replace(reading, generator_cpu_us=tool_us / answered, server_cpu_us=server_us / answered)

    def counters(self) -> Counters:
        """Read the server's counters as they are now."""
        return read_counters(self._control.statistics())

    def _state(self) -> tuple[float, float, float]:
        counters = self.counters()
        answered = sum(each["success.count"] for (name, _), each in counters.items() if name == self.model)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        server_us = sum(usage(self.server_pid).cpu_ns.values()) / 1e3
        return float(answered), server_us, (ended.ru_utime + ended.ru_stime) * 1e6


def cost_of(point: Point) -> tuple[float, float]:
    """Give the same two figures of our own measurement, in one process: µs of generator and of server a request."""
    rate = point.request_rate.value
    server = point.processes.cpu_cores if point.processes else 0.0
    return point.generator.cpu_share * 1e6 / rate, server * 1e6 / rate
