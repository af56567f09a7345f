"""Settings of the project, and the command that uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, scale, tree
from typer.testing import CliRunner, Result

from tritonforge.build import load_project
from tritonforge.cli import app
from tritonforge.errors import DiagnosticError

SETTINGS = """
[project]
name = "serving"

[tool.tritonforge]
definitions = ["serving.py", "more"]
output = "build/repository"
target = "25.01"

[tool.tritonforge.server]
http_port = 9000
"""


def test_there_are_defaults_without_any_file(project: Project) -> None:
    found = load_project()
    assert (found.sources, found.repository, found.target) == ((), project.root / "model_repository", "24.10")


def test_settings_are_relative_to_their_file_wherever_the_command_runs(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"pyproject.toml": SETTINGS, "deep/er/x": "", "deep/pyproject.toml": "[tool.ruff]\n"})
    monkeypatch.chdir(project.root / "deep" / "er")
    found = load_project()
    assert found.sources == (project.root / "serving.py", project.root / "more")
    assert found.repository == project.root / "build" / "repository"
    assert found.target == "25.01"
    assert found.server == {"http_port": 9000}
    assert load_project(project.root) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tool.tritonforge", "pyproject.toml: it is not TOML: "),
        (
            "[tool.tritonforge]\noutputs = 'x'",
            "pyproject.toml [tool.tritonforge] outputs: there is no such setting",
        ),
        (
            "[tool.tritonforge]\ntarget = 24.10",
            "pyproject.toml [tool.tritonforge] target: found 24.1: Input should be a valid string",
        ),
        (
            "[tool.tritonforge]\ndefinitions = 3",
            "[tool.tritonforge] definitions: found 3: Input should be a valid tuple",
        ),
        ("[tool.tritonforge]\ndefinitions = [1]", "[tool.tritonforge] definitions.0: "),
        ("[tool.tritonforge]\nroot = 'x'", "pyproject.toml [tool.tritonforge] root: there is no such setting"),
        ("[tool]\ntritonforge = 3", "pyproject.toml [tool.tritonforge]: it is 3, not a table"),
    ],
)
def test_wrong_settings_are_told_with_the_right_ones(project: Project, text: str, message: str) -> None:
    project.write({"pyproject.toml": text})
    with pytest.raises(DiagnosticError) as raised:
        load_project()
    assert message in str(raised.value)
    assert {one.code for one in raised.value.diagnostics} == {"TF403"}


def test_one_file_needs_no_list(project: Project) -> None:
    project.write({"pyproject.toml": "[tool.tritonforge]\ndefinitions = 'a.py'"})
    assert load_project().sources == (project.root / "a.py",)


def test_a_file_without_our_table_is_passed_over(project: Project) -> None:
    project.write({"pyproject.toml": "tool = 3"})
    assert load_project().sources == ()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["build", *arguments])


def test_the_command_builds_what_the_settings_say(project: Project) -> None:
    project.write({"pyproject.toml": SETTINGS, "serving.py": scale("one"), "more/more.py": scale("two")})
    result = run()
    assert result.exit_code == 0, result.output
    assert "2 models in build/repository" in result.output
    assert (project.root / "build/repository/two/config.pbtxt").is_file()


def test_the_command_line_goes_before_the_settings(project: Project) -> None:
    project.write({"pyproject.toml": SETTINGS, "other.py": scale("three")})
    result = run("other.py", "-o", "elsewhere", "--target", "24.05")
    assert result.exit_code == 0, result.output
    assert '"target": "24.05"' in (project.root / "elsewhere/tritonforge.json").read_text()
    assert not (project.root / "build").exists()


def test_the_table_shows_each_model(project: Project) -> None:
    project.write({"serving.py": scale()})
    first = run("serving.py").output
    assert [word in first for word in ("scale", "python", "new", "FP32")] == [True] * 4
    assert "unchanged" in run("serving.py").output
    project.write({"serving.py": scale(factor=3)})
    assert "changed" in run("serving.py").output


def test_a_warning_is_shown_and_builds(project: Project) -> None:
    dead = "@pipeline\ndef p(x: Float32[np.ndarray, 'batch 4']) -> Float32[np.ndarray, 'batch 4']:\n    scale(x)\n"
    project.write({"serving.py": scale() + dead + "    return scale(x)\n"})
    result = run("serving.py")
    assert result.exit_code == 0
    assert "warning: serving.py:" in result.stderr
    assert "[TF215]" in result.stderr


def test_check_exits_1_and_shows_the_difference(project: Project) -> None:
    project.write({"serving.py": scale()})
    missing = run("serving.py", "--check")
    assert missing.exit_code == 1
    assert "+++ b/tritonforge.json" in missing.output
    assert not project.output.exists()
    run("serving.py")
    before = tree(project.output)
    same = run("serving.py", "--check")
    assert (same.exit_code, same.output) == (0, "model_repository is up to date\n")
    project.write({"serving.py": scale(factor=3)})
    changed = run("serving.py", "--check")
    assert changed.exit_code == 1
    assert "-    return x * 2\n" in changed.output
    assert tree(project.output) == before


def test_nothing_to_build_is_told(project: Project) -> None:
    result = run()
    assert result.exit_code == 2
    assert "name a file of definitions" in result.output


def test_a_mistake_of_the_users_is_the_librarys_error(project: Project) -> None:
    project.write({"serving.py": "from tritonforge import model\n1 / 0\n"})
    result = run("serving.py")
    assert isinstance(result.exception, DiagnosticError)
    assert Path("model_repository").exists() is False
