"""What Triton fills in by itself before it looks at a configuration: name, backend, platform, file name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tritonforge.check.folders import ModelFolder
from tritonforge.check.model import ENSEMBLE

__all__ = ["complete", "default_filename", "served_versions"]


@dataclass(frozen=True, slots=True)
class _Backend:
    """A backend that Triton knows by its platforms and by the name of its files: platform → file name."""

    name: str
    files: tuple[tuple[str, str], ...]


_BACKENDS = (
    _Backend("tensorflow", (("tensorflow_savedmodel", "model.savedmodel"), ("tensorflow_graphdef", "model.graphdef"))),
    _Backend("tensorrt", (("tensorrt_plan", "model.plan"),)),
    _Backend("onnxruntime", (("onnxruntime_onnx", "model.onnx"),)),
    _Backend("openvino", (("", "model.xml"),)),
    _Backend("pytorch", (("pytorch_libtorch", "model.pt"),)),
    _Backend("python", (("", "model.py"),)),
)


def complete(config: Any, folder: ModelFolder) -> None:
    """Fill in a message what Triton 24.10 does, from the names of files in the folder."""
    config.name = config.name or folder.name
    if config.platform == ENSEMBLE or config.HasField("ensemble_scheduling"):
        return
    files = set(folder.listing(folder.versions[0])) if folder.versions else set()
    for backend in _BACKENDS:
        for platform, filename in backend.files:
            if _is_it(config, backend.name, platform, filename, files):
                config.backend = backend.name
                config.platform = config.platform or platform
                config.default_model_filename = config.default_model_filename or filename
                return
    if not (config.backend or config.platform or config.default_model_filename) and "." in folder.name:
        config.backend = folder.name.partition(".")[2]
        config.default_model_filename = f"model.{config.backend}"


def default_filename(config: Any) -> str:
    """Give the file that a version's folder must have; "" where only the backend itself knows."""
    for backend in _BACKENDS:
        for platform, filename in backend.files:
            if config.backend == backend.name and config.platform in ("", platform):
                return str(config.default_model_filename or filename)
    return ""


def served_versions(config: Any, versions: tuple[int, ...]) -> tuple[int, ...]:
    """Give those of a model's ascending versions that the policy picks; without a policy that is the latest one."""
    choice = config.version_policy.WhichOneof("policy_choice")
    if choice == "all":
        return versions
    if choice == "specific":
        return tuple(version for version in versions if version in config.version_policy.specific.versions)
    count = config.version_policy.latest.num_versions if choice == "latest" else 1
    return versions[-count:] if count else ()


def _is_it(config: Any, backend: str, platform: str, filename: str, files: set[str]) -> bool:
    """Tell whether the configuration, or else the files, name a backend with a platform."""
    if config.backend:
        return bool(config.backend == backend and config.platform in ("", platform))
    if platform and config.platform == platform:
        return True
    if config.default_model_filename:
        return bool(config.default_model_filename == filename and (not config.platform or backend != "tensorflow"))
    return not config.platform and filename in files
