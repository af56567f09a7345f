"""Models whose file Triton's own runtimes execute."""

from __future__ import annotations

from tritonforge.define import WeightsModel
from tritonforge.ir import Model
from tritonforge.lower.configuration import configure
from tritonforge.lower.options import apply_options

__all__ = ["lower_weights"]


def lower_weights(definition: WeightsModel) -> Model:
    """Lower weights, with their options.

    Raises:
        DiagnosticError: a file is missing, an export fails, or an option can't be.
    """
    model = Model(
        config=configure(definition),
        signature=definition.signature,
        where=definition.where,
        files=definition.files,
    )
    return apply_options(model, definition)
