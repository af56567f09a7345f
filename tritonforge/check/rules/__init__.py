"""The rules for one model, in the order in which Triton looks at a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tritonforge.check.finding import Found
from tritonforge.check.model import Model
from tritonforge.check.rules.batch_tensors import check_batch_tensors
from tritonforge.check.rules.dynamic_batching import check_dynamic_batching
from tritonforge.check.rules.ensemble import check_ensemble
from tritonforge.check.rules.features import check_metric_tags, check_metrics, check_response_cache
from tritonforge.check.rules.identity import check_backend, check_max_batch_size, check_name, check_version_policy
from tritonforge.check.rules.instances import check_instances
from tritonforge.check.rules.python_backend import check_python_code, check_python_folder, check_python_parameters
from tritonforge.check.rules.sequences import check_sequence_batching
from tritonforge.check.rules.states import check_states
from tritonforge.check.rules.tensors import check_duplicates, check_tensors
from tritonforge.check.rules.warmup import check_warmup

__all__ = ["RULES", "Rule"]

Rule = Callable[[Model], Iterator[Found]]

RULES: tuple[Rule, ...] = (
    check_name,
    check_backend,
    check_max_batch_size,
    check_version_policy,
    check_dynamic_batching,
    check_sequence_batching,
    check_ensemble,
    check_response_cache,
    check_metrics,
    check_metric_tags,
    check_tensors,
    check_batch_tensors,
    check_instances,
    check_warmup,
    check_states,
    check_python_folder,
    check_python_parameters,
    check_python_code,
    check_duplicates,
)
"""What is checked of every model whose text can be read."""
