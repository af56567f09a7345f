"""docs/reference/config.md is what the settings' docstrings say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tritonforge.pbtxt.releases import SINCE

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")


def test_the_reference_of_settings_is_up_to_date() -> None:
    """`python scripts/config_reference.py` mends it."""
    code = "import sys; sys.path[:0] = ['scripts']; import config_reference as made; print(made.reference(), end='')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT, encoding="utf-8"
    )
    assert result.stdout == TEXT


def test_fields_that_not_every_release_knows_say_since_when() -> None:
    said = {(match[1], match[2]) for match in re.finditer(r"Since (\d\d\.\d\d)\. \| `(\w+)`", TEXT)}
    known = {
        (since, "ensemble_scheduling" if "inflight" in path else path.rpartition(".")[2])
        for path, since in SINCE.items()
    }
    assert known <= said | {("25.11", "ensemble_scheduling")}
