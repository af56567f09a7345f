"""What is wrong with a server's settings, said where they were written: an argument, a variable, pyproject.toml."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tritonforge.errors import Diagnostic, Where

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["explain", "misspelled_variables", "unknown_settings"]

_NEAR = 0.85
"""How alike a variable and a setting's must be; TRITONFORGE_ANYTHING may be someone else's."""

_NEAR_SETTING = 0.75
"""How alike a setting's name and what is none must be, unless that is its beginning: bogus is no gpus."""

_WANTED = {
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false is wanted"),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number is wanted"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "a number is wanted"),
    **dict.fromkeys(("byte_size", "byte_size_unit"), "a size is wanted: bytes, or a number with its unit, 64MiB"),
    "path_type": "a file's path is wanted",
    "string_type": "text is wanted",
    "tuple_type": "a list is wanted",
}
"""What a value of each of pydantic's complaints should be; of others its own words say so."""


def explain(error: ValidationError, origins: Mapping[str, Where], known: Collection[str]) -> list[Diagnostic]:
    """Say each of pydantic's complaints in one line, at the origin of the field, with the names that there are."""
    diagnostics = []
    for problem in error.errors():
        field = str(problem["loc"][0]) if problem["loc"] else ""
        where = origins.get(field, Where(subject=field or "server"))
        if problem["type"] == "extra_forbidden":
            diagnostics.append(_unknown(field, where, known))
            continue
        text = problem["msg"].removeprefix("Value error, ")
        if field and problem["type"] != "value_error":
            text = f"found {problem['input']!r}: {_WANTED.get(problem['type'], text)}"
        diagnostics.append(Diagnostic("TF501", where, text))
    return diagnostics


def unknown_settings(given: Collection[str], known: Collection[str]) -> list[Diagnostic]:
    """Say of each name that is none of a setting's which there are, or which is near."""
    return [_unknown(name, Where(subject=name), known) for name in given if name not in known]


def _unknown(name: str, where: Where, known: Collection[str]) -> Diagnostic:
    begun = [one for one in known if len(name) > 2 and one.startswith(name)]
    near = get_close_matches(name, known, n=1, cutoff=_NEAR_SETTING) or begun
    hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(known)}"
    return Diagnostic("TF501", where, "there is no such setting", hint)


def misspelled_variables(environ: Collection[str], known: Collection[str]) -> list[Diagnostic]:
    """Warn of variables that are near to those of settings, and none: nothing reads them."""
    return [
        Diagnostic(
            "TF501", Where(subject=name), "nothing reads this variable", f"did you mean {near[0]}?", severity="warning"
        )
        for name in sorted(set(environ).difference(known))
        if name.startswith("TRITONFORGE_") and (near := get_close_matches(name, known, n=1, cutoff=_NEAR))
    ]
