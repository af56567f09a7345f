"""Another server than the wheel's, by the ways in which it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.server import ServerSettings
from tritonforge.server.installed.installation import Installation, find_tritonserver
from tritonforge.server.preflight import check_named_server


@pytest.fixture
def opt(tmp_path: Path) -> Path:
    """A server laid out as in NVIDIA's image."""
    program = tmp_path / "opt" / "tritonserver" / "bin" / "tritonserver"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    (program.parents[1] / "backends").mkdir()
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


def test_the_program_that_is_named_is_the_one_that_runs(opt: Path) -> None:
    """Whatever lies where a program of NVIDIA's would be."""
    for name in ("bin2/tritonserver", "bin/tritonserver-debug"):
        other = opt / name
        other.parent.mkdir(exist_ok=True)
        other.write_text("")
        other.chmod(0o755)
        found = find_tritonserver(str(other))
        assert found is not None
        assert (found.server, found.root, found.backends) == (other, opt, opt / "backends")
        other.chmod(0o644)
        assert find_tritonserver(str(other)) is None


def test_a_program_without_its_backends_is_told_where_they_are_looked_for(opt: Path) -> None:
    (opt / "backends").rmdir()
    named = {"tritonserver": str(opt / "bin" / "tritonserver"), "restricted_apis": ()}
    (found,) = check_named_server(ServerSettings(**named))
    assert (found.code, found.where.subject) == ("TF504", "tritonserver")
    assert found.message.endswith(f"are looked for in {opt / 'backends'}, and there is no such folder")


def test_a_script_is_refused_where_there_is_a_key(opt: Path) -> None:
    """The kernel starts its interpreter, and what it goes on to start has the key on its command line."""
    named = {"tritonserver": str(opt)}
    assert check_named_server(ServerSettings(**named)) == []
    assert check_named_server(ServerSettings(**named, model_control="explicit", restricted_apis=())) == []
    (found,) = check_named_server(ServerSettings(**named, model_control="explicit"))
    assert (found.code, found.message) == (
        "TF504",
        f"{opt / 'bin' / 'tritonserver'} is a script, and the server that it starts would show the key to every user, "
        "in `ps`",
    )
    (opt / "bin" / "tritonserver").write_bytes(b"\x7fELF")
    assert check_named_server(ServerSettings(**named, model_control="explicit")) == []
