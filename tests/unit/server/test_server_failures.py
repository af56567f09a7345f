"""What is said of models that don't load, of Triton's words for it."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from tritonforge.server.asking.control import load_model
from tritonforge.server.asking.health import Health, ModelState
from tritonforge.server.diagnosis.failures import explain_failures
from tritonforge.server.diagnosis.sources import Sources
from tritonforge.server.docker.hints import hints_of_image
from tritonforge.server.errors import ModelLoadError

WORDS = "Internal: failed to run warmup sample 'sample_0': "


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("ValueError: zeros here  (defs.py:7 in wfail); ", "defs.py:7 wfail: {}: ValueError: zeros here"),
        ("ValueError: (x) isn't; so  (defs.py:7 in wfail);", "defs.py:7 wfail: {}: ValueError: (x) isn't; so"),
        ("somebody's own words; ", "{repository} wfail: {}: somebody's own words"),
    ],
)
def test_a_warm_up_that_fails_is_told_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, text: str
) -> None:
    (tmp_path / "defs.py").touch()
    monkeypatch.chdir(tmp_path)
    sources = Sources(tmp_path / "repository", tmp_path / "repository", {"wfail": {"1/source/defs.py": "defs.py"}})
    state = ModelState("wfail", "1", "UNAVAILABLE", WORDS + reason)
    (found,) = explain_failures([state], "", sources, ready=False)
    said = 'failed to load: it fails on its warm-up request "sample_0"'
    assert str(found).splitlines() == [
        text.format(said, repository="repository/wfail"),
        "  hint: mend the model, or give its warmup= what a client would send  [TF520]",
    ]


def test_a_mistake_in_the_syntax_is_told_at_the_file_of_its_version(tmp_path: Path) -> None:
    for version in "12":
        (tmp_path / "adder" / version).mkdir(parents=True)
        (tmp_path / "adder" / version / "model.py").touch()
    reason = "Internal: SyntaxError: expected ':' (model.py, line 5)"
    states = [ModelState("adder", "1", "READY"), ModelState("adder", "2", "UNAVAILABLE", reason)]
    (found,) = explain_failures(states, "", Sources(tmp_path, tmp_path, {}), ready=False)
    assert (found.where.file, found.where.line) == (str(tmp_path / "adder" / "2" / "model.py"), 5)


def test_a_load_that_fails_for_several_versions_is_told_for_each(tmp_path: Path) -> None:
    """Triton (24.10) puts their reasons one after another."""
    reasons = "".join(f"version {version} is at UNAVAILABLE state: Internal: {version} fails;" for version in (1, 2))
    words = json.dumps({"error": f"load failed for model 'adder': {reasons}"})
    health = Mock(spec=Health, grpc_address="")
    health.request.return_value = (400, words.encode())
    with pytest.raises(ModelLoadError) as raised:
        load_model(health, "adder", sources=Sources(tmp_path, tmp_path, {}))
    assert [(one.where.subject, one.message) for one in raised.value.diagnostics] == [
        ("adder version 1", "failed to load: 1 fails"),
        ("adder version 2", "failed to load: 2 fails"),
    ]


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ("tr", "tr is yours (tr.py): write `import tr` in svc.py, so that it travels, and build"),
        (
            "own.clip",
            "own.clip is yours (own/clip.py): write `import own.clip` in svc.py, so that it travels, and build",
        ),
        ("own.clap", "own is yours (own), and has no module own.clap in it"),
        ("other", "install what it imports for the Python that runs the models"),
    ],
)
def test_a_module_of_the_users_own_is_not_to_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, hint: str
) -> None:
    """As the class of a pickle may be of one."""
    for name in ("svc.py", "tr.py", "own/clip.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    sources = Sources(tmp_path / "repository", tmp_path / "repository", {"price": {"1/source/svc.py": "svc.py"}})
    file = tmp_path / "repository" / "price" / "1" / "source" / "svc.py"
    words = f"Internal: ModuleNotFoundError: No module named '{missing}'\n\nAt:\n  {file}(9): __init__\n"
    (found,) = explain_failures([ModelState("price", "1", "UNAVAILABLE", words)], "", sources, ready=False)
    assert found.code == "TF520"
    assert found.hint.startswith(hint)


@pytest.mark.parametrize(
    ("built", "hint"),
    [
        (
            True,
            "its environment lacks it: add scikit-learn to the requirements file that environment= names, and build",
        ),
        (False, "its environment lacks it: put scikit-learn into the one that EXECUTION_ENV_PATH names"),
    ],
)
@pytest.mark.parametrize("prefix", ["Internal: ", WORDS])
def test_a_package_goes_into_the_models_own_environment(tmp_path: Path, prefix: str, built: bool, hint: str) -> None:
    """Neither into the Python that runs the other models nor, in a container, into the image."""
    (tmp_path / "price").mkdir()
    (tmp_path / "price" / "config.pbtxt").write_text('parameters { key: "EXECUTION_ENV_PATH" }')
    sources = Sources(tmp_path, tmp_path, {"price": {}} if built else {})
    words = f"{prefix}ModuleNotFoundError: No module named 'sklearn.svm'"
    found = explain_failures([ModelState("price", "1", "UNAVAILABLE", words)], "", sources, ready=False)
    assert [one.hint for one in found] == [hint]
    assert hints_of_image(found) == found


def test_a_resource_that_the_server_lacks_is_named_as_its_setting(tmp_path: Path) -> None:
    words = (
        'Internal: Resource count for "G" is limited to 0 which will prevent scheduling of one or more model '
        "instances, the minimum required count is 1"
    )
    states = [ModelState("a", "1", "UNAVAILABLE", words)]
    (found,) = explain_failures(states, "", Sources(tmp_path, tmp_path, {}), ready=False)
    assert found.hint == 'give the server what its models share: rate_limit_resources = ["G:1"]'


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (
            "Internal: ModuleNotFoundError: No module named '1.model'",
            "1/model.py has to be a file in the model's folder: modules there are named by the version's folder",
        ),
        (
            "Invalid argument: unable to find backend library for backend 'Python', try specifying runtime",
            'did you mean backend: "python"?',
        ),
        (
            "Invalid argument: unable to find backend library for backend 'vllm', try specifying runtime",
            "the embedded server has the backends python, onnxruntime and pytorch; serve others with NVIDIA's image",
        ),
        (
            "Invalid argument: expected 4 string elements for inference input 'x' for model 'm', got 3",
            "a warm-up file has the strings of one row, each as its length (4 bytes, little-endian) and its bytes",
        ),
        (
            "Internal: failed to run warmup sample 'w': incomplete string data for inference input 'x', expecting …; ",
            "a warm-up file has the strings of one row, each as its length (4 bytes, little-endian) and its bytes",
        ),
        (
            "Internal: boost::interprocess::lock_exception",
            "the machine is overloaded: a process of the Python backend waited too long for another; start again, with "
            "fewer servers or instances at once",
        ),
    ],
)
def test_tritons_words_are_told_with_a_mend(tmp_path: Path, reason: str, hint: str) -> None:
    (found,) = explain_failures(
        [ModelState("m", "1", "UNAVAILABLE", reason)], "", Sources(tmp_path, tmp_path, {}), ready=False
    )
    assert found.hint == hint
