"""Discovery: which files are imported, under which names, and what is left behind."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import TensorProto, helper
from projects import Project, scale

from tritonforge.build import build
from tritonforge.build.discover import find_sources


def test_a_file_by_name(project: Project) -> None:
    project.write({"serving.py": scale()})
    report = project.build()
    assert [(model.name, model.kind, model.change, model.version) for model in report.models] == [
        ("scale", "python", "new", 1)
    ]
    assert report.output == project.output


def test_several_files_with_one_model_each(project: Project) -> None:
    project.write({"a.py": scale("one"), "b.py": scale("two")})
    assert [model.name for model in project.build("b.py", "a.py").models] == ["one", "two"]


def test_a_module_that_changes_the_working_directory_moves_neither_sources_nor_the_repository(project: Project) -> None:
    (project.root / "else").mkdir()
    moves = 'import os\nos.chdir("else")\n'
    later = (
        "\n@model\ndef late(n: Int64[np.ndarray, '1']) -> Int64[np.ndarray, '1']:\n    os.chdir('/')\n    return n\n"
    )
    project.write({"a.py": moves + scale("one"), "b.py": moves + scale("two") + later})
    for _ in range(2):
        report = build(["a.py", "b.py"], "repository", golden=1)
        assert Path.cwd() == project.root
    assert [(model.name, model.change) for model in report.models] == [
        ("late", "unchanged"),
        ("one", "unchanged"),
        ("two", "unchanged"),
    ]
    assert (project.root / "repository" / "tritonforge.json").is_file()
    assert list((project.root / "else").iterdir()) == []


MADE = """
def make(factor):
    @model(name=f"by_{factor}")
    def by(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
        return x * factor
    return by

class Kept:
    one = make(1)

LISTED = [make(2), [make(3)]]
for factor in (4, 5):
    last = make(factor)
NETWORKS = {name: onnx("same.onnx", name=name) for name in "ab"}
six, seven = make(6), make(7)

@pipeline
def calls(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return NETWORKS["b"](six(x))
"""


def test_models_that_are_made_and_not_built_are_told(project: Project) -> None:
    """Those that a list, a class or nothing holds; not those of a pipeline, nor of other modules."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    unused = scale("unused") + "\ndef also():\n    return unused\n"
    project.write(
        {"serving.py": "import helper\n" + MADE, "helper.py": unused, "same.onnx": network.SerializeToString()}
    )
    report = project.build()
    assert [model.name for model in report.models] == ["b", "by_5", "by_6", "by_7", "calls"]
    assert [(one.code, one.where.subject) for one in report.warnings] == [
        ("TF108", name) for name in ("by_1", "by_2", "by_3", "by_4", "a")
    ]
    assert str(report.warnings[0]) == (
        "warning: serving.py:11 by_1: no module-level variable holds it, and no pipeline calls it, so it is not built\n"
        "  hint: assign it to a variable at the top of its module; of several, each to one of its own  [TF108]"
    )


def test_the_same_file_twice_is_one(project: Project) -> None:
    project.write({"serving.py": scale()})
    assert len(project.build("serving.py", "./serving.py", ".").models) == 1


def test_a_folder_gives_the_files_that_define_models_and_runs_no_others(project: Project) -> None:
    project.write(
        {
            "serving.py": scale("one"),
            "deep/er/more.py": scale("two"),
            "setup_models.py": scale("three"),
            "train.py": "raise RuntimeError('not to be run')",
            "client.py": "from tritonforge.client import Client\nraise RuntimeError('not to be run')",
            "notes.txt": "@model",
            "test_serving.py": scale("tested"),
            "serving_test.py": scale("tested"),
            "conftest.py": scale("tested"),
            "setup.py": scale("tested"),
            ".hidden/serving.py": scale("hidden"),
            "venv/lib/site-packages/lib.py": scale("installed"),
            "__pycache__/old.py": scale("old"),
        }
    )
    assert [model.name for model in project.build(".").models] == ["one", "three", "two"]


@pytest.mark.parametrize(
    "head",
    [
        "import tritonforge\nfrom tritonforge import *\n",
        "import tritonforge as tf\nmodel = tf.model\n",
        "from tritonforge import model as model\n",
        "def later():\n    from tritonforge import model\n    return model\nmodel = later()\n",
    ],
)
def test_a_folder_finds_models_however_tritonforge_is_imported(project: Project, head: str) -> None:
    imports = "import numpy as np\nfrom jaxtyping import Float32\n"
    project.write({"serving.py": head + imports + scale()})
    assert [model.name for model in project.build(".").models] == ["scale"]


def test_a_folder_that_was_built_into_is_not_read_again(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.build(".")
    assert project.build(".").models[0].change == "unchanged"


def test_a_folder_without_definitions_is_told(project: Project) -> None:
    project.write({"train.py": "x = 1"})
    assert "no Python file in it imports model, onnx, pipeline, … from tritonforge" in project.refused(".")


def test_a_path_that_is_not_there_is_told(project: Project) -> None:
    assert "missing.py: no such file or folder" in project.refused("missing.py")


def test_a_file_that_is_no_python_is_told_as_such(project: Project) -> None:
    """It was imported as a module of its name, which there is none of."""
    project.write({"notes.txt": "words"})
    assert "notes.txt: is no Python file (.py)\n  hint: name a Python file, or a folder" in project.refused("notes.txt")


def test_a_broken_file_of_a_folder_is_told_where_it_may_define_models(project: Project) -> None:
    project.write({"serving.py": scale(), "broken.py": "from tritonforge import (", "other.py": "def ("})
    message = project.refused(".")
    assert "broken.py:1: it can't be imported: SyntaxError" in message
    assert "other.py" not in message


def test_a_package_with_relative_imports(project: Project) -> None:
    project.write(
        {
            "pkg/__init__.py": "from .definitions import scale\n",
            "pkg/definitions.py": "from . import constants\nfrom .inner.factor import FACTOR\n"
            "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import model\n" + scale(),
            "pkg/constants.py": "",
            "pkg/inner/__init__.py": "",
            "pkg/inner/factor.py": "FACTOR = 2",
        }
    )
    project.build("pkg")
    everything = ["__init__.py", "constants.py", "definitions.py", "inner/__init__.py", "inner/factor.py"]
    assert project.sources("scale") == [f"pkg/{name}" for name in everything]
    assert 'module = "pkg.definitions"' in project.shim("scale")


def test_a_file_of_a_package_is_imported_under_its_whole_name(project: Project) -> None:
    project.write({"pkg/__init__.py": "", "pkg/sub/__init__.py": "", "pkg/sub/serving.py": scale()})
    project.build("pkg/sub/serving.py")
    assert 'module = "pkg.sub.serving"' in project.shim("scale")
    assert project.sources("scale") == ["pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/serving.py"]


def test_a_definition_that_is_exported_again_is_one_model(project: Project) -> None:
    project.write(
        {"defs.py": scale(), "serving.py": "from defs import scale as other\nfrom tritonforge import model\n"}
    )
    assert [model.name for model in project.build(".").models] == ["scale"]
    assert [model.name for model in project.build("serving.py").models] == ["scale"]


def test_files_of_one_name_in_different_folders(project: Project) -> None:
    for folder, factor in (("a", 3), ("b", 5)):
        project.write(
            {
                f"{folder}/model.py": f"from helpers import FACTOR\nassert FACTOR == {factor}\n"
                "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import model\n"
                + scale(f"scale_{folder}", factor),
                f"{folder}/helpers.py": f"FACTOR = {factor}",
            }
        )
    project.build("a/model.py", "b/model.py")
    for folder, factor in (("a", 3), ("b", 5)):
        assert project.sources(f"scale_{folder}") == ["helpers.py", "model.py"]
        (helpers,) = (project.output / f"scale_{folder}").glob("1/source/helpers.py")
        assert helpers.read_text() == f"FACTOR = {factor}"


def test_what_two_folders_share_is_imported_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project.root / "lib"))
    project.write({"lib/shared.py": scale("shared")})
    for folder in "ab":
        text = f"""
from shared import shared

@pipeline
def {folder}(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return shared(x)
"""
        project.write({f"{folder}/serving.py": text})
    assert [model.name for model in project.build("a/serving.py", "b/serving.py").models] == ["a", "b", "shared"]


def test_definitions_with_odd_file_names(project: Project) -> None:
    project.write({"my-model.py": scale("one"), "größe.py": scale("two"), "2nd.py": scale("three")})
    assert [model.name for model in project.build("my-model.py", "größe.py", "2nd.py").models] == [
        "one",
        "three",
        "two",
    ]


@pytest.mark.parametrize("name", ["queue.py", "numpy.py", "json/__init__.py", "torch.py"])
def test_a_file_with_the_name_of_a_library_is_refused(project: Project, name: str) -> None:
    project.write({name: scale()})
    assert "would hide the one of Python or of a library" in project.refused(name)


def test_a_file_with_a_dot_in_its_name_is_refused(project: Project) -> None:
    project.write({"my.model.py": scale()})
    assert "Python can't import a file or a package with a dot in its name" in project.refused("my.model.py")


def test_all_files_that_cannot_be_imported_are_told_at_once(project: Project) -> None:
    project.write({"a.py": "import tritonforge\n1 / 0", "b.py": "import tritonforge\nraise SystemExit(3)"})
    message = project.refused("a.py", "b.py")
    assert "a.py:2: it can't be imported: ZeroDivisionError: division by zero (in: 1 / 0)" in message
    assert "b.py:2: it can't be imported: SystemExit: 3 (in: raise SystemExit(3))" in message


def test_the_line_of_a_helper_that_fails_is_told(project: Project) -> None:
    project.write({"serving.py": "import helper\n" + scale(), "helper.py": "\n\nint('x')\n"})
    assert "helper.py:3: it can't be imported: ValueError" in project.refused()


def test_a_build_leaves_python_as_it_was(project: Project) -> None:
    project.write({"serving.py": "import helper_of_this_test\n" + scale(), "helper_of_this_test.py": ""})
    path, modules, bytecode = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    project.build()
    assert sys.path == path
    assert sys.dont_write_bytecode == bytecode
    assert not {"serving", "helper_of_this_test"} & set(sys.modules)
    assert not {name for name in modules - set(sys.modules) if not name.startswith("_")}


def test_a_module_that_was_imported_before_is_there_after(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"serving.py": "import helper_of_this_test\n" + scale(), "helper_of_this_test.py": "A = 1"})
    monkeypatch.syspath_prepend(str(project.root))
    import helper_of_this_test  # type: ignore[import-not-found]

    project.build()
    assert sys.modules.pop("helper_of_this_test") is helper_of_this_test


