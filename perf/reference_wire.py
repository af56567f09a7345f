"""What the loopback device saw of a server's requests: the kernel's own times of the packets, whoever sent them.

    python perf/reference_wire.py PORT FILE        # until standard input ends; needs CAP_NET_RAW, which root has

A generator's clock runs from its call that sends until it has read the answer. Between these two moments lies what the
wire saw: from a request's first byte until its answer's last. What a generator adds to that is its own.
"""

from __future__ import annotations

import ctypes
import pickle
import select
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

__all__ = ["Packet", "percentile", "round_trips", "watch"]

T = TypeVar("T")

_ETH_P_IP, _SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 0x0800, 26, 33, 35
_ROOM = 64 << 20
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _END_STREAM = 0, 1, 1
_LEAST = 100
"""Bytes of an inference's message; what else is asked of a server is shorter."""


class Packet(NamedTuple):
    """A piece of a connection: when it passed, the client's port, whether the client sent it, and its bytes."""

    at_ns: int
    client: int
    request: bool
    data: bytes


def watch(port: int, tool: Callable[[], T]) -> tuple[T, list[float]]:
    """Run a tool, and give the µs that each request to a port took on the wire meanwhile.

    Raises:
        PermissionError: this process may not look at packets.
    """
    _listen().close()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "packets")
        command = [sys.executable, __file__, str(port), str(file)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as watcher:
            assert watcher.stdout is not None
            watcher.stdout.read(1)
            found = tool()
            watcher.communicate()
        packets = [Packet(*each) for each in pickle.loads(file.read_bytes())]
    return found, [took / 1e3 for took in round_trips(packets)]


def round_trips(packets: list[Packet]) -> list[int]:
    """Give the ns from each inference's first byte to its answer's last one, of HTTP/1.1 and HTTP/2 alike."""
    connections: dict[int, list[Packet]] = {}
    for packet in packets:
        if packet.data:
            connections.setdefault(packet.client, []).append(packet)
    return [
        took
        for found in connections.values()
        for took in (_streams if any(_PREFACE in each.data for each in found[:3]) else _exchanges)(found)
    ]


def percentile(values: list[float], percent: float) -> float:
    """Give the value at perf_analyzer's rank."""
    return sorted(values)[int(percent / 100 * (len(values) - 1) + 0.5)]


def _exchanges(packets: list[Packet]) -> Iterator[int]:
    """Go through a connection of HTTP/1.1, on which requests and answers take turns; only inferences are posted."""
    sent = came = 0
    for packet in packets:
        if packet.request and (came or not sent):
            if came:
                yield came - sent
            sent, came = packet.at_ns if packet.data.startswith(b"POST ") else 0, 0
        elif not packet.request and sent:
            came = packet.at_ns
    if came:
        yield came - sent


def _streams(packets: list[Packet]) -> Iterator[int]:
    """Go through the frames of HTTP/2: a stream is from its client's headers to the server's end of it."""
    rest = {True: b"", False: b""}
    skipped = len(_PREFACE)
    since: dict[int, int] = {}
    inferences: set[int] = set()
    for packet in packets:
        rest[packet.request] += packet.data
        if packet.request and skipped:
            if len(rest[True]) < skipped:
                continue
            rest[True], skipped = rest[True][skipped:], 0
        for kind, flags, stream, size in _frames(rest, request=packet.request):
            if packet.request and kind == _HEADERS:
                since[stream] = packet.at_ns
            elif packet.request and kind == _DATA and size >= _LEAST:
                inferences.add(stream)
            elif not packet.request and kind <= _HEADERS and flags & _END_STREAM and stream in inferences:
                yield packet.at_ns - since[stream]


def _frames(rest: dict[bool, bytes], *, request: bool) -> Iterator[tuple[int, int, int, int]]:
    """Take whole frames off what came in one direction: kind, flags, stream, size."""
    while len(data := rest[request]) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3], "big")):
        rest[request] = data[9 + size :]
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), size


def _listen(port: int = 0) -> socket.socket:
    """Open a socket that gets the TCP packets of a port, each once, as the loopback device hands them on."""
    watcher = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
    # The kernel's filter, instruction by instruction: TCP; where its header starts; either port; keep all, or nothing.
    program = [(0x30, 0, 0, 9), (0x15, 0, 6, 6), (0xB1, 0, 0, 0), (0x48, 0, 0, 0), (0x15, 2, 0, port),
               (0x48, 0, 0, 2), (0x15, 0, 1, port), (6, 0, 0, 0x40000), (6, 0, 0, 0)]  # fmt: skip
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    address = _address(kept := bytearray(code))
    watcher.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(kept) // 8, address))
    watcher.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
    watcher.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    watcher.bind(("lo", _ETH_P_IP))
    return watcher


def _address(buffer: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))


def _record(port: int, file: Path) -> None:
    """Keep packets until standard input ends, then write them down."""
    packets: list[tuple[int, int, bool, bytes]] = []
    with _listen(port) as watcher:
        sys.stdout.write("!")
        sys.stdout.flush()
        while watcher in select.select([watcher, sys.stdin], [], [])[0]:  # the end waits until all has been read
            data, extra, _, _ = watcher.recvmsg(1 << 18, 64)
            seconds, ns = struct.unpack("qq", extra[0][2][:16])
            start = (data[0] & 15) * 4
            source, target = struct.unpack("!HH", data[start : start + 4])
            body = data[start + (data[start + 12] >> 4) * 4 : int.from_bytes(data[2:4], "big") or None]
            packets.append((seconds * 10**9 + ns, source if target == port else target, target == port, body))
    file.write_bytes(pickle.dumps(packets))


if __name__ == "__main__":
    _record(int(sys.argv[1]), Path(sys.argv[2]))
