"""What travels with a Python model: local modules and assets, in the layout of the project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from projects import Project, scale

CLASS = """
@model
class Scaler:
    def __init__(self) -> None:
        self.factor = np.load({asked})

    def __call__(self, x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
        return x * self.factor
"""


def test_local_modules_travel_with_all_that_they_import(project: Project) -> None:
    project.write(
        {
            "serving.py": "import one\nfrom tools.two import f\nfrom tools import three\n" + scale(),
            "one.py": "import four",
            "four.py": "import one  # a circle",
            "tools/__init__.py": "",
            "tools/two.py": "from .inner import five\nf = 1",
            "tools/three.py": "import json, numpy",
            "tools/inner/__init__.py": "from . import six",
            "tools/inner/five.py": "",
            "tools/inner/six.py": "",
            "tools/unused.py": "1 / 0",
            "unused.py": "1 / 0",
        }
    )
    project.build()
    assert project.sources("scale") == [
        "four.py",
        "one.py",
        "serving.py",
        "tools/__init__.py",
        "tools/inner/__init__.py",
        "tools/inner/five.py",
        "tools/inner/six.py",
        "tools/three.py",
        "tools/two.py",
    ]


def test_modules_that_are_imported_inside_functions_travel_too(project: Project) -> None:
    project.write(
        {
            "serving.py": "def later():\n    import heavy\n    from package import part\n" + scale(),
            "heavy.py": "1 / 0  # not imported by the build",
            "package/__init__.py": "",
            "package/part.py": "1 / 0",
        }
    )
    project.build()
    assert project.sources("scale") == ["heavy.py", "package/__init__.py", "package/part.py", "serving.py"]


def test_installed_packages_and_python_itself_stay_where_they_are(project: Project) -> None:
    project.write({"serving.py": "import json, os.path, onnx, jaxtyping, pytest\nfrom xml import etree\n" + scale()})
    project.build()
    assert project.sources("scale") == ["serving.py"]


def test_a_module_that_is_not_there_where_it_is_not_needed(project: Project) -> None:
    project.write({"serving.py": "try:\n    import not_there\nexcept ImportError:\n    pass\n" + scale()})
    project.build()
    assert project.sources("scale") == ["serving.py"]


def test_models_of_different_modules_take_their_own_files(project: Project) -> None:
    project.write(
        {
            "a.py": "import helper_a\n" + scale("one"),
            "b.py": "import helper_b\n" + scale("two"),
            "helper_a.py": "",
            "helper_b.py": "",
        }
    )
    project.build("a.py", "b.py")
    assert project.sources("one") == ["a.py", "helper_a.py"]
    assert project.sources("two") == ["b.py", "helper_b.py"]


def test_modules_of_another_root_keep_their_place_and_the_shim_knows_both_roots(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a project with its library under src/, installed editable."""
    project.write(
        {
            "pyproject.toml": "",
            "serving/fraud.py": "from mylib.ops import FACTOR\n" + scale(),
            "src/mylib/__init__.py": "",
            "src/mylib/ops.py": "FACTOR = 2",
        }
    )
    monkeypatch.syspath_prepend(str(project.root / "src"))
    project.build("serving/fraud.py")
    assert project.sources("scale") == ["serving/fraud.py", "src/mylib/__init__.py", "src/mylib/ops.py"]
    assert 'paths = ("source/serving", "source/src",)' in project.shim("scale")


def test_the_copied_files_import_each_other_where_the_project_is_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    test_modules_of_another_root_keep_their_place_and_the_shim_knows_both_roots(project, monkeypatch)
    source = project.output / "scale" / "1" / "source"
    program = "import sys; sys.path[:0] = sys.argv[1:]; import mylib.ops; print(mylib.ops.FACTOR, mylib.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, source / "serving", source / "src"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split(" ", 1) == ["2", f"{source / 'src' / 'mylib' / '__init__.py'}\n"]


def test_a_helper_that_defines_a_model_travels(project: Project) -> None:
    project.write(
        {
            "helpers.py": 'from tritonforge import model\nfast = model(name="fast")\n',
            "serving.py": "from helpers import fast\nimport numpy as np\nfrom jaxtyping import Float32\n"
            "from tritonforge import model\n" + scale().replace("@model", "@fast"),
        }
    )
    project.build()
    assert project.sources("fast") == ["helpers.py", "serving.py"]
    assert 'module = "serving"' in project.shim("fast")


def test_a_module_with_the_name_of_one_of_pythons_is_refused(project: Project) -> None:
    project.write({"serving.py": "import statistics\n" + scale(), "statistics.py": "FACTOR = 2"})
    assert 'statistics.py: a module named "statistics" would hide the one of Python' in project.refused()


# --- links


@pytest.mark.parametrize("target", ["real_helper.py", "inner/real_helper.py", "../elsewhere/real_helper.py"])
def test_a_module_that_is_a_link_travels_under_the_name_that_it_is_imported_by(project: Project, target: str) -> None:
    project.write({"pyproject.toml": "", "serving.py": "from helper import FACTOR\n" + scale(), target: "FACTOR = 2"})
    (project.root / "helper.py").symlink_to(target)
    project.build()
    assert project.sources("scale") == ["helper.py", "serving.py"]
    assert (project.output / "scale/1/source/helper.py").read_text() == "FACTOR = 2"
    assert project.manifest()["scale"]["sources"]["1/source/helper.py"] == "helper.py"
    assert 'paths = ("source",)' in project.shim("scale")


def test_another_target_of_a_link_is_built_afresh_in_the_same_process(project: Project) -> None:
    """As `up --watch` does: the target is another file, and not below the folder of the definitions."""
    project.write(
        {
            "pyproject.toml": "",
            "serving.py": "from helper import NAME\n" + scale().replace("@model", "@model(name=NAME)"),
        }
    )
    project.write({"../elsewhere/real_helper.py": 'NAME = "one"'})
    (project.root / "helper.py").symlink_to("../elsewhere/real_helper.py")
    project.build()
    project.write({"../elsewhere/real_helper.py": 'NAME = "another"'})
    project.build()
    assert list(project.manifest()) == ["another"]


def test_a_package_that_is_a_link_travels_under_its_name_with_its_assets(project: Project) -> None:
    project.write(
        {
            "pyproject.toml": "",
            "serving.py": "from tools import TABLE\n" + scale(),
            "../elsewhere/tools_v2/__init__.py": "from tools.inner import TABLE",
            "../elsewhere/tools_v2/inner.py": 'from tritonforge import asset\nTABLE = asset("table.csv").read_text()',
            "../elsewhere/tools_v2/table.csv": "1",
        }
    )
    (project.root / "tools").symlink_to("../elsewhere/tools_v2")
    project.build()
    assert project.sources("scale") == ["serving.py", "tools/__init__.py", "tools/inner.py", "tools/table.csv"]


def test_a_model_that_is_defined_in_a_module_that_is_a_link(project: Project) -> None:
    project.write({"pyproject.toml": "", "serving.py": "from linked import scale", "inner/real.py": scale()})
    (project.root / "linked.py").symlink_to("inner/real.py")
    project.build()
    assert project.sources("scale") == ["linked.py"]
    assert 'module = "linked"' in project.shim("scale")


def test_a_link_in_a_folder_of_definitions_to_a_file_in_it_defines_nothing_twice(project: Project) -> None:
    project.write({"definitions/real.py": scale()})
    (project.root / "definitions" / "link.py").symlink_to("real.py")
    project.build("definitions")
    assert project.sources("scale") == ["real.py"]


def test_an_asset_that_is_a_link_travels_under_the_name_that_it_is_asked_for_by(project: Project) -> None:
    project.write(
        {"pyproject.toml": "", "../elsewhere/v2.txt": "2", "serving.py": 'W = asset("weights.txt")\n' + scale()}
    )
    (project.root / "weights.txt").symlink_to("../elsewhere/v2.txt")
    project.build()
    assert project.sources("scale") == ["serving.py", "weights.txt"]


def test_a_folder_travels_with_the_folders_that_it_links_to(project: Project) -> None:
    project.write({"pyproject.toml": "", "../elsewhere/a.txt": "a", "serving.py": 'DATA = asset("data")\n' + scale()})
    project.write({"data/b.txt": "b"})
    (project.root / "data" / "more").symlink_to("../../elsewhere")
    (project.root / "data" / "circle").symlink_to("../data")
    project.build()
    assert project.sources("scale") == ["data/b.txt", "data/more/a.txt", "serving.py"]


def test_two_assets_that_would_travel_to_one_place_are_refused(project: Project) -> None:
    project.write(
        {
            "pyproject.toml": "",
            "serving.py": 'import helper\nW = asset("w.txt")\n' + scale(),
            "w.txt": "",
            "inner/real.py": 'from tritonforge import asset\nW = asset("w.txt")',
            "inner/w.txt": "",
        }
    )
    (project.root / "helper.py").symlink_to("inner/real.py")
    message = project.refused()
    assert "would travel to one place, as helper.py is a link" in message
    assert "[TF305]" in message


# --- assets


@pytest.mark.parametrize(
    ("head", "asked"),
    [
        ("", 'asset("factor.npy")'),
        ("from tritonforge import asset as file_of\n", 'file_of("factor.npy")'),
        ("import tritonforge\n", 'tritonforge.asset("factor.npy")'),
        ("import tritonforge as tf\n", 'tf.asset("factor.npy")'),
        ("", 'asset(path="factor.npy")'),
    ],
)
def test_an_asset_whose_name_is_written_out_travels_though_nothing_asks_for_it_yet(
    project: Project, head: str, asked: str
) -> None:
    imports = "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import asset, model\n"
    project.write({"serving.py": imports + head + CLASS.format(asked=asked), "factor.npy": b"numbers"})
    project.build()
    assert project.sources("Scaler") == ["factor.npy", "serving.py"]
    assert (project.output / "Scaler/1/source/factor.npy").read_bytes() == b"numbers"


def test_an_asset_with_a_computed_name_travels_where_it_is_asked_for_at_import(project: Project) -> None:
    project.write(
        {
            "serving.py": 'import helper\nNAME = "fac" + "tor"\nFACTOR = asset(f"{NAME}.npy").read_bytes()\n' + scale(),
            "helper.py": 'from tritonforge import asset\nTABLES = [asset(f"table{i}.csv") for i in range(2)]\n',
            "factor.npy": b"",
            "table0.csv": "",
            "table1.csv": "",
            "table2.csv": "",
        }
    )
    project.build()
    assert project.sources("scale") == ["factor.npy", "helper.py", "serving.py", "table0.csv", "table1.csv"]


def test_a_folder_travels_whole(project: Project) -> None:
    project.write(
        {
            "serving.py": 'DATA = asset("data")\n' + scale(),
            "data/a.txt": "a",
            "data/deep/er/b.txt": "b",
            "data/__pycache__/c.txt": "c",
        }
    )
    project.build()
    assert project.sources("scale") == ["data/a.txt", "data/deep/er/b.txt", "serving.py"]


def test_an_asset_of_a_folder_above_travels_in_its_place(project: Project) -> None:
    project.write({"pyproject.toml": "", "data/w.txt": "w", "app/serving.py": 'W = asset("../data/w.txt")\n' + scale()})
    project.build("app/serving.py")
    assert project.sources("scale") == ["app/serving.py", "data/w.txt"]
    assert 'paths = ("source/app",)' in project.shim("scale")


def test_an_asset_outside_of_the_project_is_refused(project: Project) -> None:
    (project.root.parent / "elsewhere.txt").write_text("")
    project.write({"pyproject.toml": "", "serving.py": 'W = asset("../elsewhere.txt")\n' + scale()})
    message = project.refused()
    assert f"lies outside the project ({project.root})" in message
    assert "[TF305]" in message


def test_a_missing_asset_is_told_with_its_line(project: Project) -> None:
    project.write({"serving.py": CLASS.format(asked='asset("factor.npy")')})
    assert 'serving.py:12: "factor.npy" is missing beside serving.py' in project.refused()


def test_another_function_called_asset_is_none_of_ours(project: Project) -> None:
    project.write(
        {
            "finance.py": "def asset(ticker):\n    return ticker\n",
            "serving.py": "import numpy as np\nfrom jaxtyping import Float32\nfrom finance import asset\n"
            "from tritonforge import model\nSHARE = asset('AAPL')\n" + scale(),
        }
    )
    project.build()
    assert project.sources("scale") == ["finance.py", "serving.py"]


def test_the_manifest_tells_which_file_each_copy_is(project: Project) -> None:
    project.write(
        {"pyproject.toml": "", "lib/helper.py": "", "app/serving.py": 'W = asset("w.txt")\n' + scale(), "app/w.txt": ""}
    )
    project.build("app/serving.py")
    assert project.manifest()["scale"]["sources"] == {
        "1/source/serving.py": "app/serving.py",
        "1/source/w.txt": "app/w.txt",
    }


def test_the_runtime_travels_with_each_python_model(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.build()
    version = project.output / "scale" / "1"
    assert (version / "tritonforge_runtime" / "model.py").is_file()
    assert {path.suffix for path in (version / "tritonforge_runtime").rglob("*.*")} == {".py"}


def test_the_modules_of_weights_stay_at_home(project: Project) -> None:
    import onnx
    from onnx import TensorProto, helper

    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("N", 4)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", tensors[:1], tensors[1:])
    onnx.save(helper.make_model(graph), project.root / "classifier.onnx")
    project.write({"serving.py": 'classifier = onnx("classifier.onnx")\n'})
    project.build()
    files = sorted(path.relative_to(project.output).as_posix() for path in project.output.rglob("*.*"))
    assert files == ["classifier/1/model.onnx", "classifier/config.pbtxt", "tritonforge.json"]
    assert (
        Path(project.output / "classifier/1/model.onnx").read_bytes() == (project.root / "classifier.onnx").read_bytes()
    )
