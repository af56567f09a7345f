"""Models that the real server refuses, and what is said of each: the whole text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from repositories import ECHO, FREE_PORTS, PYTHON, TENSORS, write_model

from tritonforge.server import ModelLoadError, Server

GASP = """import os
import sys

import numpy as np
from jaxtyping import Float32

from tritonforge import model

Vector = Float32[np.ndarray, "n"]


@model(name="gasp")
class Gasp:
    def __init__(self):
        if "triton_python_backend_utils" in sys.modules:
            print("last gasp", flush=True)
            os._exit(9)

    def __call__(self, x: Vector) -> Vector:
        return x
"""

PIP = f"{sys.executable} -m pip install"


def refused(repository: Path) -> ModelLoadError:
    """Start a server that is to be refused, and give the error; its text names files relative to the repository."""
    with pytest.raises(ModelLoadError) as error:
        Server.embedded(repository, exit_timeout_s=0, **FREE_PORTS)
    return error.value


def ensemble(member: str, output: str = "y") -> str:
    """Configure an ensemble of one step."""
    step = f'input_map {{ key: "x" value: "x" }} output_map {{ key: "{output}" value: "y" }}'
    steps = f'ensemble_scheduling {{ step {{ model_name: "{member}" model_version: -1 {step} }} }}'
    return f'platform: "ensemble" max_batch_size: 8 {TENSORS} {steps}'


def test_errors_in_the_users_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest leads from the copies in the repository to the user's files, and generated lines are left out."""
    monkeypatch.chdir(tmp_path)
    fraud = "import helper\n\n\nclass Fraud:\n    def __init__(self):\n        helper.load()\n"
    helper = 'def load():\n    open("/nowhere/stats.npz")\n'
    shim = (
        "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'source'))\nimport fraud\n"
        + ECHO
        + "\n    def initialize(self, args):\n        fraud.Fraud()\n"
    )
    (tmp_path / "serving").mkdir()
    built = {"version": 1, "kind": "python", "signature": {"batched": True, "inputs": [], "outputs": []}}
    models: dict[str, dict[str, object]] = {}
    for name, text in {"fraud": fraud, "typo": "def broken(:\n", "needy": "import sklearn_extra.robust\n"}.items():
        source = write_model(tmp_path / "repository", name, shim) / "source"
        source.mkdir()
        for path, content in {"fraud.py": text, "helper.py": helper}.items():
            (source / path).write_text(content)
        original = f"serving/{name}.py"
        (tmp_path / original).write_text(text)
        sources = {"1/source/fraud.py": original, "1/source/helper.py": "gone/helper.py"}
        models[name] = {**built, "sources": sources}
    (tmp_path / "repository" / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": models}))

    assert str(refused(tmp_path / "repository")).splitlines() == [
        "gone/helper.py:2 fraud: failed to load: FileNotFoundError: [Errno 2] No such file or directory: "
        "'/nowhere/stats.npz'",
        "  at gone/helper.py:2 in load",
        "  at serving/fraud.py:6 in __init__",
        '  hint: models run in another folder: name the file by asset("…"), so that it travels, or by an absolute '
        "path  [TF520]",
        "serving/needy.py:1 needy: failed to load: ModuleNotFoundError: No module named 'sklearn_extra'",
        f"  hint: install what it imports for the Python that runs the models: {PIP} sklearn_extra  [TF520]",
        "serving/typo.py:1 typo: failed to load: SyntaxError: invalid syntax (fraud.py, line 1)  [TF520]",
    ]


def test_errors_in_a_repository_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is told of once, by the file in the repository; what depends on another only says so."""
    monkeypatch.chdir(tmp_path)
    at_load = ECHO + '\n    def initialize(self, args):\n        raise ValueError("two\\nlines")\n'
    write_model(tmp_path, "ok", ECHO)
    write_model(tmp_path, "at_load", at_load)
    write_model(tmp_path, "dependent", None, config=ensemble("at_load"))
    write_model(tmp_path, "field", ECHO, config=f"{PYTHON}\nmodel_metrics {{}}")
    write_model(tmp_path, "mapped", None, config=ensemble("ok", "nonsense"))
    write_model(tmp_path, "name", ECHO, config=f'{PYTHON} name: "other"')
    write_model(tmp_path, "no_class", "x = 1")
    write_model(tmp_path, "no_config", None, config=None)
    write_model(tmp_path, "spelling", ECHO, config=f"\n{PYTHON.replace('max_batch', 'maximum_batch')}")

    assert str(refused(tmp_path)).splitlines() == [
        "at_load/1/model.py:11 at_load: failed to load: ValueError: two",
        "  lines  [TF520]",
        "dependent dependent: not loaded, as its step at_load failed to load  [TF522]",
        'field/config.pbtxt:2 field: can\'t be read: Message type "ModelConfig" has no field named "model_metrics".',
        "  hint: Triton reads model_metrics since 24.11, and this server is 24.10: leave the field out here  [TF521]",
        "mapped mapped: not accepted: in ensemble mapped, ensemble tensor y is mapped from non-existing output "
        "nonsense in model ok  [TF521]",
        "name name: not accepted: unexpected directory name 'name' for model 'other', directory name must equal model "
        "name",
        "  hint: rename the folder, or leave `name` out of its config.pbtxt  [TF521]",
        "no_class no_class: failed to load: AttributeError: module '1.model' has no attribute 'TritonPythonModel'",
        "  hint: a Python model's model.py must define a class named TritonPythonModel  [TF520]",
        "no_config no_config: not accepted: Invalid model name: Could not determine backend for model 'no_config' with "
        "no backend in model configuration. Expected model name of the form 'model.<backend_name>'.",
        "  hint: write a config.pbtxt with a backend, or move the folder out of the repository if it is no model"
        "  [TF521]",
        'spelling/config.pbtxt:2 spelling: can\'t be read: Message type "ModelConfig" has no field named '
        '"maximum_batch_size".',
        "  hint: check how it is spelled; Triton 24.10 knows no such field there  [TF521]",
    ]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            f"import ctypes\nctypes.string_at(0)\n{ECHO}",
            "model/1/model.py:2 model: failed to load: the process that runs its Python was killed by SIGSEGV",
        ),
        (
            f"import os\nos._exit(3)\n{ECHO}",
            "model model: failed to load: the process that runs its Python ended with exit code 3",
        ),
        (
            f"{ECHO}\n    def initialize(self, args):\n        import ctypes\n        ctypes.string_at(0)\n",
            "model/1/model.py:12 model: failed to load: the process that runs its Python died",
        ),
        (None, "model model: a Python model has no model.py in its version folder"),
    ],
)
def test_models_whose_process_dies(
    code: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triton itself would wait for ever for some of these."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path, "model", code)
    (diagnostic,) = refused(tmp_path).diagnostics
    assert diagnostic.code == "TF523"
    assert str(diagnostic).replace("  at ctypes", "").splitlines()[0] == message


def test_a_definition_whose_process_ends_is_told_at_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with what it printed, as the model is the only one that is loaded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gasp.py").write_text(GASP)
    subprocess.run([sys.executable, "-m", "tritonforge", "build", "gasp.py", "-o", "models"], check=True)
    (diagnostic,) = refused(tmp_path / "models").diagnostics
    assert str(diagnostic).splitlines()[:2] == [
        "gasp.py:13 gasp: failed to load: the process that runs its Python died; its last words:",
        "  last gasp",
    ]


def test_the_log_of_a_refused_start_is_kept(tmp_path: Path) -> None:
    """What a model printed before it failed can be read."""
    write_model(tmp_path, "talkative", "print('reading the weights')\n1 / 0")
    assert "reading the weights" in refused(tmp_path).log
