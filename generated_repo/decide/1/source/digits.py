"""Read handwritten digits: preprocessing shared with training, a small convolutional network, and its verdict."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from tritonforge import Batching, asset, model, pipeline, torch_module

if TYPE_CHECKING:
    from network import Network

BATCHING = Batching(max_batch_size=64)


@model(batching=BATCHING)
def prepare(image: UInt8[np.ndarray, "batch 8 8"]) -> Float32[np.ndarray, "batch 1 8 8"]:
    """Bring the 17 shades of grey to 0…1 and add the channel; train.py trains on what this gives."""
    return (image[:, np.newaxis] / np.float32(16)).astype(np.float32)


def load_network() -> "Network":
    """Build the network from its trained weights; torch is imported here only, so serving `prepare` needs none."""
    from network import Network

    return Network.load(asset("weights.npz"))


network = torch_module(load_network, example=np.zeros((2, 1, 8, 8), np.float32), outputs=("logits",), batching=BATCHING)


class Digit(NamedTuple):
    """The digit that is likeliest, and the probability of each from 0 to 9."""

    digit: Int64[np.ndarray, "batch"]
    probability: Float32[np.ndarray, "batch 10"]


@model(batching=BATCHING)
def decide(logits: Float32[np.ndarray, "batch 10"]) -> Digit:
    """Turn the network's logits into probabilities, and take the likeliest."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Digit(logits.argmax(axis=1), odds / odds.sum(axis=1, keepdims=True))


@pipeline
def digits(image: UInt8[np.ndarray, "batch 8 8"]) -> Digit:
    """Read images of 8 by 8 pixels, each from 0 (paper) to 16 (ink)."""
    digit, probability = decide(network(prepare(image)))
    return Digit(digit, probability)
