"""What a team writes around tritonforge for itself."""

from collections.abc import Callable
from typing import Any

from tritonforge import Instances, model


def on_gpu(*, count: int) -> Callable[[Any], Any]:
    """Make a function a model on so many instances of each GPU; on one of the CPU for none."""

    def decorate(function: Any) -> Any:
        return model(instances=Instances(gpu=count) if count else Instances(cpu=1))(function)

    return decorate
