"""Write docs/reference/config.md from the docstrings of the settings: `python scripts/config_reference.py`."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tritonforge.define import settings
from tritonforge.define.settings import Setting
from tritonforge.ir import ModelConfig, TensorConfig, bindings

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "config.md"

HEAD = """\
# Settings

<!-- Written by scripts/config_reference.py from the docstrings of tritonforge/define/settings; edit those. -->

All of Triton's ModelConfig, typed. Settings are frozen, and refuse what Triton would. A number's unit is in its name.
"Since" is the first release of Triton that can parse a field, where that is after 23.01; a build for an earlier
`--target` refuses it. The last column is the field's name in config.pbtxt.

"""

MODULES = ("options", "batching", "instances", "serving", "sequences", "optimization", "warmup", "tensors")
BOUNDED = {"Count": "int", "Index": "int", "Microseconds": "int", "Size": "int", "Datatype": "str"}
RECORDS: dict[str, type[object]] = {"Options": ModelConfig, "Tensor": TensorConfig}
RENAMED = {
    "environment": "parameters",
    "labels": "label_filename",
    "max_batch_size": "max_batch_size",
    "max_inflight_requests": "ensemble_scheduling",
    "tensors": "input, output",
    "warmup": "model_warmup",
}
"""What has no field of its own in the record, or one of another name."""


def reference() -> str:
    """Give the whole text."""
    return HEAD + "\n".join(section for module in MODULES for section in _sections(module))


def _sections(module: str) -> Iterator[str]:
    path = Path(inspect.getfile(settings)).parent / f"{module}.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        setting = getattr(settings, node.name, None) if isinstance(node, ast.ClassDef) else None
        if isinstance(node, ast.ClassDef) and isinstance(setting, type) and issubclass(setting, Setting):
            yield _section(node, setting)


def _section(node: ast.ClassDef, setting: type[Setting]) -> str:
    record = RECORDS.get(node.name) or getattr(setting, "record", None)
    names = {one.attribute: one.name for one in bindings(record) if one.name != "extra"} if record else {}
    rows = [
        f"| `{name}` | {kind} | {documentation} | {_code(names.get(name) or RENAMED.get(name, ''))} |\n"
        for name, kind, documentation in _fields(node)
    ]
    head = "| field | type | what it is | in config.pbtxt |\n|---|---|---|---|\n"
    return f"## {node.name}\n\n{inspect.cleandoc(ast.get_docstring(node) or '')}\n\n{head}{''.join(rows)}"


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str, str]]:
    for statement, after in zip(node.body, node.body[1:], strict=False):
        if not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
            continue
        if isinstance(statement, ast.AnnAssign):
            kind = " ".join(ast.unparse(statement.annotation).split())
            kind = re.sub(r"\b(Count|Index|Microseconds|Size|Datatype)\b", lambda match: BOUNDED[match[0]], kind)
            text = " ".join(str(after.value.value).split())
            yield ast.unparse(statement.target), _code(kind), text.replace("|", "\\|")


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|").replace("'", '"') + "`" if text else ""


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"{TARGET} is written\n")
