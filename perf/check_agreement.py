"""How often `tritonforge check` and the real server agree, over generated configurations.

    python perf/check_agreement.py --count 2000 --first-seed 0

Each batch of configurations is one repository, which the embedded server loads with backends that do nothing. Prints
every disagreement, then the figures; exits 1 if one is below its goal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "integration"))

from agreement import Agreement, compare

BATCH = 250


def main() -> int:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description="Compare tritonforge check with the real server.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first-seed", type=int, default=0)
    options = parser.parse_args()
    total = Agreement()
    end = options.first_seed + options.count
    for start in range(options.first_seed, end, BATCH):
        with tempfile.TemporaryDirectory() as folder:
            total.add(compare(Path(folder), range(start, min(start + BATCH, end))))
    for parting in total.partings:
        print(parting)
    print(total)
    good = (
        total.accepted_by_both == total.accepted
        and total.refused_by_both >= 0.99 * total.refused
        and total.same_field >= 0.95 * total.refused_by_both
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
