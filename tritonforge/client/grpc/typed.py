"""Tensors in the typed contents of the Open Inference Protocol, as other servers than Triton answer.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tritonforge.client.message import Buffer
from tritonforge.client.tensors.wire import encode
from tritonforge.dtypes import DTYPES

__all__ = ["typed_data"]

_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def typed_data(output: Any) -> Buffer:
    """Give the bytes of an InferOutputTensor that has its values in itself.

    Raise ValueError for a datatype that has no such values, and for a number that it can't hold.
    """
    field = _FIELDS.get(output.datatype)
    if field is None:
        raise ValueError(f"output {output.name!r} has no raw contents, and {output.datatype} has no others")
    values = list(getattr(output.contents, field))
    dtype = DTYPES[output.datatype].numpy
    if values and dtype.kind in "iu":
        bounds = np.iinfo(dtype.name)
        if min(values) < bounds.min or max(values) > bounds.max:
            raise ValueError(f"output {output.name!r} has a number that {output.datatype} can't hold")
    return encode(np.array(values, dtype), output.datatype)
