"""All that a definition may say of its configuration, beside batching and instances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import field_validator, model_validator

from tritonforge.define.settings.base import Setting
from tritonforge.define.settings.instances import InstanceGroup
from tritonforge.define.settings.optimization import Optimization
from tritonforge.define.settings.sequences import SequenceBatching
from tritonforge.define.settings.serving import Agent, MetricControl, VersionPolicy
from tritonforge.define.settings.tensors import BatchInput, BatchOutput, Tensor
from tritonforge.define.settings.warmup import Warmup

__all__ = ["CommonArguments", "OptionArguments", "Options", "Parameter"]

Parameter = bool | int | float | str

_VERSION = r"(===?|~=|!=|<=?|>=?)\s*[A-Za-z0-9.*+!_-]+\s*"
_REQUIREMENT = re.compile(
    r"\s*[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\s*(\[[^\]]*\]\s*)?"
    rf"(@\s*\S.*|(\(\s*)?({_VERSION},\s*)*({_VERSION})?\)?\s*(;\s*\S.*)?)"
)
"""A package's name and extras, and what may follow them (PEP 508)."""


class CommonArguments(TypedDict, total=False):
    """The options as keyword arguments of every definition; `Options` says what each is."""

    version_policy: VersionPolicy
    instance_groups: Sequence[InstanceGroup]
    response_cache: bool
    warmup: Mapping[str, Any] | Warmup | Sequence[Mapping[str, Any] | Warmup]
    examples: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    tensors: Mapping[str, Tensor]
    batch_inputs: Sequence[BatchInput]
    batch_outputs: Sequence[BatchOutput]
    sequence_batching: SequenceBatching
    optimization: Optimization
    decoupled: bool
    agents: Sequence[Agent]
    op_libraries: Sequence[str]
    metrics: Sequence[MetricControl]
    metric_tags: Mapping[str, str]
    max_inflight_requests: int
    default_model_filename: str
    cc_model_filenames: Mapping[str, str]
    runtime: str
    environment: str
    requirements: Sequence[str]
    extra: Mapping[str, Any]


class OptionArguments(CommonArguments, total=False):
    """The options of definitions that don't run in Python; those have parameters of their own."""

    parameters: Mapping[str, Parameter]


