"""Train the network that digits.py serves: writes weights.npz and holdout.npz beside this file, in a few seconds.

The data are scikit-learn's copy of 1,797 real handwritten digits, a quarter of them held out. The preprocessing is not
written twice: `prepare` is imported from the definition that Triton serves.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from digits import prepare
from network import Network
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).resolve().parent
SEED = 20
EPOCHS = 30
BATCH = 64


def main() -> None:
    """Fit on three quarters of the images, keep the rest, and print the accuracy on both."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # sums in one order: the same weights on every run
    torch.use_deterministic_algorithms(True)
    data = load_digits()
    image, held_image, digit, held_digit = train_test_split(
        data.images.astype(np.uint8),
        data.target.astype(np.int64),
        test_size=0.25,
        random_state=SEED,
        stratify=data.target,
    )
    network = fit(Network(), image, digit)
    network.save(HERE / "weights.npz")
    np.savez_compressed(HERE / "holdout.npz", image=held_image, digit=held_digit)
    for name, images, known in (("training", image, digit), ("held-out", held_image, held_digit)):
        print(f"{name} accuracy: {accuracy(network, images, known):.4f} on {len(images)} images")


def fit(network: Network, image: NDArray[np.uint8], digit: NDArray[np.int64]) -> Network:
    """Minimise the cross-entropy with Adam, a fixed number of epochs, shuffled by the seed."""
    images, digits = torch.from_numpy(prepare(image)), torch.from_numpy(digit)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), digits[rows]).backward()
            optimizer.step()
    return network.eval()


def accuracy(network: Network, image: NDArray[np.uint8], digit: NDArray[np.int64]) -> float:
    """Give the fraction of images whose likeliest digit is right."""
    with torch.no_grad():
        logits = network(torch.from_numpy(prepare(image))).numpy()
    return float(np.mean(logits.argmax(axis=1) == digit))


if __name__ == "__main__":
    main()
