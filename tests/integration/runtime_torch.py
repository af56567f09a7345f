"""TorchScript modules of the runtime's own tests. Annotations are types here, not text, as torch's scripting wants."""

import warnings
from pathlib import Path

import torch


class Pair(torch.nn.Module):
    """Two inputs, two outputs."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a - b, (a + b).sum(1, keepdim=True)


class Dictionary(torch.nn.Module):
    """Outputs by name."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": x * 2}


class Strings(torch.nn.Module):
    """Strings go in and out as lists."""

    def forward(self, x: list[str]) -> list[str]:
        return ["<" + each + ">" for each in x]


class Difference(torch.nn.Module):
    """Inputs by name in one dictionary, and more results than a configuration need name."""

    def forward(self, given: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return given["a"] + given["b"], given["a"] - given["b"]


class Brain(torch.nn.Module):
    """An optional argument and BF16."""

    def forward(self, x: torch.Tensor, factor: torch.Tensor | None = None) -> torch.Tensor:
        return x * 2 if factor is None else x * factor


class Last(torch.nn.Module):
    """Requests end to end: doubled, and the last value of each."""

    def forward(self, x: torch.Tensor, ends: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * 2, x[ends.long() - 1].unsqueeze(1)


def save(module: torch.nn.Module, folder: Path, *, trace: bool = False) -> None:
    """Write `model.pt`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is on its way out, and served all the same
        one = torch.ones(1, 2)
        made = torch.jit.trace(module, (one, one)) if trace else torch.jit.script(module)
        made.save(str(folder / "model.pt"))
