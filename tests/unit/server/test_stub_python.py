"""The stand-in environment of the stubs, tried with an interpreter isolated as a stub's is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tritonforge.server.installed.stub_python import make_stub_python

SAY = """
import faulthandler, json, numpy, sys
print(json.dumps([numpy.__file__, sys.prefix, sys.executable, faulthandler.is_enabled(), sys.stdout.line_buffering,
                  sys.path]))
"""


def test_has_the_packages_of_this_interpreter(tmp_path: Path) -> None:
    """Also those on PYTHONPATH, which an isolated Python would not look at."""
    import numpy as np

    extra = os.pathsep.join(("", str(tmp_path / "extra"), "relative"))
    python = make_stub_python(tmp_path / "stand in", {"PYTHONPATH": extra})
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
    said = subprocess.run(["python3", "-I", "-c", SAY], env=environment, stdout=subprocess.PIPE, check=True)
    numpy_file, prefix, executable, tells_crashes, line_buffered, path = json.loads(said.stdout)
    assert Path(numpy_file) == Path(np.__file__)
    assert (prefix, executable) == (sys.prefix, sys.executable)
    assert tells_crashes
    assert line_buffered
    assert path[:2] == [str(tmp_path / "extra"), os.path.abspath("relative")]


@pytest.mark.parametrize("kept", [True, False])
def test_keeps_bytecode_of_packages_alone(kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some installers leave packages without: each start compiles them then. None where Python is so told."""
    for folder, name in (("site-packages", "installed"), ("models", "beside")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").touch()
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path / "site-packages")])
    monkeypatch.setattr(sys, "dont_write_bytecode", not kept)
    python = make_stub_python(tmp_path / "python", {"PYTHONPATH": str(tmp_path / "models")})
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["python3", "-I", "-c", "import installed, beside"], env=environment, check=True)
    written = [file.name.partition(".")[0] for file in tmp_path.rglob("__pycache__/*") if "python" not in file.parts]
    assert written == ["installed"] * kept
