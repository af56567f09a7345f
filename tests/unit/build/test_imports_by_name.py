"""What travels with a model though no import statement names it: plugins, lazy packages, classes in pickles."""

from __future__ import annotations

import bz2
import pickle
import shutil
import sys
import sysconfig
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from projects import Project, scale, tree

from tritonforge.build import build

PLUGINS = {
    "plug/__init__.py": "REG = {}\n",
    "plug/one.py": "from plug import REG\nREG['one'] = 1\n",
    "plug/two.py": "from plug import REG\nimport far\nREG['two'] = 2\n",
    "far.py": "",
    "unused.py": "",
}
ALL_PLUGINS = ["far.py", "plug/__init__.py", "plug/one.py", "plug/two.py"]


@pytest.mark.parametrize(
    "loading",
    [
        'import plug, pkgutil\nfor m in pkgutil.iter_modules(plug.__path__):\n    __import__(f"plug.{m.name}")\n',
        'import importlib\nfor name in ("one", "two"):\n    importlib.import_module("plug." + name)\n',
        'import importlib\nfor name in ("one", "two"):\n    importlib.import_module("." + name, package="plug")\n',
        'from importlib import import_module\nfor name in ("plug.one", "plug.two"):\n    import_module(name)\n',
        'import plug\nfor name in ("one", "two"):\n    __import__("{}.{}".format(plug.__name__, name))\n',
        'import importlib\ndef later(name):\n    return importlib.import_module("plug.%s" % name)\n',
    ],
)
def test_plugins_that_are_imported_by_a_computed_name_travel(project: Project, loading: str) -> None:
    project.write({**PLUGINS, "serving.py": loading + scale()})
    project.build()
    assert project.sources("scale") == sorted([*ALL_PLUGINS, "serving.py"])


def test_a_library_that_imports_by_name_brings_modules_that_travel(project: Project) -> None:
    """As those do that make objects of the names in a configuration."""
    project.write({**PLUGINS, "serving.py": "import pkgutil\npkgutil.resolve_name('plug.one:REG')\n" + scale()})
    project.build()
    assert project.sources("scale") == ["plug/__init__.py", "plug/one.py", "serving.py"]


def test_modules_loaded_by_their_files_travel(project: Project) -> None:
    loading = (
        "import importlib.util\nfrom pathlib import Path\n"
        "for file in sorted(Path(__file__).parent.glob('rules/*.py')):\n"
        "    spec = importlib.util.spec_from_file_location('rule_' + file.stem, file)\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n"
        "import runpy\nrunpy.run_path(Path(__file__).with_name('setup_rules.py'))\n"
    )
    project.write({"pyproject.toml": "", "rules/one.py": "", "rules/two.py": "", "serving.py": loading + scale()})
    project.write({"setup_rules.py": "", "rules/three.txt": ""})
    project.build()
    assert project.sources("scale") == ["rules/one.py", "rules/two.py", "serving.py", "setup_rules.py"]


def test_a_lazy_package_travels_whole(project: Project) -> None:
    lazy = "import importlib\ndef __getattr__(name):\n    return importlib.import_module('.' + name, __name__)\n"
    project.write(
        {
            "lazy/__init__.py": lazy,
            "lazy/deep.py": "",
            "lazy/inner/__init__.py": "",
            "lazy/inner/most.py": "",
            "serving.py": "import lazy\n" + scale(),
        }
    )
    project.build()
    inner = ["lazy/__init__.py", "lazy/deep.py", "lazy/inner/__init__.py", "lazy/inner/most.py"]
    assert project.sources("scale") == [*inner, "serving.py"]


def test_an_import_by_a_name_that_is_written_out_is_followed(project: Project) -> None:
    loading = "import importlib\ndef later():\n    return importlib.import_module('plug.one')\n"
    project.write({**PLUGINS, "serving.py": loading + scale()})
    project.build()
    assert project.sources("scale") == ["plug/__init__.py", "plug/one.py", "serving.py"]


def test_a_star_imports_the_modules_that_all_names(project: Project) -> None:
    project.write({**PLUGINS, "serving.py": "from plug import *\n" + scale()})
    project.write({"plug/__init__.py": "__all__ = ['REG', 'one']\n__all__ += ['two']\nREG = {}\n"})
    project.build()
    assert project.sources("scale") == sorted([*ALL_PLUGINS, "serving.py"])


def test_a_compiled_module_of_the_users_travels(project: Project) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    project.write({"nat/__init__.py": "", f"nat/fast{suffix}": b"\x7fELF", "serving.py": "", "nat/unused.so": b""})
    project.write({"serving.py": "def later():\n    from nat import fast\n" + scale()})
    project.build()
    assert project.sources("scale") == ["nat/__init__.py", f"nat/fast{suffix}", "serving.py"]


