"""Model folders that are served as they are: a hand-written model.py, a TensorRT plan, a custom backend."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from typing_extensions import Unpack

from tritonforge.define.arrays import Array
from tritonforge.define.base import Definition
from tritonforge.define.links import files_below
from tritonforge.define.origin import Origin, caller
from tritonforge.define.redefinitions import note
from tritonforge.define.settings import Batching, Ensemble, Instances, OptionArguments, Tensor
from tritonforge.define.signature import Returns
from tritonforge.errors import Diagnostic, DiagnosticError, TritonForgeError
from tritonforge.ir import ANONYMOUS, File, Signature, TensorSpec

__all__ = ["ModelFiles", "model_files"]

CONFIG = "config.pbtxt"

Tensors = Mapping[str, Tensor]


def model_files(
    folder: str | PathLike[str] = "",
    *,
    backend: str = "",
    platform: str = "",
    inputs: Tensors | None = None,
    outputs: Tensors | None = None,
    max_batch_size: int = 0,
    batching: Batching | None = None,
    instances: Instances | None = None,
    ensemble: Ensemble | None = None,
    version: int | None = None,
    name: str | None = None,
    **options: Unpack[OptionArguments],
) -> ModelFiles:
    """Serve a model folder as it is, with a configuration written here; its own config.pbtxt is not read.

    `tritonforge import` writes these. Only a server can run them: an eager call is refused.

    Args:
        folder: the model's folder, relative to the calling file: version folders, label files, warm-up data. Empty for
            an ensemble, which has no files.
        backend: what runs it: `python`, `onnxruntime`, `pytorch`, `tensorrt`, …
        platform: the older way to say so: `onnxruntime_onnx`, `ensemble`, …
        inputs: each input by name, with its `data_type` and `dims`.
        outputs: each output.
        max_batch_size: the largest batch; 0 where tensors have no batch dimension.
        batching: the dynamic batcher; its `max_batch_size` takes the place of the parameter's.
        instances: how many copies run; by default Triton decides.
        ensemble: the steps, of an ensemble.
        version: the version folder that is served; by default the one with the highest number.
        name: the model's name; by default that of the variable.
        options: see `Options`.
    """
    return ModelFiles(
        folder,
        origin=caller(),
        name=name,
        backend=backend,
        platform=platform,
        inputs=inputs,
        outputs=outputs,
        max_batch_size=max_batch_size,
        batching=batching,
        instances=instances,
        ensemble=ensemble,
        version=version,
        **options,
    )


class ModelFiles(Definition[..., Any]):
    """A model whose files are carried as they are."""

    def __init__(
        self,
        folder: str | PathLike[str],
        *,
        origin: Origin,
        name: str | None = None,
        backend: str = "",
        platform: str = "",
        inputs: Tensors | None = None,
        outputs: Tensors | None = None,
        max_batch_size: int = 0,
        batching: Batching | None = None,
        instances: Instances | None = None,
        ensemble: Ensemble | None = None,
        version: int | None = None,
        **options: Unpack[OptionArguments],
    ) -> None:
        super().__init__(origin, name)
        note(self, origin.namespace)
        self._folder = folder
        self.backend = backend
        self.platform = platform
        self.inputs = inputs or {}
        self.outputs = outputs or {}
        self.batching = self._typed("batching", batching)
        self.instances = self._typed("instances", instances)
        self.max_batch_size = self.batching.max_batch_size if self.batching else max_batch_size
        self.ensemble = ensemble
        self.version = version
        self.configured(options)

    @cached_property
    def signature(self) -> Signature:
        """What it takes and gives, as declared."""
        inputs = tuple(self._spec(name, tensor) for name, tensor in self.inputs.items())
        outputs = tuple(self._spec(name, tensor) for name, tensor in self.outputs.items())
        return Signature(inputs, outputs, batched=self.max_batch_size > 0, decoupled=bool(self.options.decoupled))

    @property
    def returns(self) -> Returns:
        """One output: the array. More: a dict of them."""
        return Returns("single") if len(self.outputs) == 1 else Returns("named", dict)

    @property
    def files(self) -> tuple[File, ...]:
        """The files of the version folder.

        Raises:
            DiagnosticError: the folder or its version isn't there.
        """
        return _below(self._version) if self._root else ()

    @property
    def beside(self) -> tuple[File, ...]:
        """The files beside config.pbtxt, as they are in the folder."""
        if self._root is None:
            return ()
        entries = (entry for entry in sorted(self._root.iterdir()) if not entry.name.isdecimal())
        kept = (entry for entry in entries if entry.name != CONFIG and not entry.name.startswith("."))
        return tuple(file for entry in kept for file in _below(entry, entry.name))

    def run(self, inputs: Mapping[str, Array | None]) -> NoReturn:
        """Refuse; only Triton's backend can run it.

        Raises:
            TritonForgeError: always.
        """
        raise TritonForgeError(f"{self.name} is files that only Triton runs: serve it, and call it with a client")

    @cached_property
    def _root(self) -> Path | None:
        return self._origin.beside(self._folder, self.name) if str(self._folder) else None

    @property
    def _version(self) -> Path:
        assert self._root is not None
        versions = {int(entry.name): entry for entry in self._root.iterdir() if entry.name.isdecimal()}
        wanted = self.version if self.version is not None else max(versions, default=None)
        if wanted not in versions:
            found = ", ".join(str(version) for version in sorted(versions)) or "none"
            reason = f'"{self._folder}" has no version {"at all" if wanted is None else wanted}; there is {found}'
            raise DiagnosticError([Diagnostic("TF301", self.where, reason, "a model's files are in folders 1, 2, …")])
        return versions[wanted]

    def _spec(self, name: str, tensor: Tensor) -> TensorSpec:
        if tensor.data_type is None or tensor.dims is None:
            where = self.where.at(f'{self.name}, "{name}"')
            hint = 'Tensor(data_type="FP32", dims=(…,)), without the batch'
            raise DiagnosticError([Diagnostic("TF114", where, "its data_type or dims aren't given", hint)])
        shape = () if tensor.reshape == () and self.max_batch_size else tensor.dims
        dims = tuple(ANONYMOUS if dim < 0 else dim for dim in shape)
        return TensorSpec(name, tensor.data_type, dims, tensor.optional)


def _below(path: Path, prefix: str = "") -> tuple[File, ...]:
    """Give a file, or all files of a folder, by their paths below it."""
    found = files_below(path)
    return tuple(File("/".join(filter(None, (prefix, *one.relative_to(path).parts))), source=one) for one in found)
