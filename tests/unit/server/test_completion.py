"""Configurations are completed by Triton only where one may need it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tritonforge.server import ServerError, ServerSettings
from tritonforge.server.repository.completion import note_completion, require_complete, settle_completion
from tritonforge.server.repository.folder import config_fields
from tritonforge.server.settings.command import server_flags

TENSOR = '{ name: "x" data_type: TYPE_FP32 dims: [ 1 ] }'
WHOLE = f'backend: "python"\ninput {TENSOR}\noutput [ {TENSOR} ]\n'
FLAG = "--disable-auto-complete-config"
HOOK = "class TritonPythonModel:\n    @staticmethod\n    def auto_complete_config(config): return config\n"


def write(repository: Path, *built: str, **configs: str) -> None:
    for name, config in configs.items():
        (repository / name / "1").mkdir(parents=True, exist_ok=True)
        (repository / name / "config.pbtxt").write_text(config)
    entry = {"version": 1, "kind": "python", "signature": {"batched": True, "inputs": [], "outputs": []}}
    (repository / "tritonforge.json").write_text(json.dumps({"schema": 1, "models": dict.fromkeys(built, entry)}))


def flags(repository: Path, **settings: object) -> list[str]:
    return server_flags(settle_completion(ServerSettings.model_validate(settings), repository))


def test_what_was_built_and_says_all_is_loaded_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", a=WHOLE, b=WHOLE.replace("backend", "platform"))
    assert FLAG in flags(tmp_path)
    assert FLAG in flags(tmp_path, model_control="explicit")
    assert FLAG not in flags(tmp_path, auto_complete=True)
    assert FLAG not in flags(tmp_path, model_control="poll"), "it may get any model"
    (tmp_path / "tritonforge.json").unlink()
    assert FLAG not in flags(tmp_path), "it was not built"
    assert FLAG in flags(tmp_path, auto_complete=False)


@pytest.mark.parametrize(
    "config",
    [
        "",
        'backend: "python"',
        f'backend: "python" input {TENSOR}',
        f"input {TENSOR} output {TENSOR}",
        f'# input {TENSOR}\nbackend: "python" output {TENSOR}',
        f'backend: "python" output {TENSOR} sequence_batching {{ state {{ input: {TENSOR} }} }}',
        f'backend: "python input {TENSOR} output {TENSOR}',
    ],
)
def test_one_that_leaves_something_out_has_all_completed(tmp_path: Path, config: str) -> None:
    write(tmp_path, "whole", "other", whole=WHOLE, other=config)
    assert FLAG not in flags(tmp_path)


def test_so_has_one_whose_code_completes_it_and_one_that_was_added(tmp_path: Path) -> None:
    write(tmp_path, "a", a=WHOLE, added=WHOLE)
    assert FLAG not in flags(tmp_path)
    write(tmp_path, "a", "added")
    assert FLAG in flags(tmp_path)
    (tmp_path / "added" / "1" / "parts").mkdir()
    (tmp_path / "added" / "1" / "parts" / "base.py").write_text(HOOK)
    assert FLAG not in flags(tmp_path)


def test_a_server_that_completes_nothing_is_given_nothing_to_complete(tmp_path: Path) -> None:
    write(tmp_path, a=WHOLE, part='backend: "python"')
    tree = tmp_path / ".own" / "repository"
    tree.mkdir(parents=True)
    note_completion(ServerSettings(), tmp_path, tree)
    require_complete(tmp_path / "part", tree)
    note_completion(ServerSettings(auto_complete=False), tmp_path, tree)
    require_complete(tmp_path / "a", tree)
    with pytest.raises(ServerError, match=r"part: its configuration leaves something to Triton(.*\n)+.*auto_complete"):
        require_complete(tmp_path / "part", tree)


def test_nothing_is_written_beside_the_users_own_repository(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    note_completion(ServerSettings(auto_complete=False), repository, repository)
    assert list(tmp_path.iterdir()) == [repository]


def test_what_a_generated_models_own_code_says_of_it_is_nothing(tmp_path: Path) -> None:
    """Its class is the runtime's, whatever the user's modules have."""
    write(tmp_path, "a", a=WHOLE)
    (tmp_path / "a" / "1" / "tritonforge_runtime").mkdir()
    (tmp_path / "a" / "1" / "source").mkdir()
    (tmp_path / "a" / "1" / "source" / "other.py").write_text(HOOK)
    assert FLAG in flags(tmp_path)


def test_fields_are_told_with_their_lines(tmp_path: Path) -> None:
    text = 'name: "a" # b: "c"\nmax_batch_size: 4\ninstance_group [ { name: "g" } ]\ndynamic_batching { }\n'
    (tmp_path / "config.pbtxt").write_text(text + "platform:\n 'ensemble'")
    fields = config_fields(tmp_path)
    assert fields == {
        "name": ("a", 1),
        "max_batch_size": ("", 2),
        "instance_group": ("", 3),
        "dynamic_batching": ("", 4),
        "platform": ("ensemble", 5),
    }
