"""How long from saving a definition until `tritonforge up --watch` answers with it, beside the model's own load time.

    .venv/bin/python perf/bench_reload.py [--runs 10]

A model is called all the time while its file is saved again and again with another constant. Each run gives the time
from the save to the first new answer, and the load that the command tells of; the medians, the slowest and the
difference are printed, in seconds, and how many calls there were and how many of them failed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from figures import note

LIMIT_S = 1.0
DEADLINE_S = 60.0
DEFINITIONS = """
import numpy as np
from jaxtyping import Float32
from tritonforge import model

@model
def times(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
    return x * {}
"""
BODY = b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [1]}]}'


def main() -> None:
    """Measure, and print; exit with 1 where a run is over the limit, or a call failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "serving.py"
        file.write_text(DEFINITIONS.format(1))
        command = [sys.executable, "-m", "tritonforge", "up", str(file), "--watch"]
        command += ["--http-port=0", "--grpc-port=0", "--metrics-port=0"]
        environment = {**os.environ, "XDG_STATE_HOME": scratch}
        with subprocess.Popen(command, cwd=scratch, env=environment, stdout=subprocess.PIPE, text=True) as up:
            try:
                url = _said(up, r"HTTP (\S+)")
                _said(up, "watching()")
                _report([_time(up, url, file, factor) for factor in range(2, options.runs + 2)])
            finally:
                up.send_signal(signal.SIGINT)


def _said(up: subprocess.Popen[str], pattern: str) -> str:
    """Read lines until one has what is looked for."""
    assert up.stdout is not None
    for line in up.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise SystemExit("tritonforge up has ended")


def _time(up: subprocess.Popen[str], url: str, file: Path, factor: int) -> tuple[float, float, int, int]:
    """Save, and give the seconds until the new answer, those of the load, the calls and the failures."""
    time.sleep(0.37)  # not in step with the polling
    calls = failures = 0
    file.write_text(DEFINITIONS.format(factor))
    saved = time.perf_counter()
    while time.perf_counter() - saved < DEADLINE_S:
        calls += 1
        try:
            if _call(url) == factor:
                break
        except OSError:
            failures += 1
    else:
        raise SystemExit(f"no new answer within {DEADLINE_S:g} s")
    took = time.perf_counter() - saved
    return took, float(_said(up, r"reloaded in ([\d.]+) s")), calls, failures


def _call(url: str) -> float:
    with urllib.request.urlopen(f"{url}/v2/models/times/infer", BODY, timeout=DEADLINE_S) as answer:
        return float(json.load(answer)["outputs"][0]["data"][0])


def _report(runs: list[tuple[float, float, int, int]]) -> None:
    saves, loads = [run[0] for run in runs], [run[1] for run in runs]
    beyond = [save - load for save, load in zip(saves, loads, strict=True)]
    calls, failures = sum(run[2] for run in runs), sum(run[3] for run in runs)
    for title, values in (("save to new answer", saves), ("the model's load", loads), ("beyond the load", beyond)):
        print(f"{title:<20} {statistics.median(values):.2f} s, slowest {max(values):.2f} s")
    note("the slowest new answer after a save, beyond the model's load", max(beyond), "s", at_most=LIMIT_S)
    note(f"failed calls of {calls} meanwhile", failures, at_most=0)
    print(f"{'limit beyond it':<20} {LIMIT_S:.2f} s")
    print(f"{'calls meanwhile':<20} {calls}, failed {failures}")
    sys.exit(1 if max(beyond) > LIMIT_S or failures else 0)


if __name__ == "__main__":
    main()
