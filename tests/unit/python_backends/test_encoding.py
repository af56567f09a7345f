"""The user's code in a Python that starts with ASCII, as the one inside Triton's stub does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tritonforge_runtime import encoding

RUNTIME = Path(encoding.__file__).parent

PROGRAM = """
import json, subprocess, sys
assert sys.getfilesystemencoding() == "ascii", sys.getfilesystemencoding()
sys.path[:0] = [sys.argv[1], "."]
from encoding import file_name, use_utf8
use_utf8()
use_utf8()
import paket.mödul
import länder
text = open(file_name("tä.txt")).read()
echoed = subprocess.run(["cat"], input=text, capture_output=True, text=True).stdout
print(json.dumps([text, echoed, paket.mödul.VALUE, länder.inner.VALUE, sys.stdout.encoding]))
print("é\\udcff")
"""


def test_files_modules_and_streams_are_utf8_in_an_ascii_python(tmp_path: Path) -> None:
    for folder in ("paket", "länder"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tä.txt").write_text("héé", encoding="utf-8")
    (tmp_path / "paket" / "mödul.py").write_text("VALUE = 'ü'\n", encoding="utf-8")
    (tmp_path / "länder" / "__init__.py").write_text("from . import inner\n", encoding="utf-8")
    (tmp_path / "länder" / "inner.py").write_text("VALUE = 7\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    # As the stub's Python, which no variable makes use UTF-8.
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    run = subprocess.run(
        [sys.executable, "program.py", str(RUNTIME)],
        cwd=tmp_path,
        env=plain,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 0, run.stderr.decode()
    first, second = run.stdout.decode().splitlines()
    assert json.loads(first) == ["héé", "héé", "ü", 7, "utf-8"]
    assert second == "é\\udcff"


def test_a_file_name_is_itself_where_python_uses_utf8() -> None:
    assert sys.getfilesystemencoding() == "utf-8", "as it is for all tests"
    assert encoding.file_name("tä.txt") == "tä.txt"
