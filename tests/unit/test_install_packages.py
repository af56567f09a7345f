"""scripts/install_packages.py: what it tells uv of pip's settings, and that pip installs where uv can't."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install_packages.py"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_packages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_settings_are_those_that_count_for_an_install(script: ModuleType) -> None:
    shown = "\n".join(
        (
            ":env:.index-url='https://c.test/simple'",
            "download.index-url='https://other.test/simple'",
            "global.find-links='/a /b\\n/c'",
            "global.index-url='https://a.test/simple?x=1'",
            "global.timeout='3'",
            "install.index-url='https://b.test/simple'",
            "install.timeout='4'",
        )
    )
    assert script.settings(shown) == {"find-links": "/a /b\n/c", "index-url": "https://c.test/simple", "timeout": "4"}


def test_uv_is_told_from_where_packages_come(script: ModuleType) -> None:
    told = {
        "index-url": "https://a.test/simple",
        "extra-index-url": "https://b.test/simple\nfile:///c",
        "find-links": "/d /e",
        "quiet": "1",
        "constraint": "/f.txt",
    }
    assert script.variables_of_uv(told) == {
        "UV_DEFAULT_INDEX": "https://a.test/simple",
        "UV_INDEX": "https://b.test/simple file:///c",
        "UV_FIND_LINKS": "/d,/e",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_uv_has_not_is_named(script: ModuleType) -> None:
    with pytest.raises(ValueError, match="nothing like pip's no-index, proxy"):
        script.variables_of_uv({"proxy": "http://a.test", "no-index": "1"})


def test_pip_installs_where_uv_cannot(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    real = subprocess.run

    def recorded(command: list[str], **options: object) -> object:
        commands.append([*command])
        fails = "uv" in command
        assert not (fails and options["check"] is not True)
        return real([sys.executable, "-c", f"raise SystemExit({int(fails)})"], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", recorded)
    assert script.main(["--constraint", "c.txt", "some"]) == 0
    assert commands[-1][-4:] == ["--no-compile", "--constraint", "c.txt", "some"]
    assert commands[-2][-3:] == ["--constraint", "c.txt", "uv"]


def test_constraints_of_pips_settings_hold_too(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(script, "printed", lambda *_: "global.constraint='/a.txt /b.txt'")
    monkeypatch.setattr(script, "run", lambda *command, environment=None: commands.append(command))
    assert script.main(["--constraint", "c.txt", "some"]) == 0
    assert commands[-1][-7:] == ("--constraint", "c.txt", "some", "--constraint", "/a.txt", "--constraint", "/b.txt")
