"""Arithmetic that training and serving share."""

import numpy as np

FACTOR = np.float32(0.5)
