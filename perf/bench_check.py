"""How long `tritonforge check` takes, and how much memory, by the number of models.

    python perf/bench_check.py --models 500

Half of the models have one input and output, half many settings; every fifth is an ensemble of two of them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from figures import note

TENSORS = """\
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 3, 224, 224 ] } ]
"""
SMALL = f'backend: "custom"\nmax_batch_size: 8\n{TENSORS}'
LARGE = f"""{SMALL}
dynamic_batching {{ preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
version_policy {{ latest {{ num_versions: 1 }} }}
parameters {{ key: "a" value {{ string_value: "b" }} }}
model_warmup {{
  name: "zero"
  batch_size: 1
  inputs {{ key: "x" value {{ data_type: TYPE_FP32 dims: [ 3, 224, 224 ] zero_data: true }} }}
}}
"""
STEP = """\
  step {{
    model_name: "m{0}"
    model_version: -1
    input_map {{ key: "x" value: "{1}" }}
    output_map {{ key: "y" value: "{2}" }}
  }}
"""


def main() -> None:
    """Write a repository, check it, and print time and peak memory."""
    parser = argparse.ArgumentParser(description="Time tritonforge check.")
    parser.add_argument("--models", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.models):
            model = Path(folder) / f"m{number}"
            (model / "1").mkdir(parents=True)
            (model / "config.pbtxt").write_text(_config(number))
        started = time.perf_counter()
        from tritonforge.check import check_repository

        imported = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report = check_repository(Path(folder))
        took = time.perf_counter() - imported
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    note(f"check of {options.models} models", took, "s", at_most=2.0 if options.models <= 500 else None)
    print(
        f"{options.models} models in {took:.2f} s ({imported - started:.2f} s of imports before), "
        f"{len(report.findings)} findings, peak {after / 1024:.0f} MiB, of which {(after - before) / 1024:.1f} for it"
    )
    sys.exit(1 if report.errors else 0)


def _config(number: int) -> str:
    if number % 5 != 4:
        return LARGE if number % 2 else SMALL
    steps = STEP.format(number - 1, "x", "t") + STEP.format(number - 2, "t", "y")
    return f'platform: "ensemble"\nmax_batch_size: 8\n{TENSORS}ensemble_scheduling {{\n{steps}}}\n'


if __name__ == "__main__":
    main()
