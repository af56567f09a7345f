"""Settings of a model: what they default to, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tritonforge import Batching, Instances, QueuePolicy, Tensor, VersionPolicy
from tritonforge.define.settings.options import Options


def test_batching_is_dynamic_up_to_64_rows_by_default() -> None:
    batching = Batching()
    assert (batching.max_batch_size, batching.dynamic, batching.max_queue_delay_us) == (64, True, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_batch_size": 0}, "greater than or equal to 1"),
        ({"max_queue_delay_us": -1}, "greater than or equal to 0"),
        ({"max_batch_size": 8, "preferred_batch_sizes": (4, 16)}, "a preferred batch size of 16 is outside 1 … max_"),
        ({"preferred_batch_sizes": (0,)}, "a preferred batch size of 0 is outside"),
        ({"dynamic": False, "max_queue_delay_us": 5}, "need dynamic=True"),
        ({"dynamic": False, "preferred_batch_sizes": (5,)}, "need dynamic=True"),
        ({"max_batchsize": 8}, "Extra inputs are not permitted"),
    ],
)
def test_batching_that_triton_would_refuse(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Batching(**given)


def test_a_wait_of_the_requests_own_needs_a_longer_one() -> None:
    with pytest.raises(
        ValidationError, match=r"needs a default_timeout_us: Triton \(24\.10\) takes a request's own wait"
    ):
        QueuePolicy(allow_timeout_override=True)
    assert QueuePolicy(allow_timeout_override=True, default_timeout_us=5).allow_timeout_override


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "at least one instance is needed"),
        ({"cpu": -1}, "greater than or equal to 0"),
        ({"cpu": 1, "gpus": (0,)}, "gpus names GPUs, but gpu"),
        ({"tpu": 1}, "Extra inputs are not permitted"),
    ],
)
def test_instances_that_triton_would_refuse(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Instances(**given)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Batching().max_batch_size = 1


@pytest.mark.parametrize(
    ("requirement", "fine"),
    [
        ("scikit-learn", True),
        ("torch==2.1+cpu", True),
        ("foo[a,b]~=1.0; python_version<'3.11'", True),
        ("foo @ https://example.org/foo.whl", True),
        ("foo (>=1, <2)", True),
        ("foo==", False),
        ("foo=1", False),
        ("foo 1", False),
        ("foo[bar", False),
        ("foo;", False),
        ("foo @", False),
    ],
)
def test_a_requirement_that_pip_cannot_read_is_refused(requirement: str, fine: bool) -> None:
    if fine:
        assert Options(requirements=(requirement,)).requirements == (requirement,)
        return
    with pytest.raises(ValidationError, match="is no requirement of pip's"):
        Options(requirements=(requirement,))


def test_the_latest_no_versions_are_refused() -> None:
    with pytest.raises(ValidationError, match="latest"):
        VersionPolicy(latest=0)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("STRING", "BYTES"),
        ("TYPE_STRING", "BYTES"),
        ("TYPE_FP32", "FP32"),
        ("fp16", "FP16"),
        ("Float32", "FP32"),
        ("float64", "FP64"),
        (np.int8, "INT8"),
        (str, "BYTES"),
    ],
)
def test_another_spelling_of_a_data_type_is_told_ours(given: Any, meant: str) -> None:
    with pytest.raises(ValidationError, match=f'it is written "{meant}"'):
        Tensor(data_type=given, dims=(1,))


@pytest.mark.parametrize("given", ["complex64", "TYPE_INVALID", 3, ["FP32"]])
def test_what_no_data_type_is_near_to_is_told_them_all(given: Any) -> None:
    with pytest.raises(ValidationError, match="Input should be 'BOOL', 'UINT8'"):
        Tensor(data_type=given, dims=(1,))
