"""Files of a repository: what has no end is not read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tritonforge.repository_files import circular_links, read_bytes, read_text


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


def test_links_to_folders_that_they_lie_in_are_found_and_not_followed(tmp_path: Path) -> None:
    """By way of a link to a version or to the model, too."""
    model, elsewhere = tmp_path / "repository" / "m", tmp_path / "elsewhere"
    (model / "1" / "sub").mkdir(parents=True)
    (elsewhere / "v2").mkdir(parents=True)
    (model / "2").symlink_to(elsewhere / "v2")
    (elsewhere / "v2" / "model").symlink_to(model)
    (model / "1" / "sub" / "self").symlink_to(".")
    (model / "1" / "root").symlink_to("/")
    (model / "up").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(model)
    assert circular_links(model) == ("1/root", "1/sub/self", "2/model", "up")
    assert circular_links(tmp_path / "linked") == ("1/root", "1/sub/self", "2/model", "up")


def test_other_links_are_none_of_those(tmp_path: Path) -> None:
    """Among them those to a folder whose name begins as that of the link's folder, and those that lead nowhere."""
    model = tmp_path / "mod"
    (model / "1" / "sub").mkdir(parents=True)
    (tmp_path / "mo").mkdir()
    (model / "1" / "file").touch()
    for name, target in {
        "down": "sub",
        "other": "../../mo",
        "gone": "nowhere",
        "itself": "itself",
        "file2": "file",
    }.items():
        (model / "1" / name).symlink_to(target)
    (model / "2").symlink_to("1")
    (model / "3").symlink_to("../mo")
    assert circular_links(model) == ()
    assert circular_links(tmp_path / "no model") == ()