def test_what_travels_does_not_hang_on_what_else_is_built(project: Project) -> None:
    loading = "import importlib, os\nNAMES = {names}\nfor name in NAMES:\n    importlib.import_module(name)\n"
    project.write(
        {
            **PLUGINS,
            "a.py": loading.format(names=["plug.one"]) + scale("one"),
            "b.py": loading.format(names=["plug.one", "plug.two"]) + scale("two"),
        }
    )
    expected = {}
    for name, order in {"together": ("b.py", "a.py"), "turned": ("a.py", "b.py"), "alone": ("a.py",)}.items():
        build([project.root / file for file in order], project.root / name, golden=0 if name == "together" else 1)
        expected[name] = tree(project.root / name / "one" / "1")
    assert expected["together"] == expected["turned"] == expected["alone"]
    assert "source/plug/one.py" in expected["alone"]
    assert "source/plug/two.py" not in expected["alone"]


def test_a_module_that_only_a_call_imports_is_warned_of(project: Project) -> None:
    body = (
        "import importlib, sys\nNAME = 'hid' + 'den'\n@model\n"
        'def late(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:\n'
        "    sys.modules['__mp_main__'] = made = type(sys)('__mp_main__')  # as joblib's workers have it\n"
        "    made.__file__ = '/elsewhere/program.py'\n"
        "    return x * importlib.import_module(NAME).FACTOR\n"
    )
    project.write({"hidden.py": "FACTOR = 2\n", "serving.py": body})
    report = build([project.root / "serving.py"], project.output, golden=1)
    (warning,) = report.warnings
    assert (warning.code, warning.severity) == ("TF413", "warning")
    assert warning.message.startswith("it imported hidden (hidden.py) as it ran, which doesn't travel")
    assert warning.hint == "write `import hidden` in serving.py"


# --- pickles


class Thing:
    """What is pickled, as if a module of the project's had it."""


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "price.pkl": bytes,
    "price.joblib": lambda content: content + b"\x00\x8c" * 40,  # the bytes of an array
    "price.z": zlib.compress,
    "price.pkl.bz2": bz2.compress,
}


@pytest.mark.parametrize("name", PACKINGS)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_the_modules_of_pickled_classes_travel(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, protocol: int
) -> None:
    monkeypatch.setattr(Thing, "__module__", "own.clips")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "own", ModuleType("own"))
        patch.setitem(sys.modules, "own.clips", sys.modules[__name__])
        content = PACKINGS[name](pickle.dumps({"model": Thing(), "again": [Thing(), Thing]}, protocol=protocol))
    project.write(
        {
            "own/__init__.py": "",
            "own/clips.py": "import helper\n",
            "helper.py": "",
            name: content,
            "serving.py": f'FILE = asset("{name}")\n' + scale(),
        }
    )
    project.build()
    assert project.sources("scale") == sorted(["helper.py", name, "own/__init__.py", "own/clips.py", "serving.py"])


def test_modules_of_libraries_in_a_pickle_and_damaged_files_bring_nothing(project: Project) -> None:
    assets = {
        "one.pkl": pickle.dumps(Path()),
        "two.pkl": b"\x80",
        "three.joblib": b"\x78\x9cbroken",
        "four.zip": b"PK\x03\x04broken",
        "five.pkl": b"",
    }
    named = "".join(f'asset("{name}")\n' for name in assets)
    project.write({**assets, "serving.py": named + scale()})
    project.build()
    assert project.sources("scale") == sorted([*assets, "serving.py"])


def test_the_module_of_a_class_in_a_file_of_torchs_travels(project: Project) -> None:
    torch = pytest.importorskip("torch")
    project.write({"net.py": "class Net:\n    pass\n", "serving.py": 'NET = asset("net.pt")\n' + scale()})
    sys.path.insert(0, str(project.root))
    try:
        import net  # type: ignore[import-not-found]  # written above

        torch.save(net.Net(), project.root / "net.pt")
    finally:
        sys.path.remove(str(project.root))
        sys.modules.pop("net", None)
        shutil.rmtree(project.root / "__pycache__", ignore_errors=True)
    project.build()
    assert project.sources("scale") == ["net.pt", "net.py", "serving.py"]


def test_a_module_whose_file_is_made_up_is_no_file_of_the_project(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch.classes, which says `_classes.py`, wherever the build is run."""
    monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
    made = 'import sys, types\nmade = sys.modules["made_up"] = types.ModuleType("made_up")\nmade.__file__ = "made.py"\n'
    monkeypatch.delitem(sys.modules, "made_up")
    monkeypatch.chdir(project.root)
    project.write({"serving.py": made + scale()})
    project.build()
    assert project.sources("scale") == ["serving.py"]
