import numpy as np
from jaxtyping import Float32

from tritonforge import torchscript


FOUR = Float32[np.ndarray, "batch 4"]

named = torchscript("named.pt", inputs={"x": FOUR}, outputs={"double": FOUR})
pair = torchscript("pair.pt", inputs={"left": FOUR, "b__1": FOUR}, outputs={"sum": FOUR})
wrong = torchscript("pair.pt", inputs={"left": FOUR, "b": FOUR}, outputs={"sum": FOUR})
