"""Where definitions come from: their line, their module, their variable, and the files beside them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from tritonforge import asset
from tritonforge.define.origin import MissingFile, recorded_assets
from tritonforge.errors import DiagnosticError

Import = Callable[..., ModuleType]

SCALE = '(x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]'


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Write modules by name into a folder, and import the last one."""
    folder = tmp_path / "tritonforge-demo"  # begins with the package's own name, as a user's project may
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)

    def write(**modules: str) -> ModuleType:
        for name, text in modules.items():
            (folder / f"{name}.py").write_text("import numpy as np\nfrom jaxtyping import Float32\n" + dedent(text))
        return importlib.import_module(list(modules)[-1])

    yield write
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and folder in Path(sys.modules[name].__file__ or "").parents:
            del sys.modules[name]


def test_a_definition_knows_its_line_module_variable_and_name(load: Import) -> None:
    module = load(
        origin_plain=f"""
        from tritonforge import model

        @model
        def scale{SCALE}:
            return x

        @model(name="other-name")
        def renamed{SCALE}:
            return x
        """
    )
    scale, renamed = module.scale, module.renamed
    assert (scale.name, scale.variable, scale.module) == ("scale", "scale", "origin_plain")
    assert (renamed.name, renamed.variable) == ("other-name", "renamed")
    assert (scale.where.file, scale.where.line) == (module.__file__, 6)
    assert scale.file == Path(str(module.__file__))
    assert repr(renamed) == "<PythonModel other-name>"


def test_a_helpers_decorator_leaves_the_definition_with_its_own_module(load: Import) -> None:
    module = load(
        origin_helper="""
        from tritonforge import Instances, model

        def fast(function):
            return model(instances=Instances(cpu=3))(function)
        """,
        origin_user=f"""
        from origin_helper import fast

        @fast
        def scale{SCALE}:
            return x
        """,
    )
    scale = module.scale
    assert (scale.variable, scale.module, scale.file) == ("scale", "origin_user", Path(str(module.__file__)))
    assert (scale.where.file, scale.where.line) == (module.__file__, 6)


def test_a_factorys_definitions_are_named_by_the_variables_that_hold_them(load: Import) -> None:
    module = load(
        origin_factory=f"""
        from tritonforge import model

        def times(factor):
            @model
            def scale{SCALE}:
                return x * np.float32(factor)
            return scale
        """,
        origin_made="""
        from origin_factory import times

        double, triple = times(2), times(3)
        """,
    )
    assert (module.double.name, module.triple.name) == ("double", "triple")
    assert module.double.module == "origin_made"


def test_a_function_from_elsewhere_is_a_model_where_its_variable_is(load: Import) -> None:
    module = load(
        origin_training=f"def normalize{SCALE}:\n    return x\n",
        origin_serving="""
        import origin_training
        from tritonforge import model

        normalize = model(origin_training.normalize)
        """,
    )
    assert (module.normalize.variable, module.normalize.module) == ("normalize", "origin_serving")
    assert Path(module.normalize.where.file).name == "origin_training.py"
    assert module.normalize.where.line == 3


def test_weights_are_found_beside_the_file_that_names_them(load: Import, tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError) as raised:
        load(
            origin_onnx="""
            from tritonforge import onnx

            classifier = onnx("classifier.onnx")
            classifier.files
            """
        )
    assert isinstance(raised.value, FileNotFoundError)
    assert '"classifier.onnx" is missing beside origin_onnx.py' in str(raised.value)


def test_a_definition_without_a_variable_has_no_name() -> None:
    from tritonforge import onnx

    assert repr(onnx("classifier.onnx")) == "<OnnxModel without a name>"


def test_an_asset_is_beside_the_file_that_asks() -> None:
    assert asset("test_origin.py") == Path(__file__).resolve()
    assert asset(Path("..")) == Path(__file__).resolve().parents[1]


def test_a_missing_asset_is_said_with_file_and_line() -> None:
    with pytest.raises(MissingFile, match=r'test_origin.py:[0-9]+: "no such.npz" is missing beside test_origin.py'):
        asset("no such.npz")


def test_assets_are_recorded_with_the_file_that_asks() -> None:
    with recorded_assets() as recorded:
        asset("test_origin.py")
        with pytest.raises(MissingFile):
            asset("no such.npz")
    asset("test_origin.py")
    assert recorded == [(str(Path(__file__).resolve()), Path(__file__).resolve())]
