"""Whether the image that a repository is built into has the backends that its models name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from tritonforge.errors import Diagnostic
from tritonforge.server.docker.settings import release_image
from tritonforge.server.installed.backends import PYTHON_BACKENDS
from tritonforge.server.installed.model_backends import other_backends

__all__ = ["missing_backends"]

_IMAGES: Mapping[str, str] = {"vllm": "vllm-python-py3", "tensorrtllm": "trtllm-python-py3"}
"""Backends that have images of NVIDIA's own, by the ends of their tags: the one for all others lacks them."""

_NVIDIAS = ("tensorrt", "tensorflow", "openvino", "dali", "fil")
"""Backends of NVIDIA's image for all (24.10), beside those that every image of ours has."""


def missing_backends(repository: Path, *, release: str, nvidia: bool) -> Iterator[Diagnostic]:
    """Find the models whose backend isn't in the slim image, or in that of NVIDIA's that has most backends."""
    image = release_image(release)
    for backend in other_backends(repository):
        own = _IMAGES.get(backend.name, "")
        if nvidia and not own:
            continue
        hint = (
            f"add {'' if nvidia else '--nvidia '}--base {image.removesuffix('py3')}{own}"
            if own
            else _hint(backend.name)
        )
        kind = image if nvidia else "a slim image"
        yield Diagnostic("TF524", backend.where, f'{kind} has no backend "{backend.name}"', hint)


def _hint(backend: str) -> str:
    if backend in _NVIDIAS:
        return "add --nvidia: NVIDIA's image has it"
    if near := get_close_matches(backend.lower(), (*PYTHON_BACKENDS, *_NVIDIAS), n=1, cutoff=0.75):
        return f'did you mean backend: "{near[0]}"?'
    return f"it has {', '.join(PYTHON_BACKENDS)}; name an image that has it, too, with --base"
