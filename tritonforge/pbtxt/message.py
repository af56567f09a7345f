"""`ir.ModelConfig` ⇄ Triton's `ModelConfig` protobuf message."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import model_config_pb2 as schema

from tritonforge.dtypes import from_config
from tritonforge.ir import DynamicBatching, EnsembleStep, InstanceGroup, ModelConfig, TensorConfig

__all__ = ["from_message", "to_message"]


def to_message(config: ModelConfig) -> Any:
    """Make the protobuf message of a configuration."""
    message = schema.ModelConfig(
        name=config.name, backend=config.backend, platform=config.platform, max_batch_size=config.max_batch_size
    )
    for tensor in config.inputs:
        _write_tensor(message.input.add(), tensor)
    for tensor in config.outputs:
        _write_tensor(message.output.add(), tensor)
    for group in config.instance_groups:
        kind = schema.ModelInstanceGroup.Kind.Value(group.kind)
        message.instance_group.add(kind=kind, count=group.count, gpus=group.gpus)
    if config.dynamic_batching is not None:
        message.dynamic_batching.SetInParent()
        message.dynamic_batching.preferred_batch_size.extend(config.dynamic_batching.preferred_batch_sizes)
        message.dynamic_batching.max_queue_delay_microseconds = config.dynamic_batching.max_queue_delay_us
    for step in config.ensemble_steps:
        message.ensemble_scheduling.step.add(
            model_name=step.model_name,
            model_version=step.model_version,
            input_map=dict(step.input_map),
            output_map=dict(step.output_map),
        )
    for key, value in config.parameters:
        message.parameters[key].string_value = value
    if config.decoupled:
        message.model_transaction_policy.decoupled = True
    return message


def from_message(message: Any) -> ModelConfig:
    """Read a configuration from a protobuf message."""
    return ModelConfig(
        name=message.name,
        backend=message.backend,
        platform=message.platform,
        max_batch_size=message.max_batch_size,
        inputs=tuple(_read_tensor(tensor, optional=tensor.optional) for tensor in message.input),
        outputs=tuple(_read_tensor(tensor, optional=False) for tensor in message.output),
        instance_groups=tuple(_read_group(group) for group in message.instance_group),
        dynamic_batching=_read_batching(message.dynamic_batching) if message.HasField("dynamic_batching") else None,
        ensemble_steps=tuple(_read_step(step) for step in message.ensemble_scheduling.step),
        parameters=tuple(sorted((key, value.string_value) for key, value in message.parameters.items())),
        decoupled=message.model_transaction_policy.decoupled,
    )


def _write_tensor(message: Any, tensor: TensorConfig) -> None:
    message.name = tensor.name
    message.data_type = schema.DataType.Value(tensor.data_type)
    message.dims.extend(tensor.dims)
    if tensor.reshape is not None:
        message.reshape.SetInParent()
        message.reshape.shape.extend(tensor.reshape)
    if tensor.optional:
        message.optional = True


def _read_tensor(message: Any, *, optional: bool) -> TensorConfig:
    data_type = schema.DataType.Name(message.data_type)
    assert data_type == "TYPE_INVALID" or from_config(data_type) is not None
    reshape = tuple(message.reshape.shape) if message.HasField("reshape") else None
    return TensorConfig(message.name, data_type, tuple(message.dims), reshape, optional)


def _read_group(message: Any) -> InstanceGroup:
    return InstanceGroup(schema.ModelInstanceGroup.Kind.Name(message.kind), message.count, tuple(message.gpus))


def _read_batching(message: Any) -> DynamicBatching:
    return DynamicBatching(tuple(message.preferred_batch_size), message.max_queue_delay_microseconds)


def _read_step(message: Any) -> EnsembleStep:
    return EnsembleStep(
        message.model_name,
        tuple(sorted(message.input_map.items())),
        tuple(sorted(message.output_map.items())),
        message.model_version,
    )
