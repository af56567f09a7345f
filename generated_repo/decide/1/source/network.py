"""The convolutional network that train.py trains and digits.py serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn


class Network(nn.Module):
    """Two convolutions and a linear layer, 10,000 weights: an 8 by 8 image to the logits of ten digits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, 10),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Give logits of shape [batch, 10] for images of shape [batch, 1, 8, 8]."""
        logits: torch.Tensor = self.layers(image)
        return logits

    def save(self, path: Path) -> None:
        """Write the weights as an .npz file: the same weights give the same bytes."""
        np.savez(path, **{name: tensor.numpy() for name, tensor in self.state_dict().items()})

    @classmethod
    def load(cls, path: Path) -> Network:
        """Build the network with the weights of an .npz file, ready to serve."""
        network = cls()
        with np.load(path) as weights:
            network.load_state_dict({name: torch.from_numpy(weights[name]) for name in weights.files})
        return network.eval()
