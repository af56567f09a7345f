"""Files of a repository: what has no end is not read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tritonforge.repository_files import read_bytes, read_text


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """Through a link, too; lines end as Python's do."""
    (tmp_path / "file").write_bytes("für\r\nalle".encode())
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link") == "für\r\nalle".encode()
    assert read_text(tmp_path / "link") == "für\nalle"
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path)


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe isn't waited for, and a file that grows while it is read ends at the limit."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("/dev/zero", "zeros")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for name in ("pipe", "zeros", "socket"):
            with pytest.raises(OSError, match="it is not a regular file"):
                read_bytes(Path(name))
    Path("large").write_bytes(b"0" * ((1 << 20) + 1))
    with pytest.raises(OSError, match="it has more than 1 MiB"):
        read_bytes(Path("large"), at_most=1 << 20)
    assert len(read_bytes(Path("large"), at_most=(1 << 20) + 1)) == (1 << 20) + 1
