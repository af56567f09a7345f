"""Folders that can't be written to, or are full."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tritonforge.server import PreflightError, Server
from tritonforge.server.settings.writable import needing_room, why_unwritable

FULL = os.strerror(errno.ENOSPC)
NOT_COPIED = shutil.Error([("/from/a.so", "/to/a.so", f"[Errno 28] {FULL}: '/from/a.so' -> '/to/a.so'")])


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    assert why_unwritable(tmp_path) is None
    assert why_unwritable(tmp_path / "not" / "there" / "yet") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["/proc/nope", "/dev/null/state"])
def test_a_folder_that_can_not_be_made_is_told_with_the_reason(folder: str) -> None:
    assert why_unwritable(Path(folder)) is not None


def test_a_full_disk_that_still_makes_folders_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, FULL)

    monkeypatch.setattr(Path, "write_bytes", fail)
    problem = why_unwritable(tmp_path)
    assert problem is not None
    assert problem.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, FULL), OSError(errno.EDQUOT, "quota"), NOT_COPIED])
def test_a_full_disk_is_told_in_one_line_with_its_mend(error: OSError) -> None:
    """A tree that wasn't copied says so in a list of triples."""
    with pytest.raises(PreflightError) as raised, needing_room(Path("/tmp/small")):
        raise error
    first, hint = str(raised.value).splitlines()
    assert first.startswith("/tmp/small: there is no room for what a server needs in temporary files: ")
    assert hint == "  hint: free some space, or set TMPDIR to another disk's folder  [TF515]"


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "no"), shutil.Error([("a", "b", "[Errno 13] no")])])
def test_another_error_stays_what_it_is(error: OSError) -> None:
    with pytest.raises(type(error)), needing_room(Path("/tmp")):
        raise error


def test_a_start_without_room_for_the_servers_files_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "config.pbtxt").touch()

    def fail(*arguments: object, **options: object) -> None:
        raise NOT_COPIED

    monkeypatch.setattr("tritonforge.server.launch.assemble_backends", fail)
    with pytest.raises(PreflightError, match=FULL):
        Server.embedded(tmp_path, http_port=0, grpc_port=0, metrics_port=0)
