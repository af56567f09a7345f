"""The end of a call: what its answer says of the model, which may have changed since it was asked about."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from tritonforge.client.catalog import Catalog
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import InferenceFailed, InvalidRequest, Target
from tritonforge.client.message import Response
from tritonforge.client.result import Result
from tritonforge.client.tensors.kinds import Known
from tritonforge.client.tensors.payload import read_result

__all__ = ["conclude", "read"]


async def conclude(
    answering: Awaitable[Response],
    known: Known,
    catalog: Catalog,
    target: Target,
    deadline: Deadline,
    outputs: Sequence[str] = (),
) -> Result:
    """Await the answer to a request that has passed the checks, and read it. Raise what the request failed with."""
    try:
        response = await answering
    except InvalidRequest:
        catalog.forget(target)  # it passed the checks: the model has changed, perhaps
        raise
    return await read(response, known, catalog, target, deadline, outputs)


async def read(
    response: Response,
    known: Known,
    catalog: Catalog,
    target: Target,
    deadline: Deadline,
    outputs: Sequence[str] = (),
) -> Result:
    """Read a response; one with other outputs than the model had, after asking anew what it has.

    The model may have been loaded anew since. Raise InferenceFailed where the outputs are others still.
    """
    try:
        return read_result(response, outputs or known.output_names, target, known.datatypes)
    except InferenceFailed:
        known = await catalog.fetch(target, deadline, sent=True)
        return read_result(response, outputs or known.output_names, target, known.datatypes)
