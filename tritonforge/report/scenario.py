"""What a sweep is asked for, on the command line, in a scenario's file or in a test: the same names everywhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tritonforge.errors import TritonForgeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from tritonforge.load import Data, Load, ModelLoad, Settings

__all__ = ["OUTPUTS", "BadOption", "BadScenario", "Dimensions", "Scenario", "read_scenario", "scenario_of"]

OUTPUTS = ("json", "csv", "html", "png", "svg")
Dimensions = Mapping[str, Mapping[str, tuple[str, ...]]]
"""The names of the dimensions of each model's inputs: model → input → names."""

_SAME = (
    "arrivals", "gamma_shape", "burst", "body", "shared_memory", "stability", "stable_windows", "max_windows",
    "requests", "processes", "max_in_flight", "seed",
)  # fmt: skip
"""Options that are settings of the same name."""
_SECONDS = ("repeat", "window", "warmup", "ramp", "duration", "timeout")
"""Options that are settings with `_s` behind their name."""


class BadOption(TritonForgeError):
    """An option's value can't be used."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"--{option.replace('_', '-')}: {reason}")


@dataclass(frozen=True)
class Scenario:
    """The options, each as it is written; None and empty ones leave the default to the engine."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - pydantic reads it from here

    model: str
    repository: Path | None = None
    url: tuple[str, ...] = ()
    protocol: str = "http"
    concurrency: str | int | tuple[int, ...] | None = None
    rate: str | float | tuple[float, ...] | None = None
    arrivals: Literal["constant", "poisson", "gamma"] | None = None
    gamma_shape: float | None = None
    burst: int | None = None
    schedule: Path | None = None
    replay: Path | None = None
    repeat: float | None = None
    batch_size: int = 1
    sequence_length: int = 0
    data: str = "random"
    shape: tuple[str, ...] = ()
    payloads: int | None = None
    string_length: int | None = None
    check: bool = False
    tolerance: float | None = None
    body: Literal["binary", "json"] | None = None
    shared_memory: Literal["none", "system"] | None = None
    window: float | None = None
    warmup: float | None = None
    ramp: float | None = None
    stability: float | None = None
    stable_windows: int | None = None
    max_windows: int | None = None
    duration: float | None = None
    requests: int | None = None
    processes: int | None = None
    max_in_flight: int | None = None
    timeout: float | None = None
    header: tuple[str, ...] = ()
    slo: str | None = None
    find_max: bool = False
    seed: int | None = None
    server_statistics: bool = True
    baseline: Path | None = None
    max_regression: str | None = None
    json: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    png: Path | None = None
    svg: Path | None = None

    def settings(self, url: str, dimensions: Dimensions | None = None) -> Settings:
        """Make the engine's settings for one URL; `dimensions` are what the models call their inputs' dimensions.

        Raises:
            BadOption: a value can't be read, or options exclude each other.
        """
        from tritonforge.load import Settings, parse_slo

        chosen = {name: getattr(self, name) for name in _SAME}
        chosen |= {f"{name}_s": getattr(self, name) for name in _SECONDS}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        loads, times = self._loads()
        slo = _read("slo", parse_slo, self.slo) if self.slo else ()
        return Settings(
            url,
            self._models(dimensions or {}),
            loads,
            times_s=times,
            headers=_headers(self.header),
            slo=slo,
            server_statistics=self.server_statistics,
            **chosen,
        )

    def _models(self, dimensions: Dimensions) -> tuple[ModelLoad, ...]:
        """Read `NAME[:VERSION][=WEIGHT]`, several with commas between them."""
        from tritonforge.load import ModelLoad

        models, data = [], self._data()
        for part in self.model.split(","):
            name, _, weight = part.strip().partition("=")
            name, _, version = name.partition(":")
            share = _read("model", float, weight or "1")
            if not name or not share > 0:
                raise BadOption("model", f"{part!r} is not NAME, NAME:VERSION or NAME=WEIGHT with a weight above 0")
            models.append(
                ModelLoad(
                    name,
                    version,
                    share,
                    self.batch_size,
                    self.sequence_length,
                    replace(data, dimensions=dimensions.get(name, {})),
                )
            )
        return tuple(models)

    def _data(self) -> Data:
        from tritonforge.load import Data

        given = {name: getattr(self, name) for name in ("payloads", "string_length", "tolerance")}
        given = {name: value for name, value in given.items() if value is not None}
        return Data(self.data, shapes=dict(_shape(text) for text in self.shape), check=self.check, **given)

    def _loads(self) -> tuple[tuple[Load, ...], tuple[float, ...]]:
        """Give the loads, and the times of a schedule or a recording."""
        from tritonforge.load import Load, parse_loads

        named = [name for name in ("concurrency", "rate", "schedule", "replay") if getattr(self, name) is not None]
        if len(named) > 1:
            raise BadOption(named[1], f"it can't be given beside --{named[0]}; a run has one kind of load")
        kind = named[0] if named else "concurrency"
        if kind in ("schedule", "replay"):
            times = _times(kind, getattr(self, kind))
            return (Load(kind, len(times) / (times[-1] or 1.0)),), times  # type: ignore[arg-type]
        given = getattr(self, kind)
        text = ",".join(map(str, given)) if isinstance(given, tuple) else str(given or 1)
        return _read(kind, lambda words: parse_loads(words, kind), text), ()  # type: ignore[arg-type]

    @property
    def outputs(self) -> dict[str, Path]:
        """The files to write, by their kind."""
        return {kind: path for kind in OUTPUTS if (path := getattr(self, kind)) is not None}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario: TOML with the options' names, dashes or underscores; paths are relative to the file.

    Raises:
        BadScenario: it is no TOML, or a key or value is no option's; all mistakes are named.
        OSError: it can't be read.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadScenario(str(path), [str(error)]) from error
    scenario = scenario_of(data, where=str(path))
    places = {
        field.name: path.parent / value
        for field in fields(scenario)
        if isinstance(value := getattr(scenario, field.name), Path)
    }
    return replace(scenario, **places)  # type: ignore[arg-type]


