"""From files of definitions to a model repository: discover → lower → check → emit → write."""

from tritonforge.build.builder import build, check_build
from tritonforge.build.project import Project, load_project
from tritonforge.build.report import BuildReport, BuiltModel

__all__ = ["BuildReport", "BuiltModel", "Project", "build", "check_build", "load_project"]