class Options(Setting):
    """What every definition takes as keyword arguments, beside `batching`, `instances` and `name`."""

    version_policy: VersionPolicy | None = None
    """Which versions are served. Default: the newest."""
    instance_groups: tuple[InstanceGroup, ...] = ()
    """Copies of the model, where `instances=Instances(cpu=2)` can't say it: rate limits, host policies, names. They
    replace those of `instances`. Default: `instances`."""
    response_cache: bool | None = None
    """Whether equal requests are answered from the server's cache, if it has one: `up --set cache_size=64MiB`, which is
    tritonserver's `--cache-config`. Default: no."""
    warmup: tuple[Any, ...] = ()
    """Requests that the model is run with before it is ready: a dict of arrays by input, as in a call of the
    definition; a `Warmup`; or several of either. Of a dict of arrays only the first row is kept, and the number of
    rows: Triton repeats one row's data. No more rows than max_batch_size. Default: none."""
    examples: tuple[Any, ...] = ()
    """Requests that stand for real ones: a dict of arrays by input, as in a call of the definition, or several. The
    build runs the definition on each, and keeps both beside the manifest as golden samples, with which `verify` and
    `perf --data golden` check a server. They are no part of the model. Default: none, or as many as `build --golden`
    says, drawn at random."""
    parameters: Mapping[str, Parameter] = {}
    """Parameters of the backend, or of the model itself; a Python model finds them in its configuration. config.pbtxt
    has strings only: `@model` takes nothing else, other definitions write numbers and booleans as `3` and `true`."""
    tensors: Mapping[str, Tensor] = {}
    """What the annotations don't say of inputs and outputs, by name."""
    batch_inputs: tuple[BatchInput, ...] = ()
    """Tensors that Triton computes of the shapes of a batch's requests. Default: none."""
    batch_outputs: tuple[BatchOutput, ...] = ()
    """Outputs that are cut as an input was put together. Default: none."""
    sequence_batching: SequenceBatching | None = None
    """Sequences, in the place of the dynamic batcher. Default: none."""
    optimization: Optimization | None = None
    """What the server and its backends optimize. Default: the server's choice."""
    decoupled: bool | None = None
    """Whether a request may have any number of responses. Default: a generator's may; else each has one."""
    agents: tuple[Agent, ...] | None = None
    """Repository agents, in their order. Default: none."""
    op_libraries: tuple[str, ...] | None = None
    """Paths of libraries with custom operations, for the ONNX backend. Default: none."""
    metrics: tuple[MetricControl, ...] | None = None
    """Buckets of the server's histograms. Default: the server's. Since 24.11."""
    metric_tags: Mapping[str, str] = {}
    """Labels that the model's metrics get. Default: none."""
    max_inflight_requests: int | None = None
    """Of an ensemble: how many results of a streaming step may wait for the next. Default: any number. Since 25.11."""
    default_model_filename: str = ""
    """The file of the version folder that is loaded. Default: the backend's: `model.onnx`, `model.py`, …"""
    cc_model_filenames: Mapping[str, str] = {}
    """That file by the GPU's compute capability: `{"7.5": "model_t4.plan"}`. Default: the same for all."""
    runtime: str = ""
    """The backend's library, where it has several. Default: its only one. Since 24.01."""
    environment: str = ""
    """Of a model in Python: a requirements file of pip's, beside the file of the definition. The model gets a Python
    environment of its own, with these packages and no others, in its folder. Default: the server's Python."""
    requirements: tuple[str, ...] = ()
    """Packages that the model needs in the server's own Python, as pip writes them (`"scikit-learn==1.5.2"`):
    `tritonforge image` installs them. Default: none."""
    extra: Mapping[str, Any] = {}
    """Fields of the configuration by their protobuf names, added to all others: `{"model_metrics": {…}}`. Lists are
    appended to, groups merged, maps merged key by key; a value of its own replaces one. What the definition itself says
    is refused: name, max_batch_size, backend, platform, input, output, ensemble_scheduling; `model_files` takes the
    last five where its own arguments don't say them."""

    @model_validator(mode="before")
    @classmethod
    def _several(cls, given: Any) -> Any:
        """Take one warm-up request, or example, for a list of one."""
        several = ("warmup", "examples")
        return {**given, **{name: (given[name],) for name in several if isinstance(given.get(name), Mapping | Warmup)}}

    @field_validator("warmup", "examples", mode="before")
    @classmethod
    def _requests(cls, given: Any) -> Any:
        if isinstance(given, Sequence) and not isinstance(given, str):
            return given
        raise ValueError(f"it takes a dict of arrays by input, or several in a list; found {given!r}")

    @field_validator("examples")
    @classmethod
    def _named_arrays(cls, given: tuple[Any, ...]) -> tuple[Any, ...]:
        wrong = [number for number, example in enumerate(given) if not isinstance(example, Mapping)]
        if wrong:
            raise ValueError(f"example {wrong[0]} is {given[wrong[0]]!r}, and no dict of arrays by input")
        return given

    @field_validator("parameters")
    @classmethod
    def _named(cls, given: Mapping[str, Parameter]) -> Mapping[str, Parameter]:
        if "" in given:
            raise ValueError("a parameter without a name")
        return given

    @field_validator("requirements")
    @classmethod
    def _installable(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what pip can't read: a package begins with its name."""
        for requirement in given:
            if not _REQUIREMENT.fullmatch(requirement):
                raise ValueError(f'"{requirement}" is no requirement of pip\'s; write "scikit-learn==1.5.2", say')
        return given
