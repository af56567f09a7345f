"""One tensor of a configuration held against the graph's: its type and its dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tritonforge.check.finding import Found, error
from tritonforge.dtypes import DTYPES

if TYPE_CHECKING:
    from tritonforge.define.onnx_graph import OnnxTensor

__all__ = ["compare_dims", "compare_type"]


def compare_type(path: str, subject: str, found: str, node: OnnxTensor) -> Iterator[Found]:
    """Compare a type as config.pbtxt spells it: TYPE_FP32."""
    datatype = DTYPES[node.datatype].config
    if found != datatype:
        message = f"{subject} is {found} here, and {datatype} in the graph"
        yield error("TF686", path, message, f"data_type: {datatype}")


def compare_dims(
    path: str, subject: str, dims: Sequence[int], node: OnnxTensor, *, batched: bool, hint: str = ""
) -> Iterator[Found]:
    """Compare dimensions without the batch; the graph may leave its rank unsaid, and have a scalar for `[1]`."""
    here = [-1, *dims] if batched else [*dims]
    if node.dims is None or (not node.dims and here == [1]):
        return
    wanted = [dim if isinstance(dim, int) else -1 for dim in node.dims]
    if not _equal(wanted, here):
        where = "here with the batch" if batched else "here"
        message = f"{subject} is {here} {where}, and {wanted} in the graph"
        yield error("TF686", path, message, hint or f"dims: {wanted[batched:] or [1]}")


def _equal(left: Sequence[int], right: Sequence[int]) -> bool:
    return len(left) == len(right) and all(-1 in pair or len(set(pair)) == 1 for pair in zip(left, right, strict=True))
