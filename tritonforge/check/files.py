"""A model's folder: version folders, the model's file in each, label files, what doesn't belong there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from math import prod

from tritonforge.check.complete import default_filename, served_versions
from tritonforge.check.finding import Found, error, warning
from tritonforge.check.folders import CONFIG, is_version
from tritonforge.check.model import Model
from tritonforge.repository_files import circular_links, read_bytes

__all__ = ["check_files", "check_is_model"]

_NUMBER = re.compile(r"[+-]?[0-9]+")
_MEANT = re.compile(r"[vV]_?[0-9]+|version_?[0-9]+")
_NAMED = 8
"""Files that a message names."""


def check_is_model(model: Model) -> Iterator[Found]:
    """Complain of a folder that is no model, though Triton takes every folder for one."""
    for name in model.folder.dead:
        message = f"the link {name} leads nowhere, and Triton 24.10 loads no model with such a link in its folder"
        yield error("TF683", "", message, "remove it, or put there what it leads to", file=f"{model.name}/{name}")
    if model.folder.dead:
        return
    if CONFIG in model.folder.folders:
        message = f"{CONFIG} is a folder, and Triton 24.10 ends on it"
        yield error(
            "TF687", "", message, "write the configuration into a file of that name", file=f"{model.name}/{CONFIG}"
        )
        return
    if model.has_config or model.is_ensemble:
        return
    for name in get_close_matches(CONFIG, model.folder.files, n=1, cutoff=0.85):
        message = f"Triton doesn't read {name}: a configuration is named {CONFIG}"
        yield warning("TF689", "", message, f"rename it to {CONFIG}", file=f"{model.name}/{name}")
    if not model.config.backend or not model.folder.versions:
        message = f"the folder is no model: it has no {CONFIG}, and no model file in a version folder tells its backend"
        hint = "move it out of the repository: Triton takes every folder there for a model, a hidden or empty one too, "
        hint += "and doesn't start"
        if not any(name.isdecimal() for name in model.folder.folders):
            hint += "; `tritonforge up` gives it a copy without this one"
        yield error("TF683", "", message, hint, file=model.name)


def check_files(model: Model) -> Iterator[Found]:
    """Check what lies in the model's folder."""
    yield from _check_versions(model)
    yield from _check_model_files(model)
    yield from _check_labels(model)
    yield from _check_circles(model)


def _check_versions(model: Model) -> Iterator[Found]:
    if not model.folder.versions:
        message = "there is no version folder"
        hint = "add an empty folder named 1" if model.is_ensemble else "put the model into a folder named 1"
        yield error("TF680", "", message, hint, file=model.name)
    for name in model.folder.folders:
        yield from _check_folder_name(model, name)


def _check_folder_name(model: Model, name: str) -> Iterator[Found]:
    """Find folders that are meant for versions, or that Triton 24.10 takes for one: it reads a number off the start."""
    file, hint = f"{model.name}/{name}", "a version's folder is a number without sign or leading zero"
    number = _NUMBER.match(name)
    if is_version(name) or (number is None and not _MEANT.fullmatch(name)):
        return
    if number is None or number[0].startswith("0"):
        yield warning("TF682", "", f'Triton passes over the folder "{name}"', hint, file=file)
    elif abs(int(number[0])) >= 1 << 63:
        yield error("TF682", "", f'the folder "{name}" ends Triton: the number has more than 64 bits', hint, file=file)
    else:
        message = f'Triton takes the folder "{name}" for version {int(number[0])}, and looks for it in another folder'
        yield error("TF682", "", message, hint, file=file)


def _check_model_files(model: Model) -> Iterator[Found]:
    filename = default_filename(model.config)
    if model.is_ensemble or not filename or model.config.cc_model_filenames or model.config.runtime:
        return
    for version in served_versions(model.config, model.folder.versions):
        listing = model.folder.listing(version)
        if not (model.folder.path / str(version) / filename).exists():
            more = f" and {len(listing) - _NAMED} more" if len(listing) > _NAMED else ""
            found = f"; there is {', '.join(listing[:_NAMED])}{more}" if listing else "; the folder is empty"
            if filename in listing:
                found = "; the link leads nowhere"
            message = f"version {version} has no {filename}, which the {model.config.backend} backend loads{found}"
            hint = "put it there, or set default_model_filename"
            yield error("TF681", "default_model_filename", message, hint, file=f"{model.name}/{version}")


def _check_labels(model: Model) -> Iterator[Found]:
    for number, tensor in enumerate(model.config.output):
        if not tensor.label_filename:
            continue
        field = f"output[{number}].label_filename"
        file = model.folder.path / tensor.label_filename
        if not file.is_file():
            message = f"the label file {tensor.label_filename} is not in the model's folder"
            yield error("TF626", field, message, "one label a line, in a file beside config.pbtxt")
            continue
        labels, values = len(read_bytes(file).splitlines()), prod(tensor.dims)
        if tensor.dims and min(tensor.dims) > 0 and labels != values:
            message = (
                f'{tensor.label_filename} has {labels} labels, and the output "{tensor.name}" {values} values a row'
            )
            yield warning("TF626", field, message, "one label a line, for each value")


def _check_circles(model: Model) -> Iterator[Found]:
    for name in circular_links(model.folder.path):
        message = f"the link {name} leads to a folder that it lies in, and Triton 24.10 follows it, maybe without end"
        hint = "remove it: where there are several such links, or much else to follow, the server never gets ready"
        yield warning("TF683", "", message, hint, file=f"{model.name}/{name}")
