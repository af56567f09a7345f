"""What mypy says of files that a test writes, with the settings and the cache of `make lint`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def mypy_errors(folder: Path, *files: str) -> list[str]:
    """Give the errors, each `<file>:<line>: error: …`.

    Settings or a Python version of its own would have mypy read all of torch again, for half a minute.
    """
    command = [sys.executable, "-m", "mypy", *(str(folder / name) for name in files)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "error" in done.stdout or done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(": error: ", 1) for line in done.stdout.splitlines() if ": error: " in line]
    # An error that is in the cache has the folder in which the same text was checked first.
    return [f"{Path(place).name}: error: {error}" for place, error in lines]
