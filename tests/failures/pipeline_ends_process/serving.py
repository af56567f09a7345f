import argparse
import sys

import numpy as np
from jaxtyping import Float32
from tritonforge import model, pipeline

Rows = Float32[np.ndarray, "batch 4"]


@model
def scale(x: Rows) -> Rows:
    return x * 2


@pipeline
def traced(x: Rows) -> Rows:
    sys.exit(0)
    return scale(x)


@pipeline(lowering="bls")
def branching(x: Rows) -> Rows:
    argparse.ArgumentParser(usage=argparse.SUPPRESS).exit()
    return scale(x)


@pipeline
async def waiting(x: Rows) -> Rows:
    sys.exit("no options")
