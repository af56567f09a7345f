"""Time of the build: a typical project, hundreds of models, and whether twice as many take twice as long.

    python -m pytest perf/bench_build.py

Targets, on two cores: the example in under 1.0 s after imports; 200 models in 20 pipelines in under 5 s; time linear in
the number of models up to 2,000. A repository is mostly small files, so the file system counts for much; linearity is
measured in memory too, where there is such a file system.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from figures import note

from tritonforge.build import build, check_build

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "breast_cancer" / "breast_cancer.py"
MEMORY = Path("/dev/shm")

# The example reads from a file that it keeps open, which Python warns of when the module goes.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HEAD = """\
import numpy as np
from jaxtyping import Float32

from tritonforge import model, pipeline
"""
MODEL = """

@model
def {name}(x: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
    return x
"""
PIPELINE = """

@pipeline
def {name}(x: Float32[np.ndarray, "batch 20"]) -> Float32[np.ndarray, "batch 20"]:
{calls}
    return x
"""


def write_project(folder: Path, *, models: int, pipelines: int) -> list[Path]:
    """Write one file for each pipeline, with its share of the models."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    each = models // pipelines
    for index in range(pipelines):
        names = [f"step_{index}_{step}" for step in range(each)]
        calls = "\n".join(f"    x = {name}(x)" for name in names)
        text = "".join(MODEL.format(name=name) for name in names) + PIPELINE.format(name=f"p_{index}", calls=calls)
        (folder / f"serving_{index}.py").write_text(HEAD + text)
    return sorted(folder.glob("*.py"))


@pytest.fixture
def record(benchmark: Any) -> Callable[..., Any]:
    """Give a benchmark of a build into a folder that is not there yet, each time."""

    def run(files: list[Path], output: Path, *, rounds: int) -> None:
        def fresh() -> tuple[tuple[list[Path], Path], dict[str, Any]]:
            shutil.rmtree(output, ignore_errors=True)
            return (files, output), {}

        benchmark.pedantic(build, setup=fresh, rounds=rounds, warmup_rounds=1)

    return run


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Give a folder for a project and its repository."""
    if request.param == "disk":
        yield tmp_path
        return
    if not MEMORY.is_dir():
        pytest.skip(f"there is no {MEMORY}")
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


def bench_example(record: Callable[..., Any], benchmark: Any, tmp_path: Path) -> None:
    """A function with an asset, an ONNX graph and a pipeline."""
    record([EXAMPLE], tmp_path / "repository", rounds=10)
    note("the example", benchmark.stats.stats.median, "s", at_most=1.0)


def bench_200_models_in_20_pipelines(record: Callable[..., Any], benchmark: Any, tmp_path: Path) -> None:
    """Ten Python models in each of twenty files."""
    files = write_project(tmp_path / "project", models=200, pipelines=20)
    record(files, tmp_path / "repository", rounds=3)
    note("200 models in 20 pipelines", benchmark.stats.stats.median, "s", at_most=5.0)


def bench_unchanged_200_models(benchmark: Any, tmp_path: Path) -> None:
    """What `build --check` takes where there is no difference."""
    files = write_project(tmp_path / "project", models=200, pipelines=20)
    build(files, tmp_path / "repository")
    assert benchmark.pedantic(check_build, args=(files, tmp_path / "repository"), rounds=3) == ""


def bench_linearity(benchmark: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """250, 500, 1,000 and 2,000 models; a ratio near 1 is linear."""
    took_s: dict[int, float] = {}

    def measure() -> None:
        for models in (250, 500, 1000, 2000):
            files = write_project(folder / "project", models=models, pipelines=models // 10)
            start = time.perf_counter()
            build(files, folder / "repository")
            took_s[models] = time.perf_counter() - start
            shutil.rmtree(folder / "repository")

    benchmark.pedantic(measure, rounds=1)
    benchmark.extra_info["took_s"] = took_s
    where = "memory" if MEMORY in folder.parents else "disk"
    note(f"2,000 models over 250, by 8, in {where}", took_s[2000] / took_s[250] / 8, "×", at_most=1.3)
    each = ", ".join(f"{models} models {took:.2f} s" for models, took in took_s.items())
    with capsys.disabled():
        print(f"\n{folder}: {each}; time(2000) / time(250) / 8 = {took_s[2000] / took_s[250] / 8:.2f}")
