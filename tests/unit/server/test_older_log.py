"""A log in two parts."""

from __future__ import annotations

import shutil
from pathlib import Path

from tritonforge.server.diagnosis.older_log import with_older
from tritonforge.server.guard.supervisor import put_aside


def test_both_parts_are_read_in_their_order_also_when_they_are_gone(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    log = folder / "log"
    log.write_text("one\n")
    with log.open("r") as kept, with_older(log, lambda: (kept.seek(0), kept.read())[1]) as read:
        assert read() == "one\n"
        put_aside(str(log), 1)
        log.write_text("two\n")
        assert read() == "one\ntwo\n"
        put_aside(str(log), 1)
        log.write_text("three\n")
        shutil.rmtree(folder)
        assert read() == "two\nthree\n"


def test_a_log_of_one_part_is_that(tmp_path: Path) -> None:
    with with_older(tmp_path / "log", lambda: "all\n") as read:
        assert read() == "all\n"
