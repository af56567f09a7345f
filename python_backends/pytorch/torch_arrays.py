"""Between NumPy arrays and torch tensors, BF16 and strings among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["is_text", "to_numpy", "to_torch"]


def to_torch(array: NDArray[Any] | None, device: torch.device | None) -> Any:
    """Give a tensor on a device, a list of `str` for strings, or None for an optional input that isn't there.

    Without a device the tensor stays on the CPU.
    """
    if array is None:
        return None
    if array.dtype == object:
        return array.ravel().tolist()  # TorchScript has lists of strings, and no arrays of them
    if array.dtype.name == "bfloat16":
        tensor = torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    else:
        tensor = torch.from_numpy(array)
    return tensor if device is None else tensor.to(device)


def to_numpy(value: Any) -> Any:
    """Give an array for a tensor or a list of strings; anything else as it is, for the runtime to refuse."""
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