def scenario_of(options: Mapping[str, Any], *, where: str = "the options") -> Scenario:
    """Make a scenario of options by their names; a single value may stand for a list of one.

    Raises:
        BadScenario: a name or value is no option's; all mistakes are named.
    """
    from pydantic import TypeAdapter, ValidationError

    data = {key.replace("-", "_"): value for key, value in options.items()}
    data |= {name: [data[name]] for name in ("url", "shape", "header") if isinstance(data.get(name), str)}
    try:
        return TypeAdapter(Scenario).validate_python(data)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, item['loc'][:1]))}: {item['msg']}" for item in error.errors()]
        raise BadScenario(where, mistakes) from error


class BadScenario(TritonForgeError):
    """A scenario's file can't be read as options."""

    def __init__(self, where: str, mistakes: list[str]) -> None:
        each = "".join(f"\n  {mistake}" for mistake in dict.fromkeys(mistakes))
        hint = "names are the options of tritonforge perf measure --help, without dashes in front"
        super().__init__(f"{where}: no scenario:{each}\n  hint: {hint}")


def _read(option: str, read: Any, text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise BadOption(option, str(error)) from error


def _headers(texts: tuple[str, ...]) -> dict[str, str]:
    headers = {}
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise BadOption("header", f"{text!r} is not NAME: VALUE")
        headers[name.strip()] = value.strip()
    return headers


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, equals, sizes = text.partition("=")
    try:
        shape = tuple(int(size) for size in sizes.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 0:
        raise BadOption("shape", f"{text!r} is not NAME=SIZE, or NAME=SIZE,SIZE for a whole input")
    return name, shape


def _times(option: str, path: Path) -> tuple[float, ...]:
    """Read seconds, one a line: the times of requests from the start, or as they were recorded."""
    try:
        times = [float(line) for line in path.read_text(encoding="utf-8").split()]
    except (OSError, ValueError) as error:
        raise BadOption(option, f"{path}: {error}; wanted seconds, one a line") from error
    if not times or sorted(times) != times:
        raise BadOption(option, f"{path}: wanted seconds, one a line, in ascending order")
    first = times[0] if option == "replay" else 0.0
    return tuple(time - first for time in times)
