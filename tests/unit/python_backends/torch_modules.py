"""TorchScript modules of the backend's tests. Annotations are types here, not text, as torch's scripting wants."""

import warnings
from pathlib import Path

import torch
from torch import Tensor


class Plain(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class Three(torch.nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x * 2, x * 3, x * 4


class TakesDictionary(torch.nn.Module):
    def forward(self, given: dict[str, Tensor]) -> Tensor:
        return given["a"] - given["b"]


class GivesDictionary(torch.nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"y": x}


class GivesList(torch.nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x * 2]


class Optional(torch.nn.Module):
    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return x if z is None else x + z


class Strings(torch.nn.Module):
    def forward(self, x: list[str]) -> list[str]:
        return x


def save(module: torch.nn.Module, file: Path) -> None:
    """Script a module into a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is on its way out, and served all the same
        torch.jit.script(module).save(str(file))
