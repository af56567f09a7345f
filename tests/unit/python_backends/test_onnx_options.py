"""The options of ONNX Runtime's sessions."""

from __future__ import annotations

import onnxruntime
import pytest
from tritonforge_runtime import session_options

SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")


def test_threads_that_wait_leave_the_cores_to_the_server() -> None:
    options = session_options(onnxruntime, {})

    assert [options.get_session_config_entry(name) for name in SPINNING] == ["0", "0"]


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 3), ({"intra_op_thread_count": "0"}, 3), ({"intra_op_thread_count": "1"}, 1)]
)
def test_a_parameter_comes_before_the_share_of_the_cores(given: dict[str, str], expected: int) -> None:
    assert session_options(onnxruntime, given, threads=3).intra_op_num_threads == expected


def test_all_parameters_are_those_of_the_native_backend() -> None:
    given = {
        "inter_op_thread_count": "2",
        "execution_mode": "1",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "false",
    }
    options = session_options(onnxruntime, given, level=1)

    assert options.inter_op_num_threads == 2
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
