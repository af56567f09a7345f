"""What every stub's Python runs first: it makes the isolated interpreter see what the launcher's sees.

The stub's Python heeds no PYTHON* variable and no user site (seen in 24.10). `stub_python` copies this, as a module
that a .pth file imports, into a stand-in environment, with prelude.json beside it.
"""

import faulthandler
import json
import os
import site
import sys
from importlib.machinery import SourceFileLoader

with open(os.path.join(os.path.dirname(__file__), "prelude.json")) as file:
    launcher = json.load(file)
    launcher["keep"] = tuple(launcher["keep"])

sys.dont_write_bytecode = not launcher["keep"]


def _keep(loader: SourceFileLoader, path: str, data: object, **mode: object) -> None:
    """Keep bytecode beside packages only: it would change the model repository."""
    if path.startswith(launcher["keep"]):
        _set_data(loader, path, data, **mode)  # type: ignore[arg-type]


_set_data, SourceFileLoader.set_data = SourceFileLoader.set_data, _keep  # type: ignore[method-assign,assignment]
for folder in launcher["site"]:
    site.addsitedir(folder)
sys.path[:0] = launcher["path"]
with open("/proc/self/cmdline") as file:
    program, *arguments = file.read().rstrip("\0").split("\0")
if os.path.basename(program) == "triton_python_backend_stub" and os.path.isabs(arguments[-1]):
    sys.path.insert(0, arguments[-1])  # a Python-based backend's folder: its `model` is not another's on PYTHONPATH
sys.prefix = sys.exec_prefix = launcher["prefix"]
sys.executable = launcher["executable"]
sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what a model prints is to be in the log at once
faulthandler.enable()  # a crash in native code then tells the Python line in the log
