import numpy as np
from jaxtyping import Float32

from tritonforge import model


import torch_stand_in as torch
from jaxtyping import Complex64, Float


@model
def everything(
    any_float: Float[np.ndarray, "batch 20"],
    complex_number: Complex64[np.ndarray, "batch 20"],
    any_rank: Float32[np.ndarray, "batch *rest"],
    sum_of_sizes: Float32[np.ndarray, "batch n+1"],
    broadcast: Float32[np.ndarray, "batch #n"],
    late_batch: Float32[np.ndarray, "n batch"],
    scalar: Float32[np.ndarray, ""],
    tensor: Float32[torch.Tensor, "batch 20"],
    number: float,
    large: Float32[np.ndarray, "batch 9223372036854775808"],
    larger: Float32[np.ndarray, "batch n=11111111111111111111111111111111111111111111111111"],
) -> Float32[np.ndarray, "batch 0"]:
    return any_float
