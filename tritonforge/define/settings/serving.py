"""What a model is served as: its versions, agents and metrics; and the steps of a hand-written ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tritonforge import ir
from tritonforge.define.settings.base import Count, Setting

__all__ = ["Agent", "Ensemble", "EnsembleStep", "MetricControl", "VersionPolicy"]


class VersionPolicy(Setting):
    """Which versions of a model are served. Default: the newest."""

    record: ClassVar[type[Any]] = ir.VersionPolicy

    latest: int | None = Field(default=None, ge=1, lt=2**32)
    """The newest so many."""
    all: Literal[True] | None = None
    """All there are."""
    specific: tuple[int, ...] | None = None
    """These."""

    @model_validator(mode="after")
    def _agrees(self) -> VersionPolicy:
        if sum(given is not None for given in (self.latest, self.all, self.specific)) != 1:
            raise ValueError("one of latest, all and specific is needed")
        return self


class Agent(Setting):
    """A repository agent that handles the model's files before they are loaded: decryption, a checksum."""

    record: ClassVar[type[Any]] = ir.Agent

    name: str
    """Its name: `checksum`."""
    parameters: Mapping[str, str] = {}
    """Its parameters: `{"MD5:1/model.onnx": "d726…"}`."""


class MetricControl(Setting):
    """The buckets of one of the server's histograms, for this model. Since 24.11."""

    record: ClassVar[type[Any]] = ir.MetricControl

    family: str | None
    """The histogram: `nv_inference_first_response_histogram_ms`."""
    buckets: tuple[float, ...] | None
    """The upper bounds of its buckets, ascending."""


class EnsembleStep(Setting):
    """One step of an ensemble that is written by hand, or imported."""

    record: ClassVar[type[Any]] = ir.EnsembleStep

    model_name: str
    """The model that is called."""
    input_map: Mapping[str, str] = {}
    """The ensemble's tensor for each of the model's inputs."""
    output_map: Mapping[str, str] = {}
    """The ensemble's name for each of the model's outputs."""
    model_version: int = -1
    """Its version. Default -1: the newest."""
    model_namespace: str = ""
    """The repository that it is in, where the server has namespaces. Default: any. Since 23.03."""


class Ensemble(Setting):
    """Models chained by the server. `@pipeline` writes one by itself; this is for `model_files`."""

    record: ClassVar[type[Any]] = ir.Ensemble

    steps: tuple[EnsembleStep, ...] = ()
    """The steps; their order doesn't matter."""
    max_inflight_requests: Count = 0
    """How many results of a streaming step may wait for the next. Default 0: any number. Since 25.11."""
