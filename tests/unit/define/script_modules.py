"""Modules for TorchScript. Annotations are types here, not text, as torch's scripting wants."""

import warnings
from pathlib import Path

import torch

__all__ = ["save"]


class Strings(torch.nn.Module):
    """Strings go in and out as lists."""

    def forward(self, words: list[str]) -> list[str]:
        return ["<" + each + ">" for each in words]


class Difference(torch.nn.Module):
    """Inputs by name in one dictionary."""

    def forward(self, given: dict[str, torch.Tensor]) -> torch.Tensor:
        return given["a"] - given["b"]


class Optional(torch.nn.Module):
    """An argument with a default, and one without, that may be None."""

    def forward(self, x: torch.Tensor, factor: torch.Tensor | None, shift: float = 1.0) -> torch.Tensor:
        return x + shift if factor is None else x * factor


class Named(torch.nn.Module):
    """Results by name."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"double": x * 2}


def save(folder: Path) -> None:
    """Write a file of each, named after it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that TorchScript is deprecated
        for kind in (Strings, Difference, Optional, Named):
            torch.jit.script(kind()).save(str(folder / f"{kind.__name__.lower()}.pt"))
