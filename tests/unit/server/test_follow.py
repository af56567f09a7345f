"""A log as it grows, and as it is begun anew."""

from __future__ import annotations

import os
from pathlib import Path

from tritonforge.server.diagnosis.follow import follow_file


def test_a_file_that_was_begun_anew_is_given_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes("first, lóng\n".encode())
    ends = iter((False, False, True))
    with log.open("rb") as file:
        pieces = follow_file(file.fileno(), ended=lambda: next(ends))
        assert next(pieces) == "first, lóng\n"
        os.truncate(log, 0)
        log.write_text("anew\n")
        assert "".join(pieces) == "anew\n"


def test_a_character_that_comes_in_two_pieces_is_whole(tmp_path: Path) -> None:
    log, whole = tmp_path / "log", "é".encode()
    log.write_bytes(whole[:1])
    ends = iter((False, True))
    with log.open("rb") as file, log.open("ab") as writer:
        pieces = follow_file(file.fileno(), ended=lambda: next(ends))
        first = next(pieces)
        writer.write(whole[1:])
        writer.flush()
        assert first + "".join(pieces) == "é"
