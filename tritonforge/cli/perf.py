"""`tritonforge perf`: load on a server and what it took; `compare` and `run` beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from tritonforge.cli.perf_compare import compare
from tritonforge.cli.perf_ending import ending
from tritonforge.cli.perf_once import Once
from tritonforge.cli.perf_run import run

__all__ = ["perf"]

_OUTPUT = "Files"
_INPUT = "Input"
_HOW = "Measuring"


class _MeasuresByDefault(TyperGroup):
    """A group in which a first word that is no command's name is `measure`'s."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["measure", *args]
        return super().parse_args(ctx, args)


perf = typer.Typer(
    cls=_MeasuresByDefault,
    help="Measure a server: `tritonforge perf MODEL …` is short for `tritonforge perf measure MODEL …`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
perf.command("compare", cls=Once)(compare)
perf.command("run", cls=Once)(run)


def _option(text: str, panel: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


@perf.command("measure", cls=Once)
def measure(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="NAME, NAME:VERSION, or a mix: NAME=WEIGHT,NAME=WEIGHT.", show_default=False)
    ],
    repository: Annotated[
        Path | None,
        typer.Argument(metavar="[REPO or FILE]", help="Serve this for the run, instead of --url."),
    ] = None,
    url: Annotated[
        list[str] | None,
        typer.Option(envvar="TRITONFORGE_URL", help="http://host:port or grpc://host:port; once for each protocol."),
    ] = None,
    protocol: Annotated[str, _option("Of REPO or FILE: http, grpc, or http,grpc.", _HOW)] = "http",
    concurrency: Annotated[
        str | None, _option("Closed loop: requests in flight, 8, 1,2,8 or 1:64:x2 [default: 1].", "Load")
    ] = None,
    rate: Annotated[str | None, _option("Open loop: requests a second, as above.", "Load")] = None,
    arrivals: Annotated[
        Literal["constant", "poisson", "gamma"] | None,
        _option("When requests of a rate are due [default: constant].", "Load"),
    ] = None,
    gamma_shape: Annotated[
        float | None, _option("Below 1 it comes in bursts, from 0.01 on [default: 2].", "Load")
    ] = None,
    burst: Annotated[int | None, _option("Requests of a rate that are due at once [default: 1].", "Load")] = None,
    schedule: Annotated[Path | None, _option("Times at which requests are due, one a line.", "Load")] = None,
    replay: Annotated[Path | None, _option("Recorded times, one a line: seconds, ISO 8601, JSON.", "Load")] = None,
    repeat: Annotated[float | None, _option("Begin the times anew every so many seconds.", "Load")] = None,
    max_in_flight: Annotated[
        int | None, _option("The most in flight at once of an open loop [default: 256].", "Load")
    ] = None,
    batch_size: Annotated[int, _option("Inferences in a request.", _INPUT, "--batch-size", "-b")] = 1,
    sequence_length: Annotated[int, _option("Requests of a sequence; 0: as the data have them, or none.", _INPUT)] = 0,
    data: Annotated[
        str, _option("random, zeros, golden, or a file: .npz, .jsonl, .parquet, perf_analyzer's .json.", _INPUT)
    ] = "random",
    shape: Annotated[list[str] | None, _option("seq=128 for a dimension, x=3,224,224 for an input.", _INPUT)] = None,
    payloads: Annotated[
        int | None, _option("Different requests of random data, in turn [default: 16].", _INPUT)
    ] = None,
    string_length: Annotated[int | None, _option("Characters of random strings [default: 16].", _INPUT)] = None,
    check: Annotated[bool, _option("Hold the answers against those in the data.", _INPUT, "--check")] = False,
    tolerance: Annotated[
        float | None,
        _option("t: floats are right where |answer - expected| <= t + t * |expected| [default: 1e-4].", _INPUT),
    ] = None,
    body: Annotated[
        Literal["binary", "json"] | None, _option("How HTTP carries tensors [default: binary].", _INPUT)
    ] = None,
    shared_memory: Annotated[
        Literal["none", "system"] | None, _option("Where tensors lie [default: none].", _INPUT)
    ] = None,
    output_bytes: Annotated[
        int | None,
        _option(
            "Shared memory for an output of unknown size.", _INPUT, "--output-bytes", "--output-shared-memory-size"
        ),
    ] = None,
    window: Annotated[
        float | None, _option("Seconds of a window [default: 5, or a tenth of a shorter --duration].", _HOW)
    ] = None,
    warmup: Annotated[float | None, _option("Seconds of load before the windows [default: 1].", _HOW)] = None,
    ramp: Annotated[float | None, _option("Seconds in which a load is brought up [default: 0].", _HOW)] = None,
    stability: Annotated[float | None, _option("How far stable windows may differ [default: 0.1, 10 %].", _HOW)] = None,
    stable_windows: Annotated[int | None, _option("How many windows must agree [default: 3].", _HOW)] = None,
    max_windows: Annotated[int | None, _option("The most windows until they do [default: 10].", _HOW)] = None,
    duration: Annotated[float | None, _option("Seconds for each load, instead of stability.", _HOW)] = None,
    requests: Annotated[int | None, _option("Requests for each load, instead of stability.", _HOW)] = None,
    processes: Annotated[int | None, _option("Processes that send [default: 1].", _HOW)] = None,
    timeout: Annotated[float | None, _option("Seconds until a request has failed [default: 30].", _HOW)] = None,
    key_file: Annotated[
        Path | None, _option("The file of the key, where the server wants one for what is asked here.", _HOW)
    ] = None,
    header: Annotated[list[str] | None, _option("NAME: VALUE, sent with each request.", _HOW, "--header", "-H")] = None,
    request_parameter: Annotated[
        list[str] | None, _option("NAME:VALUE:TYPE, sent with each request; of bool, int, double, string.", _INPUT)
    ] = None,
    ca: Annotated[Path | None, _option("Of TLS: PEM of whom to trust [default: the system's].", _HOW)] = None,
    certificate: Annotated[Path | None, _option("Of mutual TLS: PEM of the client's certificate.", _HOW)] = None,
    key: Annotated[Path | None, _option("Of mutual TLS: PEM of its key.", _HOW)] = None,
    server_name: Annotated[
        str | None, _option("Of TLS: the name in the server's certificate, if not the URL's host.", _HOW)
    ] = None,
    seed: Annotated[int | None, _option("Of random input and arrivals [default: 0].", _HOW)] = None,
    server_statistics: Annotated[bool, _option("Ask the server for its own figures.", _HOW)] = True,
    slo: Annotated[str | None, _option("An objective: p99=5ms, or several: p50=1ms,p99=5ms.", "Objectives")] = None,
    find_max: Annotated[
        bool,
        _option(
            "Search the greatest load that meets --slo: within a range, or from one load on.",
            "Objectives",
            "--find-max",
        ),
    ] = False,
    baseline: Annotated[Path | None, _option("A saved report to compare with.", "Objectives")] = None,
    max_regression: Annotated[
        str | None, _option("Exit 1 if significantly worse than the baseline by more: 5%.", "Objectives")
    ] = None,
    strict: Annotated[
        bool, _option("Exit 3 unless one beyond --max-regression is ruled out.", "Objectives", "--strict")
    ] = False,
    max_errors: Annotated[
        str | None, _option("Exit 1 if more of a load's requests failed [default: 1%].", "Objectives")
    ] = None,
    json: Annotated[Path | None, _option("Everything, raw; for compare.", _OUTPUT)] = None,
    csv: Annotated[Path | None, _option("perf_analyzer's columns.", _OUTPUT)] = None,
    html: Annotated[Path | None, _option("A page with plots, in one file.", _OUTPUT)] = None,
    png: Annotated[Path | None, _option("The main plot; needs tritonforge[png].", _OUTPUT)] = None,
    svg: Annotated[Path | None, _option("The main plot.", _OUTPUT)] = None,
    profile_export: Annotated[
        Path | None,
        _option(
            "perf_analyzer's JSON: the times of every request.", _OUTPUT, "--profile-export", "--profile-export-file"
        ),
    ] = None,
) -> None:
    """Put load on a model, and report throughput, latency, and where the time goes.

    Exits with 0 where objectives are met, 1 where an objective or the limit of a regression or of errors isn't, 2 where
    it is misused or no server answers, 3 where the figures are not stable, and 4 where the server, or a process of the
    load generator, went away amid them.
    """
    given = {name: value for name, value in locals().items() if value is not None and name != "context"}
    source = context.get_parameter_source("url")
    if repository is not None and source is not None and source.name == "ENVIRONMENT":
        del given["url"]  # said for runs without a repository
    with ending() as end:
        with end.importing():
            import tritonforge.report.sweep  # noqa: F401  with it, all that measures
            from tritonforge.cli.perf_execute import execute
            from tritonforge.cli.perf_misuse import misused
            from tritonforge.report.scenario import scenario_of

        with misused():
            scenario = scenario_of(given)
        raise typer.Exit(execute(scenario, end))
