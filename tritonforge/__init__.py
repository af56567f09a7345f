"""tritonforge: typed Python model definitions, compiled into an NVIDIA Triton model repository.

Everything here is imported when it is first used, so that `import tritonforge` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonforge.define import (
        Batching,
        Bytes,
        Instances,
        String,
        TritonError,
        asset,
        model,
        onnx,
        pipeline,
        sklearn,
        torch_module,
        torchscript,
    )

__all__ = [
    "Batching",
    "Bytes",
    "Instances",
    "String",
    "TritonError",
    "__version__",
    "asset",
    "model",
    "onnx",
    "pipeline",
    "sklearn",
    "torch_module",
    "torchscript",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tritonforge' has no attribute '{name}'")
    import tritonforge.define

    return getattr(tritonforge.define, name)


def __dir__() -> list[str]:
    return __all__
