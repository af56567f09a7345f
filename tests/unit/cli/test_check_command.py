"""`tritonforge check`: exit codes and formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tritonforge.cli import app

TENSORS = 'input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] } output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }\n'


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of a good and a bad model, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, first in {"good": "", "bad": "max_batch_size: -1\n"}.items():
        (tmp_path / "repo" / name / "1").mkdir(parents=True)
        (tmp_path / "repo" / name / "config.pbtxt").write_text(f'backend: "custom"\n{first}{TENSORS}')
    return Path("repo")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["check", *arguments])
    return result.exit_code, result.output


def test_text(repository: Path) -> None:
    assert run(str(repository)) == (
        1,
        "repo/bad/config.pbtxt:2 bad, max_batch_size: max_batch_size is -1; it must be 0 (no batching) or more\n"
        "  hint: 0 for a model without a batch dimension  [TF612]\n"
        "2 models, 1 error, 0 warnings\n",
    )


def test_without_a_repository_it_is_the_projects(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `up` and `image` take it; by default the folder that a build writes to."""
    code, said = run()
    assert code == 2
    assert "name a model repository; there is no model_repository here" in " ".join(said.replace("│", " ").split())
    named = run(str(repository))
    Path("pyproject.toml").write_text('[tool.tritonforge]\noutput = "repo"\n')
    assert run() == named
    Path("pyproject.toml").unlink()
    repository.rename("model_repository")
    code, said = run()
    assert code == 1
    assert said.startswith("model_repository/bad/config.pbtxt:2 bad, max_batch_size")


def test_without_a_target_it_is_the_projects(repository: Path) -> None:
    """As a build takes it: what was built for a release isn't held against another one."""
    (repository / "bad" / "config.pbtxt").write_text(f'backend: "custom"\n{TENSORS}')
    assert run("repo")[0] == 0
    Path("pyproject.toml").write_text('[tool.tritonforge]\ntarget = "22.01"\n')
    (repository / "good" / "config.pbtxt").write_text(f'backend: "custom"\nruntime: "a.so"\n{TENSORS}')
    code, said = run("repo")
    assert code == 1
    assert "TF604" in said
    assert run("repo", "--target", "24.10")[0] == 0


def test_json(repository: Path) -> None:
    code, output = run(str(repository), "--format", "json")
    assert code == 1
    assert json.loads(output) == [
        {
            "model": "bad",
            "path": "bad/config.pbtxt",
            "line": 2,
            "field": "max_batch_size",
            "code": "TF612",
            "severity": "error",
            "message": "max_batch_size is -1; it must be 0 (no batching) or more",
            "hint": "0 for a model without a batch dimension",
        }
    ]


def test_github(repository: Path) -> None:
    assert run(str(repository), "--format", "github") == (
        1,
        "::error file=repo/bad/config.pbtxt,line=2,title=TF612::bad, max_batch_size: max_batch_size is -1; it must be "
        "0 (no batching) or more%0Ahint: 0 for a model without a batch dimension\n",
    )


def test_a_clean_repository(repository: Path) -> None:
    (repository / "bad" / "config.pbtxt").write_text(f'backend: "custom"\n{TENSORS}')
    assert run(str(repository)) == (0, "2 models, 0 errors, 0 warnings\n")
    assert run(str(repository), "--format", "json") == (0, "[]\n")


@pytest.mark.parametrize(
    "arguments",
    [["nowhere"], ["repo", "--target", "24.13"], ["repo", "--target", "99.01"], ["repo", "--format", "xml"], []],
    ids=" ".join,
)
def test_misuse(arguments: list[str], repository: Path) -> None:
    assert run(*arguments)[0] == 2
