"""From the representation to the content of files. Nothing is read or written here."""

from tritonforge.emit.manifest import SCHEMA, Built, manifest
from tritonforge.emit.model import Emitter, kind_of

__all__ = ["SCHEMA", "Built", "Emitter", "kind_of", "manifest"]
