"""Streams inside ensembles: a step can't put results of different streams together."""

from __future__ import annotations

from collections.abc import Iterator

from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model

__all__ = ["check_cached", "check_streams", "is_stream"]

_STEPS = "ensemble_scheduling.step"


def is_stream(ensemble: Model, decoupled: set[str]) -> bool:
    """Tell whether an ensemble gives streams, as one of its models does."""
    return any(step.model_name in decoupled for step in ensemble.config.ensemble_scheduling.step)


def check_cached(ensemble: Model, decoupled: set[str]) -> Iterator[Found]:
    """Refuse the response cache of an ensemble that gives streams."""
    if ensemble.config.response_cache.enable and is_stream(ensemble, decoupled):
        message = "the response cache can't hold the answers of an ensemble with a decoupled model"
        yield error("TF651", "response_cache", message, "take response_cache out")


def check_streams(ensemble: Model, decoupled: set[str]) -> Iterator[Found]:
    """Follow each tensor from the inputs on, and see which stream it comes from."""
    config = ensemble.config
    if not is_stream(ensemble, decoupled):
        return
    streams = {tensor.name: "" for tensor in config.input}
    waiting = list(enumerate(config.ensemble_scheduling.step))
    while runs := [(number, step) for number, step in waiting if streams.keys() >= set(step.input_map.values())]:
        waiting = [each for each in waiting if each not in runs]
        for number, step in runs:
            sources = {streams[name] for name in step.input_map.values()}
            if len(sources) > 1:
                field, message = f"{_STEPS}[{number}].input_map", _mixed(step.model_name, sources)
                yield error("TF677", field, message, "put the results together in the decoupled model")
                return
            stream = f"{number}" if step.model_name in decoupled else sources.pop()
            streams.update(dict.fromkeys(step.output_map.values(), stream))
    outputs = {streams.get(tensor.name, "") for tensor in config.output}
    if len(outputs) > 1:
        message = "its outputs come from different streams, or some from none"
        yield error("TF677", "output", message, "give out results of one stream only")


def _mixed(model: str, sources: set[str]) -> str:
    what = "a stream and what isn't one" if "" in sources else "different streams"
    return f"{model} takes inputs from {what}: a decoupled model gives any number of results to a request"
