"""Another server than the wheel's, by the ways in which it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.server.installation import Installation, find_tritonserver


@pytest.fixture
def opt(tmp_path: Path) -> Path:
    """A server laid out as in NVIDIA's image."""
    program = tmp_path / "opt" / "tritonserver" / "bin" / "tritonserver"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program.parents[1]


def test_it_is_named_by_its_folder_its_program_or_a_name_on_the_path(
    opt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Installation(opt, opt / "lib")
    assert find_tritonserver(str(opt)) == found
    assert find_tritonserver(str(opt / "bin" / "tritonserver")) == found
    monkeypatch.setenv("PATH", str(opt / "bin"))
    assert find_tritonserver("tritonserver") == found
    monkeypatch.setenv("PATH", str(opt))
    assert find_tritonserver("tritonserver") is None


def test_a_link_on_the_path_leads_to_where_the_backends_are(opt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = opt.parent / "bin"
    links.mkdir()
    (links / "tritonserver").symlink_to(opt / "bin" / "tritonserver")
    monkeypatch.setenv("PATH", str(links))
    assert find_tritonserver("tritonserver") == Installation(opt, opt / "lib")
