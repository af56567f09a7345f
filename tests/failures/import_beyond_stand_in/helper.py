import numpy as np

from tritonforge.testing import load_model

try:
    from tritonforge.client import Client
except ImportError:
    Client = None


def double(array: np.ndarray) -> np.ndarray:
    return array * 2


def load(folder: str) -> object:
    return load_model(folder)
