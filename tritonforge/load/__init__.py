"""Load on a server of the Open Inference Protocol, and what it took: sweeps over concurrency or rate, and searches."""

from __future__ import annotations

from tritonforge.load.errors import GeneratorGone, InvalidLoad, LoadFailed, ServerGone
from tritonforge.load.exports.profile_export import ProfileExport
from tritonforge.load.figures.histogram import Histogram
from tritonforge.load.pacing.times import read_times
from tritonforge.load.results import (
    Environment,
    Errors,
    Estimate,
    Generator,
    Latency,
    ModelStatistics,
    Point,
    Report,
    ServerProcesses,
    Step,
    Window,
)
from tritonforge.load.search import find_max
from tritonforge.load.session import Progress, Session
from tritonforge.load.settings import Data, HttpRequest, Load, ModelLoad, Settings, Slo, parse_loads, parse_slo
from tritonforge.load.stopped import SweepInterrupted, SweepStopped
from tritonforge.load.sweep import sweep
from tritonforge.load.trust import TlsFiles

__all__ = [
    "Data",
    "Environment",
    "Errors",
    "Estimate",
    "Generator",
    "GeneratorGone",
    "Histogram",
    "HttpRequest",
    "InvalidLoad",
    "Latency",
    "Load",
    "LoadFailed",
    "ModelLoad",
    "ModelStatistics",
    "Point",
    "ProfileExport",
    "Progress",
    "Report",
    "ServerGone",
    "ServerProcesses",
    "Session",
    "Settings",
    "Slo",
    "Step",
    "SweepInterrupted",
    "SweepStopped",
    "TlsFiles",
    "Window",
    "find_max",
    "parse_loads",
    "parse_slo",
    "read_times",
    "sweep",
]
