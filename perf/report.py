"""Measure, and write perf/REPORT.md with its plots.

    python perf/report.py [--quick] [--only PART …] [--skip PART …] [--missing] [--render]

Each part's raw figures are kept in perf/results/PART.json, so that a part can be measured by itself (`--only`), a run
that was stopped can go on (`--missing`), and the report be written anew from what is there (`--render`).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench_report.parts import PARTS
from bench_report.peer_figures import read_points
from bench_report.plots import draw_plots
from bench_report.render import render
from bench_report.running import read_results, run_part

from tritonforge.report.picture import to_png

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the parts, write the report, and give the exit status: 1 where a part gave no figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="a look: fewer rounds, shorter ones")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--skip", nargs="+", choices=list(PARTS), default=[], metavar="PART")
    parser.add_argument("--missing", action="store_true", help="only parts without figures")
    parser.add_argument("--render", action="store_true", help="measure nothing; write the report of what is there")
    parser.add_argument("--output", type=Path, default=HERE, help="the folder of REPORT.md, results and plots")
    options = parser.parse_args()
    results = options.output / "results"
    chosen = [] if options.render else [PARTS[name] for name in options.only if name not in options.skip]
    failed = []
    for part in chosen:
        if options.missing and (results / f"{part.name}.json").exists():
            continue
        print(f"== {part.name}: {part.title}", flush=True)
        began = time.monotonic()
        if not run_part(part, results, quick=options.quick):
            failed.append(part.name)
        print(f"== {part.name} took {time.monotonic() - began:.0f} s", flush=True)
        write(options.output)
    if options.render:
        write(options.output)
    if failed:
        print(f"without figures: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def write(folder: Path) -> None:
    """Write the report and its plots of all figures that are kept."""
    results = read_results(folder / "results")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "REPORT.md").write_text(render(results), encoding="utf-8")
    if "peers" in results:
        (folder / "plots").mkdir(exist_ok=True)
        for name, drawing in draw_plots(read_points(results["peers"])).items():
            (folder / "plots" / f"{name}.png").write_bytes(to_png(drawing))


if __name__ == "__main__":
    sys.exit(main())
