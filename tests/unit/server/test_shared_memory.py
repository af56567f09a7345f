"""How much shared memory a container gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.errors import Diagnostic, Where
from tritonforge.server import PreflightError
from tritonforge.server.diagnosis.hints import hint_for
from tritonforge.server.repository.shared_memory import (
    SharedMemory,
    beyond_memory,
    choose_shared_memory,
    explain_full,
    needed_shared_memory,
    size_text,
)

MIB = 1 << 20


def write(repository: Path, name: str, config: str) -> None:
    """Write a model's config.pbtxt."""
    (repository / name).mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)


def tensors(elements: int) -> str:
    """Write an FP32 input and output of so many elements."""
    one = f'name: "x" data_type: TYPE_FP32 dims: [ {elements} ]'
    return f"input {{ {one} }} output {{ {one.replace('x', 'y')} }}"


def test_small_models_get_dockers_own_default(tmp_path: Path) -> None:
    write(tmp_path, "small", f'backend: "python" {tensors(4)}')
    needed = needed_shared_memory(tmp_path, backends=["python"])
    assert (needed.size, needed.instances) == (64 * MIB, 1)
    assert str(needed) == "64 MiB for 1 Python instance"


def test_a_full_batch_of_each_instance_has_room(tmp_path: Path) -> None:
    """A row is 2 MiB in and out; 8 rows, four times over, and 2 MiB, for each of 3 instances."""
    write(
        tmp_path,
        "large",
        f'backend: "python" max_batch_size: 8 {tensors(MIB // 4)} instance_group {{ count: 3 kind: KIND_CPU }}',
    )
    assert needed_shared_memory(tmp_path, backends=["python"]).size == 3 * (2 + 4 * 8 * 2) * MIB


def test_only_models_that_run_in_python_count(tmp_path: Path) -> None:
    write(tmp_path, "graph", f'backend: "onnxruntime" {tensors(4)}')
    write(tmp_path, "chain", f'platform: "ensemble" {tensors(4)}')
    assert needed_shared_memory(tmp_path, backends=["python"]).instances == 0
    assert needed_shared_memory(tmp_path, backends=["python", "onnxruntime"]).instances == 2


@pytest.mark.parametrize(
    ("groups", "gpus", "instances"),
    [
        ("", 0, 2),
        ("", 3, 3),
        ("instance_group { kind: KIND_CPU }", 0, 2),
        ("instance_group { kind: KIND_AUTO }", 0, 2),
        ("instance_group { kind: KIND_AUTO }", 2, 2),
        ("instance_group { kind: KIND_CPU count: 1 }", 0, 1),
        ("instance_group { kind: KIND_GPU }", 2, 2),
    ],
)
def test_an_onnx_model_has_two_instances_on_the_cpu_where_nothing_is_said(
    tmp_path: Path, groups: str, gpus: int, instances: int
) -> None:
    """Triton's own rule: https://github.com/triton-inference-server/core, model_config_utils.cc."""
    write(tmp_path, "graph", f'backend: "onnxruntime" {tensors(4)} {groups}')
    assert needed_shared_memory(tmp_path, backends=["onnxruntime"], gpus=gpus).instances == instances


@pytest.mark.parametrize(
    ("group", "instances"), [("kind: KIND_GPU", 4), ("kind: KIND_GPU gpus: [ 0 ]", 2), ("kind: KIND_CPU", 2)]
)
def test_a_group_on_gpus_counts_on_each(tmp_path: Path, group: str, instances: int) -> None:
    write(tmp_path, "model", f'backend: "python" {tensors(4)} instance_group {{ count: 2 {group} }}')
    assert needed_shared_memory(tmp_path, backends=["python"], gpus=2).instances == instances


def test_a_config_that_cant_be_read_counts_as_an_instance(tmp_path: Path) -> None:
    write(tmp_path, "odd", "max_batchsize: 8")
    assert needed_shared_memory(tmp_path, backends=["python"]).instances == 1


def test_a_size_with_which_no_instance_starts_is_refused() -> None:
    needed = SharedMemory(64 * MIB, 6)
    assert choose_shared_memory(needed, None) == needed
    assert str(choose_shared_memory(needed, 96 * MIB)) == "96 MiB for 6 Python instances"
    for size, found in {512: "0.5 KiB", 3 * MIB: "3 MiB"}.items():
        with pytest.raises(PreflightError) as refused:
            choose_shared_memory(needed, size)
        assert str(refused.value) == (
            f"shm_size: found {found}, and 6 Python instances take 6 MiB of /dev/shm at least\n"
            "  hint: leave it out: 64 MiB are computed of the repository  [TF510]"
        )


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "0.0009766 KiB"),
        (MIB - 1, "1024 KiB"),
        (1000 * MIB, "1000 MiB"),
        (1536 * MIB, "1.5 GiB"),
        (999 << 30, "999 GiB"),
        (1 << 40, "1 TiB"),
        ((1 << 63) - 1, "8 EiB"),
    ],
)
def test_sizes_have_the_unit_that_suits_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_more_than_the_machine_has_is_remarked_on() -> None:
    memory = SharedMemory(999 << 30, 6)
    assert [str(warning) for warning in beyond_memory(memory, 64 << 30)] == [
        "warning: shm_size: 999 GiB are more than Docker's machine has of memory, 64 GiB\n"
        "  hint: a limit alone takes none, but what fills it there is killed for want of memory: take less  [TF510]"
    ]
    assert beyond_memory(memory, 999 << 30) == [] == beyond_memory(memory, 0)


@pytest.mark.parametrize(
    ("size", "hint"),
    [
        (7 * MIB, "leave out --docker shm_size=…: 64 MiB are computed of the repository"),
        (96 * MIB, "give it more: --docker shm_size=192m"),
    ],
)
def test_all_that_failed_for_want_of_shared_memory_are_said_in_one(size: int, hint: str) -> None:
    words = "Failed to increase the shared memory pool size for key 'x' to 67108864 bytes: No space left on device"
    found = [Diagnostic("TF520", Where("m", 1, name), words, hint_for(words)) for name in ("one", "two")]
    other = Diagnostic("TF520", Where("m", 1, "three"), "no")
    message = f"the container's /dev/shm, {size // MIB} MiB, is full; failed to load: one, two"
    memory = choose_shared_memory(SharedMemory(64 * MIB, 2), size)
    assert explain_full([*found, other], memory) == [other, Diagnostic("TF510", Where(), message, hint)]
    assert explain_full([other], memory) == [other]
