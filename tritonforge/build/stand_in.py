"""What modules import of tritonforge and wouldn't find inside Triton, where a stand-in takes its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import tritonforge
from tritonforge.build.imports import Importer, imported_at_start
from tritonforge.errors import Diagnostic, Where

__all__ = ["STAND_IN", "find_lacking"]

STAND_IN = frozenset({*tritonforge.__all__, "metrics"}) - {"__version__"}
"""The names that `tritonforge_runtime/standin.py` has."""


def find_lacking(module: str, travelling: Iterable[Importer]) -> Iterator[Diagnostic]:
    """Refuse imports of what the stand-in hasn't, in a module and in what it imports as it is imported itself.

    Imports that wait for a call aren't looked at, nor those in modules that only such a one imports.
    """
    importers = {importer.module: importer for importer in travelling}
    waiting, seen = [module], {""}
    while waiting:
        name = waiting.pop(0)
        waiting += [above] if (above := name.rpartition(".")[0]) not in seen else []
        if name in seen or name not in importers:
            continue
        seen.add(name)
        importer = importers[name]
        told: set[int] = set()
        for imported, line in imported_at_start(importer):
            package, _, inner = imported.partition(".")
            if package != "tritonforge":
                waiting.append(imported)
            elif inner and inner != "*" and inner.partition(".")[0] not in STAND_IN and line not in told:
                told.add(line)
                reason = f"{imported} is not there inside Triton, where this module is imported, too"
                hint = "import it inside the functions that need it, or move it to a module that no model imports"
                yield Diagnostic("TF307", Where(str(importer.file), line), reason, hint)
