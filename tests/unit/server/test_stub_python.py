"""The stand-in environment of the stubs, tried with an interpreter isolated as a stub's is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tritonforge.server.installed.stub_python import make_stub_python

SAY = """
import faulthandler, json, numpy, sys
print(json.dumps([numpy.__file__, sys.prefix, sys.executable, sys.dont_write_bytecode, faulthandler.is_enabled(),
                  sys.stdout.line_buffering, sys.path]))
"""


def test_has_the_packages_of_this_interpreter(tmp_path: Path) -> None:
    """Also those on PYTHONPATH, which an isolated Python would not look at; no bytecode is written."""
    import numpy as np

    extra = os.pathsep.join(("", str(tmp_path / "extra"), "relative"))
    python = make_stub_python(tmp_path / "stand in", {"PYTHONPATH": extra})
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"}
    said = subprocess.run(["python3", "-I", "-c", SAY], env=environment, stdout=subprocess.PIPE, check=True)
    numpy_file, prefix, executable, no_bytecode, tells_crashes, line_buffered, path = json.loads(said.stdout)
    assert Path(numpy_file) == Path(np.__file__)
    assert (prefix, executable) == (sys.prefix, sys.executable)
    assert no_bytecode
    assert tells_crashes
    assert line_buffered
    assert path[:2] == [str(tmp_path / "extra"), os.path.abspath("relative")]
