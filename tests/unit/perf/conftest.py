"""The benchmarks' own modules, which are no package, where tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

PERF = Path(__file__).resolve().parents[3] / "perf"
sys.path[:0] = [folder for folder in (str(PERF), str(PERF / "peers")) if folder not in sys.path]
