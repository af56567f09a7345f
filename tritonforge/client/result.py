"""What an inference gives back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tritonforge.client.names import shown
from tritonforge.client.tensors.wire import Array
from tritonforge.dtypes import from_numpy
from tritonforge.request_parameters import Parameter

__all__ = ["Result"]


class Result:
    """The outputs of one inference: by name `r["label"]`, as attribute `r.label`, in order `label, probability = r`.

    The order is the one that was asked for, else the model's. BYTES come as object arrays of bytes, BF16 as
    `ml_dtypes.bfloat16`. `model`, `model_version`, `id` and `parameters` are the server's; an output of such a name
    is reached by `r["id"]`.
    """

    __slots__ = ("_outputs", "id", "model", "model_version", "parameters")

    def __init__(
        self,
        outputs: dict[str, Array],
        *,
        model: str = "",
        model_version: str = "",
        id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
    ) -> None:
        self._outputs = outputs
        self.model = model
        self.model_version = model_version
        self.id = id
        self.parameters: Mapping[str, Parameter] = parameters or {}

    @property
    def outputs(self) -> dict[str, Array]:
        """The outputs by name, in order: a new dictionary of the same arrays."""
        return dict(self._outputs)

    def __getitem__(self, key: str | int) -> Array:
        if isinstance(key, int):
            return list(self._outputs.values())[key]
        try:
            return self._outputs[key]
        except KeyError:
            raise KeyError(self._unknown(key)) from None

    def __getattr__(self, name: str) -> Array:
        if name.startswith("_") and name not in object.__getattribute__(self, "_outputs"):
            raise AttributeError(name)  # copy and pickle ask before there is an instance
        try:
            return self._outputs[name]
        except KeyError:
            raise AttributeError(self._unknown(name)) from None

    def __iter__(self) -> Iterator[Array]:
        return iter(self._outputs.values())

    def __len__(self) -> int:
        return len(self._outputs)

    def __contains__(self, name: object) -> bool:
        return name in self._outputs

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._outputs]

    def __repr__(self) -> str:
        tensors = ", ".join(
            f"{name}: {from_numpy(a.dtype) or a.dtype}{list(a.shape)}" for name, a in self._outputs.items()
        )
        version = f" version {self.model_version}" if self.model_version else ""
        return f"<Result of {shown(self.model)}{version}: {tensors}>"

    def _unknown(self, name: str) -> str:
        return f"there is no output {name!r}; there are: {', '.join(self._outputs) or 'none'}"
