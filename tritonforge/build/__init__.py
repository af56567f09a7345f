"""From files of definitions to a model repository: discover → lower → check → emit → write.

What builds is imported when it is first used: `up` on a repository reads the project's settings only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tritonforge.build.project import Project, load_project

if TYPE_CHECKING:
    from tritonforge.build.builder import build, check_build
    from tritonforge.build.report import BuildReport, BuiltModel

__all__ = ["BuildReport", "BuiltModel", "Project", "build", "check_build", "load_project"]

_LATER = {"build": "builder", "check_build": "builder", "BuildReport": "report", "BuiltModel": "report"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return __all__
