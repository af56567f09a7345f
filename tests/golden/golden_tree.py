"""The golden repository: what a build of `definitions/` gives, as far as people read and review it.

After a change that is meant, write it anew and look at the difference in git:

    python tests/golden/golden_tree.py
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DEFINITIONS = HERE / "definitions"
EXPECTED = HERE / "expected"
RUNTIME = "/tritonforge_runtime/"


def build_into(repository: Path) -> None:
    """Build the definitions, with their library on the path as if it were installed."""
    from tritonforge.build import build

    sys.path.insert(0, str(DEFINITIONS / "lib"))
    try:
        build([DEFINITIONS / "app"], repository)
    finally:
        sys.path.remove(str(DEFINITIONS / "lib"))


def reviewed(repository: Path) -> dict[str, bytes]:
    """Read what was generated: all files but the copies (of the runtime, the user's own, weights).

    The manifest names the user's files with their hashes; what the runtime's bytes change in it is left out.
    """
    manifest = json.loads((repository / "tritonforge.json").read_bytes())
    copies = {f"{name}/{path}" for name, model in manifest["models"].items() for path in model.get("sources", ())}
    files = {path.relative_to(repository).as_posix(): path for path in repository.rglob("*") if path.is_file()}
    kept = {
        name: path.read_bytes()
        for name, path in files.items()
        if RUNTIME not in name and name not in copies and path.suffix != ".onnx"
    }
    return kept | {"tritonforge.json": json.dumps(_stable(manifest), indent=2, ensure_ascii=False).encode() + b"\n"}


def _stable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    models = {}
    for name, model in manifest["models"].items():
        files = {path: digest for path, digest in model["files"].items() if RUNTIME not in f"/{path}"}
        models[name] = {**model, "hash": "", "files": files}
    return {**manifest, "tritonforge": "", "models": models}


def update() -> None:
    """Write `expected/` anew."""
    with tempfile.TemporaryDirectory() as folder:
        build_into(Path(folder, "repository"))
        shutil.rmtree(EXPECTED, ignore_errors=True)
        for name, content in reviewed(Path(folder, "repository")).items():
            (EXPECTED / name).parent.mkdir(parents=True, exist_ok=True)
            (EXPECTED / name).write_bytes(content)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parents[1]))
    update()
