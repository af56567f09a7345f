"""Whether Triton is to complete the configurations of models as it loads them.

For that it starts each model with a Python process once more, before the one that serves, and ends that again (24.10):
a start and a reload take about twice as long. What a build writes says all by itself.
"""

from __future__ import annotations

from pathlib import Path

from tritonforge.repository_files import read_text
from tritonforge.server.errors import ServerError
from tritonforge.server.repository.folder import config_fields, model_folders
from tritonforge.server.repository.manifest import built_models
from tritonforge.server.settings.server import ServerSettings

__all__ = ["note_completion", "require_complete", "settle_completion"]

_MARK = ".complete"
"""A file beside the tree of a server that completes nothing."""

_NEEDED = ("input", "output")
_HOOK, _RUNTIME = "auto_complete_config", "tritonforge_runtime"


def settle_completion(settings: ServerSettings, repository: Path) -> ServerSettings:
    """Have configurations completed only where one in the repository may need it, unless the settings say.

    One that tritonforge didn't build may get models that do at any time, as may one that the server looks at itself.
    """
    if settings.auto_complete is not None or settings.model_control == "poll":
        return settings
    built, folders = built_models(repository), model_folders(repository)
    needless = bool(folders) and all(folder.name in built and _is_complete(folder) for folder in folders)
    return settings.model_copy(update={"auto_complete": not needless})


def note_completion(settings: ServerSettings, repository: Path, served: Path) -> None:
    """Keep beside the tree that a server reads, where that is its own, that it completes nothing."""
    if settings.auto_complete is False and served != repository:
        (served.parent / _MARK).touch()


def require_complete(model: Path, served: Path) -> None:
    """Refuse to load a model that leaves something out into a server, by its tree, that completes nothing.

    Raises:
        ServerError: so it is.
    """
    if (served.parent / _MARK).exists() and not _is_complete(model):
        raise ServerError(
            f"{model}: its configuration leaves something to Triton, and this server was started to complete nothing, "
            "as no model needed it\n  hint: start it anew, or with auto_complete=true; or have config.pbtxt say all"
        )


def _is_complete(folder: Path) -> bool:
    """Tell whether a configuration says all, and no code of the model's would say more."""
    fields = config_fields(folder)
    if not all(field in fields for field in _NEEDED) or not ("backend" in fields or "platform" in fields):
        return False
    if any(folder.glob(f"*/{_RUNTIME}")):  # its class is ours, which completes nothing
        return True
    try:
        return not any(_HOOK in read_text(file) for file in folder.rglob("*.py"))
    except (OSError, UnicodeDecodeError):
        return False
