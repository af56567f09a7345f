"""Between arrays and what TorchScript takes and gives, as the server's backend has it: BF16 and strings among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tritonforge.define.arrays import Array

__all__ = ["is_text", "to_numpy", "to_torch"]


def to_torch(array: Array) -> Any:
    """Give a tensor; for strings a flat list of `str`, as TorchScript has no arrays of them.

    Raises:
        UnicodeDecodeError: a string isn't UTF-8.
    """
    import torch

    if array.dtype == object:
        return [item if isinstance(item, str) else item.decode() for item in array.ravel().tolist()]
    array = np.ascontiguousarray(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(value: Any) -> Any:
    """Give an array for a tensor or a list of strings; anything else as it is, for the check of results to refuse."""
    import torch

    if is_text(value):
        return np.array(value, dtype=object)
    if not isinstance(value, torch.Tensor):
        return value
    value = value.detach().cpu().contiguous()
    if value.dtype is torch.bfloat16:
        import ml_dtypes

        return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return value.numpy()


def is_text(value: Any) -> bool:
    """Say whether a value is a list of strings."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
