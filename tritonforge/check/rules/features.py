"""Response cache, custom metrics, and other features that exclude each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tritonforge.check.finding import Found, error
from tritonforge.check.model import Model

__all__ = ["check_metric_tags", "check_metrics", "check_response_cache"]

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def check_response_cache(model: Model) -> Iterator[Found]:
    """Check that what is cached can be: neither sequences nor streams."""
    if not model.config.response_cache.enable:
        return
    if model.config.HasField("sequence_batching"):
        message = "the response cache can't hold the answers of sequences"
        yield error("TF651", "response_cache", message, "take response_cache out, or sequence_batching")
    if model.config.model_transaction_policy.decoupled:
        message = "the response cache can't hold the answers of a decoupled model"
        yield error("TF651", "response_cache", message, "take response_cache out, or decoupled")


def check_metrics(model: Model) -> Iterator[Found]:
    """Check that each control of a metric says which, and what."""
    for number, control in enumerate(model.config.model_metrics.metric_control):
        path = f"model_metrics.metric_control[{number}]"
        if not control.HasField("metric_identifier") or not control.metric_identifier.family:
            yield error("TF652", f"{path}.metric_identifier", "it doesn't say which metric", 'family: "…"')
        if not control.HasField("histogram_options"):
            yield error("TF652", path, "it has no histogram_options", "histogram_options { buckets: [ … ] }")
        elif not control.histogram_options.buckets:
            yield error("TF652", f"{path}.histogram_options", "it has no buckets", "buckets: [ … ]")


def check_metric_tags(model: Model) -> Iterator[Found]:
    """Check that tags are names that Prometheus takes for labels: Triton 24.10 ends on others."""
    for tag in sorted(model.config.metric_tags):
        if not _LABEL.fullmatch(tag):
            message = f'"{tag}" is no name of a label, and Triton 24.10 ends on it'
            yield error(
                "TF653", f'metric_tags["{tag}"]', message, "letters, digits and _, not beginning with a digit or __"
            )
