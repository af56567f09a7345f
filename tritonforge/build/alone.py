"""What a module imports as it runs, by names that its text doesn't have."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["loaded_alone"]

_PROGRAM = """
import importlib, json, os, sys
request = json.load(sys.stdin)
sys.path[:], sys.dont_write_bytecode = request["path"], True
run = set()
sys.addaudithook(lambda event, args: run.add(getattr(args[0], "co_filename", "")) if event == "exec" else None)
importlib.import_module(request["module"])
loaded = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
loaded = {name: file for name, file in loaded.items() if isinstance(file, str) and os.path.isabs(file)}
run = {os.path.abspath(file) for file in run if file.endswith(".py") and os.path.isfile(file)}
loaded |= {file: file for file in run - set(loaded.values())}
with open(request["answer"], "w") as file:
    json.dump(loaded, file)
os._exit(0)
"""

_LONGEST_S = 600.0


def loaded_alone(module: str, root: Path) -> Mapping[str, Path] | None:
    """Import a module in a process of its own; give all modules that are there then, with their files.

    A file that was run without becoming a module is there under its own path.

    So what travels with it doesn't hang on what else is built, nor on what runs of it. None where it fails alone.
    """
    with tempfile.TemporaryDirectory(prefix="tritonforge-") as folder:
        answer = Path(folder, "loaded.json")
        request = {"module": module, "path": [str(root), *sys.path], "answer": str(answer)}
        try:
            subprocess.run(
                [sys.executable, "-c", _PROGRAM],
                input=json.dumps(request).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_LONGEST_S,
                check=True,
            )
            return {name: Path(file) for name, file in json.loads(answer.read_bytes()).items()}
        except (OSError, subprocess.SubprocessError, ValueError):
            return None
