"""Configurations for Triton and the checker to judge, good and bad, made from a seed.

Each begins as one that is right. Most are then changed: a field anywhere in the schema gets another value, goes away or
comes twice, or the text is damaged. Numbers are small, so that no change asks the server for gigabytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from tritonclient.grpc import model_config_pb2 as schema

__all__ = ["BACKENDS", "MEMBERS", "generate"]

BACKENDS = ("null", "onnxruntime", "pytorch", "tensorrt")
"""The names that the do-nothing backend goes by; files are looked for by none of them under the name `null`."""

_TYPES = ("TYPE_FP32", "TYPE_INT32", "TYPE_INT64", "TYPE_STRING", "TYPE_BOOL", "TYPE_FP16")
_NUMBERS = (-2, -1, 0, 1, 1, 2, 3, 4, 8, 9, 16)
_STRINGS = ("", "x", "y", "in_0", "out_0", "null", "ensemble", "m_plain", "7", "labels.txt", "héllo")
_UNTOUCHED = {
    "ModelConfig.model_metrics",  # newer than the server
    "ModelEnsembling.max_inflight_requests",
    "ModelConfig.model_repository_agents",  # libraries that the machine has or hasn't
    "ModelConfig.runtime",
    "ModelEnsembling.Step.model_namespace",
}
_GPU = "KIND_GPU"


def _tensor(name: str, dims: str, datatype: str = "TYPE_FP32", more: str = "") -> str:
    return f'{{ name: "{name}" data_type: {datatype} dims: {dims} {more} }}'


def _member(batch: int, dims_in: str, dims_out: str, datatype: str = "TYPE_FP32", more: str = "") -> str:
    return (
        f'backend: "null" max_batch_size: {batch} input {_tensor("a", dims_in, datatype)} '
        f"output {_tensor('b', dims_out, datatype)} {more}"
    )


MEMBERS = {
    "m_plain": _member(8, "[ 4 ]", "[ 4 ]"),
    "m_grow": _member(4, "[ 4 ]", "[ 8 ]"),
    "m_any": _member(16, "[ -1 ]", "[ -1 ]"),
    "m_single": _member(0, "[ -1, 4 ]", "[ -1, 4 ]"),
    "m_int": _member(8, "[ 4 ]", "[ 4 ]", "TYPE_INT64"),
    "m_stream": _member(8, "[ 4 ]", "[ 4 ]", more="model_transaction_policy { decoupled: true }"),
    "m_two": (
        f'backend: "null" max_batch_size: 8 input {_tensor("a", "[ 4 ]")} input {_tensor("c", "[ 4 ]")} '
        f"output {_tensor('b', '[ 4 ]')} output {_tensor('d', '[ 4 ]')}"
    ),
    "m_optional": (
        f'backend: "null" max_batch_size: 8 input {_tensor("a", "[ 4 ]")} '
        f"input {_tensor('c', '[ 4 ]', more='optional: true')} output {_tensor('b', '[ 4 ]')}"
    ),
    "m_broken": _member(-1, "[ 4 ]", "[ 4 ]"),
}
"""Models that generated ensembles are made of."""


def generate(seed: int) -> str:
    """Make the text of one configuration."""
    rng = random.Random(seed)
    message = _ensemble(rng) if rng.random() < 0.35 else _model(rng)
    for _ in range(rng.choice((0, 1, 1, 1, 2))):
        _change(message, rng)
    _leave_gpus(message)
    text = text_format.MessageToString(message, as_utf8=True)
    return _damage(text, rng) if rng.random() < 0.08 else text


def _model(rng: random.Random) -> Any:
    message = schema.ModelConfig(backend=rng.choice(BACKENDS[:1] * 5 + BACKENDS), max_batch_size=rng.choice((0, 1, 8)))
    for kind in ("input", "output"):
        for number in range(rng.randint(1, 3)):
            tensor = getattr(message, kind).add(name=f"{kind.removesuffix('put')}_{number}")
            tensor.data_type = schema.DataType.Value(rng.choice(_TYPES))
            tensor.dims.extend(rng.choice(([1], [4], [-1], [2, 3], [-1, 4], [3, 8, 8])))
            if rng.random() < 0.2:
                shape = {(1,): [] if message.max_batch_size else [1, 1], (2, 3): [6], (-1, 4): [-1, 2, 2]}
                tensor.reshape.shape.extend(shape.get(tuple(tensor.dims), list(tensor.dims)))
    for feature in rng.sample(_FEATURES, rng.randint(0, 4)):
        feature(message, rng)
    return message


def _dynamic(message: Any, rng: random.Random) -> None:
    if message.HasField("sequence_batching"):
        return
    batcher = message.dynamic_batching
    batcher.SetInParent()
    if message.max_batch_size and rng.random() < 0.6:
        batcher.preferred_batch_size.append(rng.randint(1, message.max_batch_size))
    if rng.random() < 0.5:
        batcher.priority_levels = rng.randint(1, 4)
        batcher.default_priority_level = rng.randint(1, batcher.priority_levels)
        batcher.priority_queue_policy[rng.randint(1, batcher.priority_levels)].max_queue_size = 4
    elif rng.random() < 0.5:
        batcher.preserve_ordering = True
        batcher.default_queue_policy.default_timeout_microseconds = 100
    batcher.max_queue_delay_microseconds = rng.choice((0, 100))


def _sequence(message: Any, rng: random.Random) -> None:
    if message.HasField("dynamic_batching"):
        return
    batcher = message.sequence_batching
    batcher.SetInParent()
    kinds = ("CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_CORRID")
    for kind in rng.sample(kinds, rng.randint(0, 4)):
        control = batcher.control_input.add(name=kind[-5:]).control.add()
        control.kind = batcher.Control.Kind.Value(kind)
        if kind == kinds[3]:
            control.data_type = schema.DataType.Value(rng.choice(("TYPE_UINT64", "TYPE_STRING", "TYPE_INT32")))
        else:
            values = getattr(control, rng.choice(("int32_false_true", "fp32_false_true", "bool_false_true")))
            values.extend((0, 1))
    if rng.random() < 0.5:
        batcher.oldest.max_candidate_sequences = 4
        if message.max_batch_size:
            batcher.oldest.preferred_batch_size.append(1)
    else:
        batcher.direct.minimum_slot_utilization = rng.choice((0.0, 0.5, 1.0))
    if rng.random() < 0.5:
        state = batcher.state.add(input_name="si", output_name="so", data_type=schema.TYPE_FP32, dims=[2, -1])
        if rng.random() < 0.6:
            state.initial_state.add(name="zero", data_type=schema.TYPE_FP32, dims=[2, 3], zero_data=True)


def _instances(message: Any, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 2)):
        group = message.instance_group.add(count=rng.randint(0, 2))
        group.kind = group.Kind.Value(rng.choice(("KIND_CPU", "KIND_MODEL", "KIND_AUTO")))
        if rng.random() < 0.3:
            group.rate_limiter.priority = 2
            group.rate_limiter.resources.add(name="r", count=1)


def _warmup(message: Any, rng: random.Random) -> None:
    sample = message.model_warmup.add(name="sample", batch_size=rng.randint(0, 2), count=rng.randint(0, 2))
    for tensor in message.input:
        given = sample.inputs[tensor.name]
        given.data_type = tensor.data_type
        given.dims.extend(3 if dim == -1 else dim for dim in tensor.dims)
        if rng.random() < 0.5:
            given.zero_data = True
        else:
            given.random_data = True


def _versions(message: Any, rng: random.Random) -> None:
    rng.choice((message.version_policy.all.SetInParent, lambda: message.version_policy.specific.versions.append(1)))()


def _batch_tensors(message: Any, rng: random.Random) -> None:
    kind = schema.BatchInput.Kind.Value(rng.choice(list(schema.BatchInput.Kind.keys())))
    source = message.input[0].name
    message.batch_input.add(kind=kind, target_name=["sizes"], data_type=schema.TYPE_FP32, source_input=[source])
    if rng.random() < 0.5:
        message.batch_output.add(target_name=[message.output[0].name], source_input=[source])


def _others(message: Any, rng: random.Random) -> None:
    if rng.random() < 0.5 and not message.HasField("sequence_batching"):
        message.response_cache.enable = True
    elif rng.random() < 0.5:
        message.model_transaction_policy.decoupled = True
    message.optimization.priority = 1
    message.parameters["key"].string_value = "value"


_FEATURES: tuple[Callable[[Any, random.Random], None], ...] = (
    _dynamic,
    _sequence,
    _instances,
    _warmup,
    _versions,
    _batch_tensors,
    _others,
)


def _ensemble(rng: random.Random) -> Any:
    message = schema.ModelConfig(platform="ensemble", max_batch_size=rng.choice((0, 1, 4, 8)))
    batched = message.max_batch_size > 0
    dims = [4] if batched else [-1, 4]
    message.input.add(name="x", data_type=schema.TYPE_FP32, dims=dims)
    last = "x"
    good = ("m_plain", "m_grow", "m_any", "m_single", "m_optional", "m_stream")
    steps = rng.randint(1, 4)
    for number in range(steps):
        member = rng.choice(good) if rng.random() < 0.85 else rng.choice(list(MEMBERS))
        step = message.ensemble_scheduling.step.add(model_name=member, model_version=-1)
        step.input_map["a"] = last
        last = "y" if number == steps - 1 else f"t_{number}"
        step.output_map["b"] = last
        if member == "m_two":
            step.input_map["c"] = "x"
            step.output_map["d"] = f"d_{number}"
    width = 8 if message.ensemble_scheduling.step[-1].model_name == "m_grow" else rng.choice((4, 4, -1))
    message.output.add(name="y", data_type=schema.TYPE_FP32, dims=[width] if batched else [-1, width])
    return message


def _change(message: Any, rng: random.Random) -> None:
    """Give one field, anywhere below the message, another value."""
    places = _places(message)
    target, field = rng.choice(places)
    if rng.random() < 0.25 and target.ListFields():
        target.ClearField(rng.choice(target.ListFields())[0].name)
    elif field.message_type is not None and field.message_type.GetOptions().map_entry:
        _change_map(target, field, rng)
    elif field.is_repeated:
        _change_list(target, field, rng)
    elif field.message_type is not None:
        getattr(target, field.name).SetInParent()
    else:
        setattr(target, field.name, _value(field, rng))


def _change_map(target: Any, field: FieldDescriptor, rng: random.Random) -> None:
    values, key_field = getattr(target, field.name), field.message_type.fields_by_name["key"]
    if values and rng.random() < 0.3:
        del values[rng.choice(sorted(values))]
        return
    key = rng.choice(sorted(values)) if values and rng.random() < 0.6 else _key(key_field, rng)
    value_field = field.message_type.fields_by_name["value"]
    if value_field.message_type is None:
        values[key] = rng.choice(("x", "y", "t_0", "t_1", "new")) if field.name.endswith("_map") else "value"
    else:
        values[key].SetInParent()


def _key(field: FieldDescriptor, rng: random.Random) -> Any:
    """Give a key of a map."""
    return rng.choice(("a", "b", "c", "x")) if field.cpp_type == FieldDescriptor.CPPTYPE_STRING else rng.randint(0, 5)


def _change_list(target: Any, field: FieldDescriptor, rng: random.Random) -> None:
    values = getattr(target, field.name)
    choice = rng.random()
    if values and choice < 0.3:
        del values[rng.randrange(len(values))]
    elif field.message_type is not None:
        values.add().CopyFrom(rng.choice(list(values))) if values and choice < 0.7 else values.add()
    elif values and choice < 0.7:
        values[rng.randrange(len(values))] = _value(field, rng)
    else:
        values.append(_value(field, rng))


def _places(message: Any) -> list[tuple[Any, FieldDescriptor]]:
    """List the fields of a message and of all that is in it."""
    found = []
    for field in message.DESCRIPTOR.fields:
        if field.full_name.removeprefix("inference.") in _UNTOUCHED or field.name in ("backend", "optimization"):
            continue
        found.append((message, field))
        if field.message_type is None:
            continue
        value = getattr(message, field.name)
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                found += [place for key in sorted(value) for place in _places(value[key])]
        elif field.is_repeated:
            found += [place for item in value for place in _places(item)]
        elif message.HasField(field.name):
            found += _places(value)
    return found


def _value(field: FieldDescriptor, rng: random.Random) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return rng.choice(_STRINGS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.7
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return rng.choice([*(value.number for value in field.enum_type.values), *([99] if rng.random() < 0.1 else [])])
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return rng.choice((-0.5, 0.0, 0.5, 1.0, 1.5))
    number = rng.choice(_NUMBERS)
    unsigned = field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
    return abs(number) if unsigned else number


def _leave_gpus(message: Any) -> None:
    """Keep off what depends on the machine's GPUs."""
    for group in message.instance_group:
        if group.Kind.Name(group.kind) == _GPU if group.kind in group.Kind.values() else False:
            group.kind = schema.ModelInstanceGroup.KIND_CPU
        if group.kind == schema.ModelInstanceGroup.KIND_AUTO:
            del group.gpus[:]


def _damage(text: str, rng: random.Random) -> str:
    """Damage the text: a character goes, a line comes twice, a name is misspelt."""
    lines = text.splitlines()
    at = rng.randrange(len(lines))
    choice = rng.randrange(4)
    if choice == 0:
        place = rng.randrange(len(text))
        return text[:place] + text[place + 1 :]
    if choice == 1:
        lines.insert(at, lines[at])
    elif choice == 2:
        del lines[at]
    else:
        lines[at] = lines[at].replace("e", "ee", 1)
    return "\n".join(lines) + "\n"
