"""The responses of a stream, read as they come."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TypeVar

from tritonforge.client.call import Definition, give_back
from tritonforge.client.errors import Target
from tritonforge.client.message import Response
from tritonforge.client.metadata import ServedModel
from tritonforge.client.payload import read_result
from tritonforge.client.result import Result

__all__ = ["read_results", "typed_results"]

R = TypeVar("R")


def read_results(
    responses: Generator[Response, None, None], served: ServedModel, outputs: Sequence[str], target: Target
) -> Generator[Result, None, None]:
    """Decode each response. Closing this closes the stream."""
    with closing(responses):
        for response in responses:
            yield read_result(response, served, outputs, target)


def typed_results(
    results: Generator[Result, None, None], definition: Definition[R], target: Target
) -> Generator[R, None, None]:
    """Give each result as the definition yields it. Closing this closes the stream."""
    with closing(results):
        for result in results:
            yield give_back(definition, result, target)
