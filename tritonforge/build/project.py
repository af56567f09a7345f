"""The project's own settings: `[tool.tritonforge]` in its pyproject.toml."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from tritonforge.errors import Diagnostic, DiagnosticError, Where

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["EMBEDDED_RELEASE", "Project", "load_project"]

EMBEDDED_RELEASE = "24.10"
"""The Triton release that the embedded server is."""


class Project(BaseModel):
    """Defaults of the commands. Paths are relative to the folder of pyproject.toml, `root`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    definitions: tuple[Path, ...] = ()
    output: Path = Path("model_repository")
    target: str = EMBEDDED_RELEASE
    golden: int | None = None
    server: dict[str, Any] = {}

    @field_validator("definitions", mode="before")
    @classmethod
    def _one_alone(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files and folders of definitions."""
        return tuple(self.root / path for path in self.definitions)

    @property
    def repository(self) -> Path:
        """The folder that is built into."""
        return self.root / self.output


SETTINGS = "the settings are " + ", ".join(name for name in Project.model_fields if name != "root")


def load_project(start: Path | None = None) -> Project:
    """Read the settings from the nearest pyproject.toml that has some, from `start` upwards; defaults if none has.

    Raises:
        DiagnosticError: the file isn't TOML, or a setting is unknown or of the wrong type.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        if not path.is_file():
            continue
        settings = _read(path)
        if settings is not None:
            return _validate(settings, path)
    return Project(root=here)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DiagnosticError([Diagnostic("TF403", Where(str(path)), f"it is not TOML: {error}")]) from error
    tool = content.get("tool")
    found = tool.get("tritonforge") if isinstance(tool, dict) else None
    if found is None or isinstance(found, dict):
        return found
    where = Where(str(path), 0, "[tool.tritonforge]")
    raise DiagnosticError([Diagnostic("TF403", where, f"it is {found!r}, not a table", SETTINGS)])


def _validate(settings: dict[str, Any], path: Path) -> Project:
    if "root" in settings:
        where = Where(str(path), 0, "[tool.tritonforge] root")
        raise DiagnosticError([Diagnostic("TF403", where, "there is no such setting", SETTINGS)])
    try:
        return Project(root=path.parent, **settings)
    except ValidationError as error:
        raise DiagnosticError(_explain(error, path)) from error


def _explain(error: ValidationError, path: Path) -> list[Diagnostic]:
    return [
        Diagnostic(
            "TF403",
            Where(str(path), 0, f"[tool.tritonforge] {'.'.join(map(str, fault['loc']))}"),
            "there is no such setting"
            if fault["type"] == "extra_forbidden"
            else f"found {fault['input']!r}: {fault['msg']}",
            SETTINGS,
        )
        for fault in error.errors()
    ]
