"""`ModelConfig`: all that Triton is told of one model."""

from __future__ import annotations

from dataclasses import dataclass

from tritonforge.ir.execution import InstanceGroup, Optimization, Pairs, Warmup
from tritonforge.ir.fields import mapped
from tritonforge.ir.scheduling import DynamicBatching, Ensemble, EnsembleStep, SequenceBatching
from tritonforge.ir.tensors import BatchInput, BatchOutput, TensorConfig

__all__ = ["Agent", "MetricControl", "ModelConfig", "VersionPolicy"]


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """The `version_policy`: the newest so many, all, or these. At most one is set."""

    latest: int | None = mapped(wraps="num_versions")
    all: bool | None = mapped(wraps="")
    specific: tuple[int, ...] | None = mapped(wraps="versions")


@dataclass(frozen=True, slots=True)
class Agent:
    """A repository agent, by name, and its parameters."""

    name: str
    parameters: Pairs = ()


@dataclass(frozen=True, slots=True)
class MetricControl:
    """A `metric_control` entry: a family of metrics, and the buckets of its histogram."""

    family: str | None = mapped(name="metric_identifier", wraps="family")
    buckets: tuple[float, ...] | None = mapped(name="histogram_options", wraps="buckets")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What config.pbtxt says of one model. None: that group isn't written.

    `extra` is JSON of further fields by their protobuf names, for what this class has no field for.
    """

    name: str
    max_batch_size: int
    inputs: tuple[TensorConfig, ...] = mapped((), name="input")
    outputs: tuple[TensorConfig, ...] = mapped((), name="output")
    backend: str = ""
    platform: str = ""
    runtime: str = ""
    version_policy: VersionPolicy | None = None
    batch_inputs: tuple[BatchInput, ...] = mapped((), name="batch_input")
    batch_outputs: tuple[BatchOutput, ...] = mapped((), name="batch_output")
    optimization: Optimization | None = None
    dynamic_batching: DynamicBatching | None = None
    sequence_batching: SequenceBatching | None = None
    ensemble: Ensemble | None = mapped(name="ensemble_scheduling")
    instance_groups: tuple[InstanceGroup, ...] = mapped((), name="instance_group")
    default_model_filename: str = ""
    cc_model_filenames: Pairs = ()
    metric_tags: Pairs = ()
    parameters: Pairs = mapped((), wraps="string_value")
    warmups: tuple[Warmup, ...] = mapped((), name="model_warmup")
    op_libraries: tuple[str, ...] | None = mapped(name="model_operations", wraps="op_library_filename")
    decoupled: bool | None = mapped(name="model_transaction_policy", wraps="decoupled")
    agents: tuple[Agent, ...] | None = mapped(name="model_repository_agents", wraps="agents")
    response_cache: bool | None = mapped(wraps="enable")
    metrics: tuple[MetricControl, ...] | None = mapped(name="model_metrics", wraps="metric_control")
    extra: str = ""

    @property
    def ensemble_steps(self) -> tuple[EnsembleStep, ...]:
        """The steps, of an ensemble; none of any other model."""
        return self.ensemble.steps if self.ensemble is not None else ()
