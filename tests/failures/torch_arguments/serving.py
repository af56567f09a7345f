from typing import Any

import numpy as np
import torch

from tritonforge import torch_module


def make() -> Any:
    raise OSError("no weights")


X = np.zeros((2, 6), np.float32)
number = torch_module(5, example=X)
failing = torch_module(make, example=X)
words = torch_module(torch.nn.Linear(6, 2), example="x")
rows = torch_module(torch.nn.Linear(6, 2), example=[[1.0, 2.0]])
