"""A configuration as the typed settings that say it, and `extra` for what they don't."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from tritonforge import pbtxt
from tritonforge.define import (
    Agent,
    Batching,
    BatchInput,
    BatchOutput,
    Ensemble,
    InstanceGroup,
    Instances,
    MetricControl,
    Optimization,
    SequenceBatching,
    Tensor,
    VersionPolicy,
    Warmup,
)
from tritonforge.define.settings import Setting
from tritonforge.ir import ModelConfig, TensorConfig, bindings

__all__ = ["typed"]

SETTINGS: dict[str, type[Setting]] = {
    "version_policy": VersionPolicy,
    "batch_inputs": BatchInput,
    "batch_outputs": BatchOutput,
    "optimization": Optimization,
    "sequence_batching": SequenceBatching,
    "ensemble": Ensemble,
    "instance_groups": InstanceGroup,
    "warmups": Warmup,
    "agents": Agent,
    "metrics": MetricControl,
}
"""Groups of the configuration, and the setting that says each, or each of its entries."""

PAIRS = ("cc_model_filenames", "metric_tags", "parameters")
ARGUMENTS = {"warmups": "warmup"}
"""Groups whose argument has another name."""


def typed(config: ModelConfig) -> dict[str, Any]:
    """Give the arguments of `model_files` that say a configuration, without its name and files."""
    arguments: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    content = pbtxt.to_dict(config)
    defaults = {one.name: one.default for one in fields(config)}
    by_name = {binding.attribute: binding.name for binding in bindings(ModelConfig)}
    for attribute, default in defaults.items():
        value = getattr(config, attribute)
        if attribute in ("name", "extra", "max_batch_size") or value == default:
            continue
        try:
            arguments |= _argument(attribute, value, config)
        except (ValidationError, ValueError):
            extra[by_name[attribute]] = content[by_name[attribute]]
    if "batching" not in arguments and config.max_batch_size:
        arguments = {"max_batch_size": config.max_batch_size, **arguments}
    return {**arguments, "extra": extra} if extra else arguments


def _argument(attribute: str, value: Any, config: ModelConfig) -> dict[str, Any]:
    """Give the argument that says one group.

    Raises:
        ValueError: none does.
    """
    if attribute in ("inputs", "outputs"):
        return {attribute: _tensors(value)}
    if attribute == "dynamic_batching":
        batching = Batching.lift(value, max_batch_size=config.max_batch_size)
        return {"batching": _exact(batching, value)}
    if attribute == "instance_groups":
        return _instances(value)
    if attribute in PAIRS:
        return {attribute: dict(value)}
    if value == ():
        raise ValueError("an empty group")
    return {ARGUMENTS.get(attribute, attribute): _settings(SETTINGS.get(attribute), value)}


def _settings(setting: type[Setting] | None, value: Any) -> Any:
    """Give the setting that says a record, or those of several; what has no setting stays as it is."""
    if setting is None:
        return value
    if isinstance(value, tuple):
        return tuple(_exact(setting.lift(one), one) for one in value)
    return _exact(setting.lift(value), value)


def _exact(setting: Setting, record: Any) -> Setting:
    if setting.lower() != record:
        raise ValueError("the setting says something else")
    return setting


def _tensors(tensors: Iterable[TensorConfig]) -> dict[str, Tensor]:
    found = {tensor.name: Tensor.lift(tensor) for tensor in tensors}
    if len(found) != len(list(tensors)):
        raise ValueError("two tensors of one name")
    return found


def _instances(groups: tuple[Any, ...]) -> dict[str, Any]:
    """Give `instances=` where that says the groups, which is shorter."""
    counts = {group.kind: group for group in groups}
    cpu, gpu = counts.get("KIND_CPU"), counts.get("KIND_GPU")
    if cpu or gpu:
        short = Instances(cpu=cpu.count if cpu else 0, gpu=gpu.count if gpu else 0, gpus=gpu.gpus if gpu else ())
        if tuple(group.lower() for group in short.groups()) == groups:
            return {"instances": short}
    return {"instance_groups": tuple(_exact(InstanceGroup.lift(group), group) for group in groups)}
