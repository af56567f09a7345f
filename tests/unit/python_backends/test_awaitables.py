"""What a model's process imports as it starts, of which there may be many."""

from __future__ import annotations

import ast
from pathlib import Path

import tritonforge_runtime

RUNTIME = Path(tritonforge_runtime.__file__).parent
OF_LOOPS = {"asyncio", "asynchronous", "async_execution"}


def test_asyncio_is_imported_by_async_models_alone() -> None:
    """It takes longer than the rest of the runtime."""
    for file in RUNTIME.glob("*.py"):
        if file.stem in OF_LOOPS:
            continue
        for node in ast.parse(file.read_text()).body:
            names = [alias.name for alias in getattr(node, "names", [])]
            imported = {*names, getattr(node, "module", None)} if isinstance(node, ast.Import | ast.ImportFrom) else ()
            assert not OF_LOOPS.intersection(imported), file.name
