"""Parameters that the Python backend reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model

__all__ = ["check_python_folder", "check_python_parameters"]

_ENVIRONMENT = "EXECUTION_ENV_PATH"
_FORCE_CPU = "FORCE_CPU_ONLY_INPUT_TENSORS"
_HERE = "$$TRITON_MODEL_DIRECTORY/"
_SAFE = re.compile(r"[\w@%+=:,.-]+")


def check_python_folder(model: Model) -> Iterator[Found]:
    """Check that a shell takes the folder's name: the Python backend 24.10 writes it into a command unquoted."""
    if model.config.backend == "python" and not _SAFE.fullmatch(model.name):
        message = f'the Python backend can\'t start a model from a folder named "{model.name}"'
        yield error("TF688", "", message, "letters, digits, and any of _ - .", file=model.name)


def check_python_parameters(model: Model) -> Iterator[Found]:
    """Check the parameters of a Python model."""
    if model.config.backend != "python":
        return
    parameters = {name: parameter.string_value for name, parameter in model.config.parameters.items()}
    force = parameters.get(_FORCE_CPU, "yes")
    if force not in ("yes", "no"):
        message = f'{_FORCE_CPU} is yes or no; found "{force}"'
        yield error("TF684", f'parameters["{_FORCE_CPU}"]', message, 'string_value: "no" leaves tensors on the GPU')
    path = parameters.get(_ENVIRONMENT, "")
    field, hint = f'parameters["{_ENVIRONMENT}"]', "an archive of conda-pack, or a folder"
    if path.startswith(_HERE):
        environment = model.folder.path / path.removeprefix(_HERE)
        if not environment.exists():
            yield error("TF684", field, f"the environment {path} is not there", hint)
        elif environment.is_dir() and not (environment / "bin" / "activate").is_file():
            yield error(
                "TF684", field, f"the environment {path} has no bin/activate", "a folder of conda-pack's has one"
            )
    elif path.startswith("/") and not model.folder.path.joinpath(path).exists():
        yield warning("TF684", field, f"the environment {path} is not on this machine", hint)