def test_python_is_as_it_was_after_a_failure_too(project: Project) -> None:
    project.write({"serving.py": scale() + "\n1 / 0\n"})
    path = list(sys.path)
    project.refused()
    assert sys.path == path
    assert "serving" not in sys.modules


def test_builds_in_one_process_see_what_was_edited(project: Project) -> None:
    project.write({"serving.py": "from helper import double\n" + scale(), "helper.py": scale("double")})
    project.write({"serving.py": "from helper import double\n"})
    assert [model.name for model in project.build().models] == ["double"]
    project.write({"helper.py": scale("double") + scale("triple", 3), "serving.py": "from helper import *\n"})
    assert [model.name for model in project.build().models] == ["double", "triple"]


def test_no_compiled_files_are_left_in_the_project(project: Project) -> None:
    project.write({"serving.py": "import helper\n" + scale(), "helper.py": ""})
    project.build()
    assert list(project.root.rglob("__pycache__")) == []


def test_modules_of_other_folders_are_no_part_of_a_build(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imported in this process, say by a test: they are there again afterwards."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("serving", "helper"):
        (other / f"{name}.py").write_text("FACTOR = 1 / 3")
    monkeypatch.syspath_prepend(other)
    before = importlib.import_module("serving"), importlib.import_module("helper")
    project.write({"serving.py": "import helper\nassert helper.FACTOR == 2\n" + scale(), "helper.py": "FACTOR = 2"})

    project.build()

    assert project.versions() == {"scale": 1}
    assert (sys.modules.pop("serving"), sys.modules.pop("helper")) == before


def test_a_project_behind_a_link(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"serving.py": "import helper\n" + scale(), "helper.py": ""})
    link = tmp_path / "link"
    link.symlink_to(project.root)
    monkeypatch.chdir(link)
    build([Path("serving.py")], Path("model_repository"))
    assert project.sources("scale") == ["helper.py", "serving.py"]


