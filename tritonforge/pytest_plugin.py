"""The fixtures `triton` and `perf_sweep` for users' own suites; pytest loads this, so that nothing heavy is imported.

Where pytest-benchmark is active, each load of a sweep is stored as one of its benchmarks, of as many rounds as it has
windows: in each an equal part of the inferences, its time that of one of them, so that OPS is the throughput.
`--benchmark-save`, `--benchmark-compare` and `--benchmark-compare-fail=mean:5%` then work on it. What is sent is in the
name, where it isn't the default; sweeps of one test that are alike in that are counted. Without pytest-benchmark the
fixture measures all the same.
"""

from __future__ import annotations

import copy
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tritonforge.build import Project
    from tritonforge.load import Point, Report, Window
    from tritonforge.report.scenario import Scenario
    from tritonforge.server import EmbeddedServer

__all__ = ["perf_sweep", "triton"]

_SENT = (
    "batch_size", "sequence_length", "data", "shape", "payloads", "string_length", "body", "shared_memory", "arrivals",
    "gamma_shape", "burst", "request_parameter",
)  # fmt: skip
"""Options that are in a benchmark's name. Not the URL: its port may be another in each run."""
_JUDGING = ("baseline", "max_regression", "strict", "max_errors")
"""Options that the command judges by."""
_HELP = "what the fixture `triton` serves: a model repository, or definitions to build [default: pyproject.toml's]"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have an option, and a line of the configuration, for what `triton` serves."""
    parser.getgroup("tritonforge").addoption("--triton-repository", metavar="PATH", help=_HELP)
    parser.addini("triton_repository", _HELP, default="")


@pytest.fixture(scope="session")
def triton(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Give a Triton server for the session, on free ports, with the project's models ready: `triton.http_url`.

    It serves what `--triton-repository` or `triton_repository` names, else what the definitions of [tool.tritonforge]
    in pytest's rootdir build to, else the repository that is built there.
    """
    from tritonforge.build import load_project
    from tritonforge.errors import TritonForgeError
    from tritonforge.server import Server, ServerSettings

    free: dict[str, Any] = {"http_port": 0, "grpc_port": 0, "metrics_port": 0}
    try:
        project = load_project(request.config.rootpath)
        repository = _repository(request.config, project, tmp_path_factory)
        settings = ServerSettings.load(defaults={"model_control": "explicit", **project.server}, **free)
        server = Server.embedded(repository, settings, projects=(project.root,))
    except TritonForgeError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    with server:
        yield server


def _repository(config: pytest.Config, project: Project, temporary: pytest.TempPathFactory) -> Path:
    """Find the repository to serve, built if need be."""
    from tritonforge.server.repository.folder import holds_models

    option, line = config.getoption("--triton-repository"), config.getini("triton_repository")
    named = Path(config.invocation_params.dir, option) if option else Path(config.rootpath, line) if line else None
    if named is not None and holds_models(named):
        return named
    sources = (named,) if named is not None else project.sources
    if not sources and holds_models(project.repository):
        return project.repository
    if not sources:
        pytest.fail(
            f"there is nothing for the fixture triton to serve: {project.root} has no [tool.tritonforge] definitions "
            f"in its pyproject.toml, and no {project.output}; name a repository or definitions with "
            "--triton-repository, or triton_repository in pytest's configuration",
            pytrace=False,
        )
    from tritonforge.build import build

    output = temporary.mktemp("triton") / "model_repository"
    for warning in build(sources, output, target=project.target).warnings:
        warnings.warn(str(warning), stacklevel=1)
    return output


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have pytest-benchmark know the tests that sweep, for its --benchmark-only, -skip and -disable."""
    names = getattr(item, "fixturenames", [])
    if "perf_sweep" in names and "benchmark" not in names and item.config.pluginmanager.hasplugin("benchmark"):
        names.append("benchmark")


@pytest.fixture
def perf_sweep(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Give a function that measures: the model's name, and the options of `tritonforge perf` as keywords.

    `perf_sweep("fraud", url=server.http_url, concurrency="1:16:x4", duration=3)` gives the `Report`; `json="out.json"`
    writes it, too, as the command does. A mistake in the options raises `BadOption`; a server that doesn't answer, the
    engine's error. Requests that failed raise nothing: they are `point.failed` and `point.errors`.
    """
    benchmark = request.getfixturevalue("benchmark") if "benchmark" in request.fixturenames else None
    taken: Counter[str] = Counter()

    def sweep(model: str, **options: Any) -> Report:
        from tritonforge.report import write_report
        from tritonforge.report.files import files_of
        from tritonforge.report.options import BadOption
        from tritonforge.report.places import check_places
        from tritonforge.report.scenario import scenario_of
        from tritonforge.report.sweep import sweep as measure

        scenario = scenario_of({"model": model, **options})
        for name in _JUDGING:
            if getattr(scenario, name) not in (None, False):
                raise BadOption(name, "it judges nothing in a test; hold the report's points against what you want")
        outputs = scenario.outputs.items()
        files = [(kind, kind, file) for kind, path in outputs for file in files_of(path, kind, scenario.protocols)]
        check_places(files, scenario.inputs)
        report = measure(scenario)
        for kind, path in outputs:
            write_report(report, path, kind)
        if benchmark is not None and benchmark.enabled:
            for point in report.points:
                label = ", ".join([model, *_sent(scenario), str(point.load), point.protocol])
                taken[label] += 1
                _store(benchmark, label if taken[label] == 1 else f"{label}, {taken[label]}", point)
        return report

    if benchmark is not None:
        benchmark._mode = "perf_sweep"  # else pytest-benchmark warns that its fixture was not used
    return sweep


def _sent(scenario: Scenario) -> Iterator[str]:
    """Say what is sent where that isn't the default, in words that are the same in each run."""
    for name in _SENT:
        value = getattr(scenario, name)
        if value != getattr(type(scenario), name):
            words = "; ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            yield f"{name}={Path(words).name if name == 'data' else words}"


def _store(benchmark: Any, label: str, point: Point) -> None:
    """Store a load as a benchmark of its own; one at which nothing succeeded has none."""
    if not (rounds := _rounds([window for window in point.windows if window.measured])):
        return
    fixture = copy.copy(benchmark)
    fixture.name, fixture.fullname = f"{benchmark.name} [{label}]", f"{benchmark.fullname} [{label}]"
    fixture.extra_info = {
        **benchmark.extra_info,
        "throughput": point.throughput.value,
        **{f"{name}_us": getattr(point.latency, f"{name}_us").value for name in ("mean", "p50", "p90", "p95", "p99")},
        "errors": point.failed,
        "stable": point.stable,
    }
    stats = fixture._make_stats(1)
    for seconds in rounds:
        stats.update(seconds)


def _rounds(windows: Sequence[Window]) -> list[float]:
    """Give the seconds of one inference in each of as many equal parts of the inferences as there are windows.

    Their mean is the whole time by all inferences, 1 / throughput, as that of the windows' own isn't: one in which
    nothing succeeded is in the time of the part that it delays. Within a window inferences are taken to end evenly.
    """
    import numpy as np

    done = np.cumsum([0.0, *(window.throughput * window.duration_s for window in windows)])
    elapsed = np.cumsum([0.0, *(window.duration_s for window in windows)])
    if not done[-1]:
        return []
    edges = np.interp(np.linspace(0, done[-1], len(windows) + 1), done, elapsed)
    edges[0], edges[-1] = 0, elapsed[-1]
    seconds: list[float] = (np.diff(edges) * len(windows) / done[-1]).tolist()
    return seconds
