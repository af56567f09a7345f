"""The backend that does nothing: its file. The real server loads it in the integration tests."""

from __future__ import annotations

import struct
from pathlib import Path

from tritonforge.server.installed.null_backend import null_backend, write_null_backends


def test_it_is_a_shared_library_for_linux() -> None:
    library = null_backend()
    assert library[:7] == b"\x7fELF\x02\x01\x01"
    kind, machine = struct.unpack_from("<HH", library, 16)
    assert (kind, machine) == (3, 62)
    assert b"\0TRITONBACKEND_ModelInstanceExecute\0" in library


def test_it_is_written_under_each_name(tmp_path: Path) -> None:
    folder = write_null_backends(tmp_path / "backends", {"python", "custom"})
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.so")) == [
        "custom/libtriton_custom.so",
        "python/libtriton_python.so",
    ]