def test_relative_paths_are_those_of_the_working_directory(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write({"deep/serving.py": scale()})
    monkeypatch.chdir(project.root / "deep")
    report = build([Path("serving.py")], Path("../model_repository"))
    assert (project.output / "tritonforge.json").is_file()
    assert report.output == Path("../model_repository")


def test_a_file_that_prints_and_reads_its_name(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    project.write({"serving.py": "print(__name__, __file__)\n" + scale() + "\nif __name__ == '__main__':\n    1 / 0\n"})
    project.build()
    assert capfd.readouterr().out == f"serving {project.root / 'serving.py'}\n"


def test_the_command_line_needs_nothing_on_the_path(project: Project) -> None:
    project.write({"serving.py": "import helper\n" + scale(), "helper.py": ""})
    done = subprocess.run(
        [sys.executable, "-m", "tritonforge", "build", "serving.py"],
        cwd=project.root,
        env={"PATH": "/usr/bin", "PYTHONPATH": str(Path(__file__).resolve().parents[3]), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "1 model in model_repository" in done.stdout
    assert project.versions() == {"scale": 1}


@pytest.mark.parametrize(
    ("helper", "importing", "hint"),
    [
        (
            "serve/helper.py",
            "from . import helper",
            "make its folder a package: put an empty __init__.py beside defs.py",
        ),
        (
            "src/pk/core.py",
            "import pk.core",
            "pk is yours, in src: install your project (pip install -e .), or set PYTHON",
        ),
        ("pk.py", "import pk", "pk is yours, in .: set PYTHONPATH=."),
        ("other/pk.py", "import pk", "install pk in this environment, or import it where it is used"),
        ("pk.py", "import triton_python_backend_utils", "only Triton has it: a definition takes and gives arrays, and"),
    ],
)
def test_a_module_of_the_users_own_that_is_not_found_is_told_how_to_be(
    project: Project, monkeypatch: pytest.MonkeyPatch, helper: str, importing: str, hint: str
) -> None:
    project.write({"pyproject.toml": "", helper: "", "serve/defs.py": f"{importing}\n" + scale()})
    monkeypatch.chdir(project.root)
    assert f"hint: {hint}" in project.refused("serve/defs.py")


def test_what_is_no_file_of_a_folder_holds_no_definitions(project: Project) -> None:
    """To read a pipe would take for ever."""
    project.write({"serving.py": scale()})
    (project.root / "dead.py").symlink_to("nowhere")
    (project.root / "loop.py").symlink_to("loop.py")
    os.mkfifo(project.root / "pipe.py")
    (project.root / "folder.py").mkdir()
    assert [source.file.name for source in find_sources([project.root])] == ["serving.py"]
