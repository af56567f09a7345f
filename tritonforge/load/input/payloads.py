"""All requests that a load sends: those of each model, in its sequences or in shared memory, mixed by their weights."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from tritonforge.load.address import Address
from tritonforge.load.errors import InvalidLoad, LoadFailed
from tritonforge.load.input.data import Sample, check_shapes, check_strings, make_samples
from tritonforge.load.input.files import sequence_lengths
from tritonforge.load.input.generate import check_generate, prepare_generate
from tritonforge.load.input.plain_http import prepare_plain
from tritonforge.load.input.prepare import Wanted, prepare, prepare_sequence
from tritonforge.load.input.shared_memory import Regions, output_sizes
from tritonforge.load.input.signature import ServedModel
from tritonforge.load.settings import ModelLoad, Settings
from tritonforge.load.workers.job import Payload

__all__ = ["make_payloads"]

_MIX = 1024


def make_payloads(
    settings: Settings,
    address: Address,
    models: Mapping[str, ServedModel],
    known: Mapping[str, ServedModel],
    regions: Regions,
    note: Callable[[str], None] = lambda words: None,
) -> tuple[Payload, ...]:
    """Prepare the requests, which are sent by turns.

    `models` are those of the load, `known` the steps of ensembles, too. Raise InvalidLoad where what is asked for
    can't be sent to them, LoadFailed where a model has no input. `note` is told what of a file isn't sent.
    """
    check_strings(models, settings.models)
    check_shapes(models, [load for load in settings.models if load.request is None])
    if known and all(served.sequences is False for served in known.values()):
        asked = [load.name for load in settings.models if load.sequence_length]
        if asked:
            raise InvalidLoad(f"{', '.join(asked)} takes no sequences: leave sequence_length out")
    preparation = _Preparation(settings, address, models, regions, note)
    by_model = [preparation.of(load) for load in settings.models]
    if len(by_model) == 1:
        return tuple(by_model[0])
    names = [f"{load.name}:{load.version}" if load.version else load.name for load in settings.models]
    named = [[replace(payload, model=name) for payload in own] for name, own in zip(names, by_model, strict=True)]
    return _mix(named, settings)


def _mix(by_model: Sequence[Sequence[Payload]], settings: Settings) -> tuple[Payload, ...]:
    """Draw models by their weights; each has its requests by turns."""
    draw = random.Random(settings.seed)
    order = draw.choices(range(len(by_model)), [load.weight for load in settings.models], k=_MIX)
    turns = [0] * len(by_model)
    mixed = []
    for model in order:
        mixed.append(by_model[model][turns[model] % len(by_model[model])])
        turns[model] += 1
    return tuple(mixed)


@dataclass(frozen=True, slots=True)
class _Preparation:
    """What the requests of all models of a load have in common."""

    settings: Settings
    address: Address
    models: Mapping[str, ServedModel]
    regions: Regions
    note: Callable[[str], None]

    def of(self, load: ModelLoad) -> list[Payload]:
        """Prepare the requests of one model."""
        if load.request is not None:
            return [prepare_plain(self.address, load.request, self.settings.headers)]
        served = self.models[load.name]
        if not served.inputs:
            raise LoadFailed(f"{load.name}: the server's metadata name no input: there is nothing to send")
        stream = self._streams(served)
        if load.data.check and stream:
            raise InvalidLoad(f"{load.name}: answers of streams can't be checked; leave check out")
        lengths = sequence_lengths(load.data.source) if served.sequences and not load.sequence_length else []
        if served.sequences and not load.sequence_length and not lengths:
            raise InvalidLoad(f"{load.name} takes sequences: set sequence_length, the number of requests in each")
        if lengths and load.data.check:
            raise InvalidLoad(f"{load.data.source}: answers to its sequences can't be checked; leave check out")
        wanted = Wanted(
            self.address,
            load.name,
            load.version,
            self.settings.body,
            tuple(self.settings.headers.items()),
            load.sequence_length,
            stream,
            load.data.tolerance,
            () if stream or self.address.grpc else tuple(tensor.name for tensor in served.outputs),
            self.settings.parameters,
        )
        samples = make_samples(served, load, self.settings.seed, note=self.note)
        if lengths:
            return self._spelled(wanted, load, samples, lengths)
        if stream and not self.address.grpc:
            check_generate(served, load, self.settings)
            return [prepare_generate(wanted, sample.inputs) for sample in samples]
        if self.settings.shared_memory == "none":
            return [prepare(wanted, sample.inputs, sample.expected) for sample in samples]
        return self._in_shared_memory(wanted, samples, served, load.batch_size)

    def _spelled(
        self, wanted: Wanted, load: ModelLoad, samples: Sequence[Sample], lengths: Sequence[int]
    ) -> list[Payload]:
        """Write the sequences of a file, which has a list of requests for each."""
        if load.batch_size != 1 or self.settings.shared_memory != "none":
            raise InvalidLoad(
                f"{load.data.source}: its lists are sequences, which are sent as they are: without batch_size and "
                "shared_memory; or set sequence_length, for sequences of one row each"
            )
        ends = list(accumulate(lengths))
        rows = [samples[end - length : end] for end, length in zip(ends, lengths, strict=True)]
        return [prepare_sequence(wanted, [sample.inputs for sample in each]) for each in rows]

    def _in_shared_memory(
        self, wanted: Wanted, samples: Sequence[Sample], served: ServedModel, batch_size: int
    ) -> list[Payload]:
        """Write requests whose inputs lie in regions of their own; the outputs of all go to one, as nobody reads it."""
        read = wanted.stream or any(sample.expected is not None for sample in samples)
        sizes = {} if read else output_sizes(served, batch_size, self.settings.output_bytes)
        regions = self.regions.reserve(sizes) if sizes else {}
        outputs = {tensor.name: regions.get(tensor.name) for tensor in served.outputs} if regions else None
        return [
            prepare(wanted, sample.inputs, sample.expected, self.regions.place(sample.inputs), outputs)
            for sample in samples
        ]

    def _streams(self, served: ServedModel) -> bool:
        """Tell whether a model's answers are streams: over gRPC, those of all models are where those of one are."""
        among = self.models.values() if self.address.grpc else (served,)
        return any(each.decoupled for each in among)
