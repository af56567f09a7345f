"""What the options of a sweep are called, and how their words are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tritonforge.errors import TritonForgeError
from tritonforge.request_parameters import Parameter, check_parameter

__all__ = [
    "SAME",
    "SECONDS",
    "BadOption",
    "as_option",
    "check_words",
    "in_options",
    "mean_rate",
    "parse_share",
    "read",
    "read_headers",
    "read_parameters",
    "read_shape",
    "times_of",
]

SAME = (
    "arrivals", "gamma_shape", "burst", "body", "shared_memory", "output_bytes", "stability", "stable_windows",
    "max_windows", "requests", "processes", "max_in_flight", "seed",
)  # fmt: skip
"""Options that are settings of the same name."""
SECONDS = ("repeat", "window", "warmup", "ramp", "duration", "timeout")
"""Options that are settings with `_s` behind their name."""
_OTHERS = ("sequence_length", "batch_size", "string_length", "server_name")
"""Options that the settings have further inside."""
_WORDS = {
    "share them among several: processes=": "share them among several: --processes ",
    "in shapes": "by --shape",
    **{f"{name} is": f"--{name} is" for name in ("requests", "payloads", "processes", "burst", "stability", "seed")},
    "tolerance is": "--tolerance is",
}
"""Other words for settings in errors of the engine, and the options."""
_SEQUENCES = "those of a load have numbers of their own, and --sequence-length requests"
_TYPES: dict[str, tuple[str, Callable[[str], Parameter]]] = {
    "bool": (r"(?i)true|false", lambda text: text.lower() == "true"),
    "int": (r"[-+]?[0-9]{1,20}", int),
    "double": (r"(?i)[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", float),
    "string": (r"(?s).*", str),
}
"""The types of a parameter's value, perf_analyzer's and the protocol's double: how it is written, and is read."""
_ARGUMENTS = {"model": "MODEL", "repository": "REPO or FILE"}
T = TypeVar("T")


def as_option(name: str) -> str:
    """Spell an option, or an argument, by the name that it has in a scenario: `--batch-size`."""
    return _ARGUMENTS.get(name) or f"--{name.replace('_', '-')}"


def in_options(text: str) -> str:
    """Spell the names of settings in an error of the engine as the options that give them."""
    names = {f"{name}_s": name for name in SECONDS} | {name: name for name in (*SAME, *_OTHERS) if "_" in name}
    text = re.sub(r"\b(\w+_\w+)\b", lambda found: as_option(names[found[0]]) if found[0] in names else found[0], text)
    for words, option in _WORDS.items():
        text = re.sub(rf"(^|: ){words}", rf"\1{option}", text) if words.endswith(" is") else text.replace(words, option)
    return text


class BadOption(TritonForgeError):
    """An option's value can't be used."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{as_option(option)}: {reason}")


def read(option: str, reader: Callable[[str], T], text: str) -> T:
    """Read an option's words. Raise BadOption for what the reader's ValueError says of them."""
    try:
        return reader(text)
    except ValueError as error:
        raise BadOption(option, str(error)) from error


def parse_share(option: str, text: str, *, all_too: bool = False) -> float:
    """Read `5%` or `0.05`.

    Raises:
        BadOption: it is neither, or not between 0 and 1; 1 itself is a share only where `all_too`.
    """
    try:
        share = float(text.rstrip("% ")) / (100 if "%" in text else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1 or (share == 1 and not all_too):
        raise BadOption(option, f"{text!r} is not a share such as 5% or 0.05")
    return share


def check_words(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say of each option whose words can be read by themselves why they can't be: its name, and the reason."""
    from tritonforge.load import parse_loads, parse_slo

    readers: dict[str, Callable[[Any], object]] = {
        "concurrency": lambda text: parse_loads(text, "concurrency"),
        "rate": lambda text: parse_loads(text, "rate"),
        "slo": parse_slo,
        "max_regression": lambda text: parse_share("max_regression", text),
        "max_errors": lambda text: parse_share("max_errors", text, all_too=True),
        "shape": read_shape,
        "header": lambda text: read_headers((text,)),
        "request_parameter": lambda given: read_parameters(given if isinstance(given, Mapping) else (given,)),
    }
    for name, reader in readers.items():
        value = options.get(name)
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, (str, Mapping)):
                try:
                    reader(text)
                except (BadOption, ValueError) as error:
                    yield name, str(error).removeprefix(f"{as_option(name)}: ")


def read_headers(texts: tuple[str, ...]) -> dict[str, str]:
    """Read `NAME: VALUE`, each. Raise BadOption for anything else."""
    headers = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise BadOption("header", f"{text!r} is not NAME: VALUE")
        headers[name.strip()] = value.strip()
    return headers


def read_parameters(given: Mapping[str, Parameter] | tuple[str, ...]) -> dict[str, Parameter]:
    """Read `NAME:VALUE:TYPE`, each, or take values by their names. Raise BadOption for what can't be sent."""
    named = given.items() if isinstance(given, Mapping) else map(_read_parameter, given)
    parameters: dict[str, Parameter] = {}
    for name, value in named:
        if name in parameters:
            raise BadOption("request_parameter", f'"{name}" is given twice; a request has it once')
        if not name:
            raise BadOption("request_parameter", f"{value!r} has no name")
        try:
            check_parameter(name, value, sequences=_SEQUENCES)
        except (TypeError, ValueError) as error:
            raise BadOption("request_parameter", str(error)) from error
        parameters[name] = value
    return parameters


def _read_parameter(text: str) -> tuple[str, Parameter]:
    """Read `NAME:VALUE:TYPE`, in whose value there may be colons. Raise BadOption for anything else."""
    name, _, rest = text.partition(":")
    words, colon, written = rest.rpartition(":")
    kind = written.lower()
    if not name or not colon or kind not in _TYPES:
        raise BadOption("request_parameter", f"{text!r} is not NAME:VALUE:TYPE with a type of {', '.join(_TYPES)}")
    pattern, reader = _TYPES[kind]
    if not re.fullmatch(pattern, words):
        raise BadOption("request_parameter", f"{text!r}: {words!r} is no {kind}")
    return name, reader(words)


def read_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read `NAME=SIZE` or `NAME=SIZE,SIZE`. Raise BadOption for anything else."""
    name, equals, sizes = text.partition("=")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 0:
        raise BadOption("shape", f"{text!r} is not NAME=SIZE, or NAME=SIZE,SIZE for a whole input")
    return name, shape


def mean_rate(times: tuple[float, ...], repeat_s: float | None) -> float:
    """Give the requests a second of given times, in three digits: it is the load's name."""
    span = times[-1] - times[0]
    rate = len(times) / repeat_s if repeat_s else (len(times) - 1) / span if span else float(len(times))
    return float(f"{rate:.3g}")


def times_of(option: str, path: Path) -> tuple[float, ...]:
    """Read the times of a schedule or a recording, whose option it is. Raise BadOption for what is none."""
    from tritonforge.load import InvalidLoad, read_times

    try:
        return read_times(path, from_first=option == "replay")
    except InvalidLoad as error:
        raise BadOption(option, str(error)) from error
