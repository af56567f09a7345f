"""Backends that the embedded server lacks, told before it is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.server import ServerSettings
from tritonforge.server.installed.model_backends import check_backends


def told(repository: Path, config: str, **settings: object) -> list[str]:
    (repository / "m" / "1").mkdir(parents=True, exist_ok=True)
    (repository / "m" / "config.pbtxt").write_text(config)
    return [str(found) for found in check_backends(repository, ServerSettings.model_validate(settings))]


@pytest.mark.parametrize(
    ("config", "line", "backend"),
    [
        ('backend: "vllm"', 1, "vllm"),
        ("# python\n\nmax_batch_size: 4 backend : 'dali'", 3, "dali"),
        ('input { name: "x" dims: [ 1, 2 ] }\nplatform: "tensorrt_plan"', 2, "tensorrt"),
        ('parameters { key: "a" value { string_value: "\\"}" } }\nbackend: "fil" # {', 2, "fil"),
    ],
)
def test_one_that_a_configuration_names_is_told_at_its_line(
    tmp_path: Path, config: str, line: int, backend: str
) -> None:
    assert told(tmp_path, config) == [
        f'{tmp_path}/m/config.pbtxt:{line} m: the embedded server has no backend "{backend}"\n'
        "  hint: the embedded server has the backends python, onnxruntime and pytorch; serve others with NVIDIA's image"
        "  [TF524]"
    ]


def test_one_that_is_nearly_there_is_named(tmp_path: Path) -> None:
    (said,) = told(tmp_path, 'backend: "PyTorch"')
    assert said.endswith('  hint: did you mean backend: "pytorch"?  [TF524]')


@pytest.mark.parametrize(
    "config",
    [
        "",
        'backend: "onnxruntime"',
        'platform: "pytorch_libtorch"',
        'platform: "ensemble"',
        '# backend: "vllm"\nbackend: "python"',
        'backend: "python" parameters { key: "backend" value { string_value: "backend: \'vllm\'" } }',
        'backend: "python" parameters [ { key: "x" value { backend: "vllm" } } ]',
        'backend: "mine" runtime: "model.py"',
    ],
)
def test_others_are_the_servers_to_judge(tmp_path: Path, config: str) -> None:
    assert told(tmp_path, config) == []


@pytest.mark.parametrize("folder", [".", "1"])
def test_a_model_may_bring_its_backend(tmp_path: Path, folder: str) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / folder / "libtriton_mine.so").touch()
    assert told(tmp_path, 'backend: "mine"') == []


def test_models_that_are_not_loaded_at_the_start_and_other_servers_are_left_alone(tmp_path: Path) -> None:
    assert told(tmp_path, 'backend: "vllm"', load_models=["other"], model_control="explicit") == []
    assert told(tmp_path, 'backend: "vllm"', tritonserver="/opt/tritonserver") == []
