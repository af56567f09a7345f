"""What a sweep is asked for, on the command line, in a scenario's file or in a test: the same names everywhere."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tritonforge.client.options import key_headers
from tritonforge.errors import TritonForgeError
from tritonforge.report.options import (
    SAME,
    SECONDS,
    BadOption,
    as_option,
    check_words,
    mean_rate,
    read,
    read_headers,
    read_parameters,
    read_shape,
    times_of,
)
from tritonforge.request_parameters import Parameter

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from tritonforge.load import Data, Load, ModelLoad, Settings

__all__ = [
    "OUTPUTS",
    "BadScenario",
    "Dimensions",
    "Scenario",
    "read_scenario",
    "scenario_of",
]

OUTPUTS = ("json", "csv", "html", "png", "svg")
Dimensions = Mapping[str, Mapping[str, tuple[str, ...]]]
"""The names of the dimensions of each model's inputs: model → input → names."""

_NAMES = "names are the options of tritonforge perf measure --help, without dashes in front"
_JUDGED_S = 50.0
"""A duration from which on windows are of 5 s, and held against each other."""
_KINDS = ("random", "zeros")
_PARAMETERS = 'it is "NAME:VALUE:TYPE", a list of these, or a table of names with bool, int, float or text values'
_SPELLED = {"header": '"NAME: VALUE"', "shape": '"NAME=3"', "url": "an address"}
"""How one value of an option is written that takes several."""
_LISTED = ("url", "shape", "header", "request_parameter")
"""Options that take several values."""
_FILES_OF_TLS = ("ca", "certificate", "key")
_TLS = (*_FILES_OF_TLS, "server_name")
_FLAGS = ("check", "find_max", "server_statistics", "strict")


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
    output_bytes: int | None = None
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
    key_file: Path | None = None
    header: tuple[str, ...] = ()
    request_parameter: tuple[str, ...] | Mapping[str, Parameter] = ()
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str | None = None
    slo: str | None = None
    find_max: bool = False
    seed: int | None = None
    server_statistics: bool = True
    baseline: Path | None = None
    max_regression: str | None = None
    strict: bool = False
    max_errors: str | None = None
    json: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    png: Path | None = None
    svg: Path | None = None
    profile_export: Path | None = None

    def settings(self, url: str, dimensions: Dimensions | None = None, *, golden: Path | None = None) -> Settings:
        """Make the engine's settings for one URL; `dimensions` are what the models call their inputs' dimensions.

        `golden` is the repository whose golden samples are meant where the data are `golden`.

        Raises:
            BadOption: a value can't be read, options exclude each other, or one would change nothing.
            InvalidLoad: a number is out of its bounds.
        """
        from tritonforge.load import Settings, TlsFiles, parse_slo
        from tritonforge.load.settings_check import check_settings
        from tritonforge.load.workers.shares import most_processes

        self._check_use()
        chosen = {name: getattr(self, name) for name in SAME}
        chosen |= {f"{name}_s": getattr(self, name) for name in SECONDS}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        loads, times = self._loads()
        slo = read("slo", parse_slo, self.slo) if self.slo else ()
        settings = Settings(
            url,
            self._models(dimensions or {}, golden),
            loads,
            times_s=times,
            headers=self._headers(),
            parameters=read_parameters(self.request_parameter),
            tls=TlsFiles(*(str(given or "") for given in (self.ca, self.certificate, self.key, self.server_name))),
            slo=slo,
            server_statistics=self.server_statistics,
            **chosen,
        )
        check_settings(settings)
        used = max(most_processes(load, settings) for load in loads)
        if self.processes is not None and used < self.processes and not self.find_max:
            raise BadOption(
                "processes", f"of {self.processes}, {used} would have requests to send; give no more than those"
            )
        return settings

    def _check_use(self) -> None:
        """Refuse an option that would change nothing: it was meant for something. A seed may be one for all data."""
        if self.repository is not None and self.url:
            raise BadOption("url", f"{self.repository} is served for the run, elsewhere; leave one of the two out")
        if self.data == "golden" and self.repository is None:
            raise BadOption(
                "data", "of a server that runs, golden samples are those of a repository that is named: golden:REPO"
            )
        if self.strict and self.max_regression is None:
            raise BadOption("strict", "it says nothing without --max-regression")
        if self.repeat is not None and not self.repeat > 0:
            raise BadOption("repeat", f"{self.repeat:g} begins nothing anew; it is seconds, above 0")
        if self.duration is not None and self.requests is not None:
            raise BadOption("requests", "it can't be given beside --duration; one of them says when a load ends")
        once = bool(self.schedule or self.replay) and self.repeat is None
        lasts = once or self.duration is not None or self.requests is not None
        judged = not once and (self.window is not None or self.duration is None or self.duration >= _JUDGED_S)
        for option, (used, needs) in {
            "arrivals": (self.rate, "--rate"),
            "gamma_shape": (self.arrivals == "gamma", "--arrivals gamma"),
            "burst": (self.rate, "--rate"),
            "repeat": (self.schedule or self.replay, "--schedule or --replay"),
            "ramp": (not (self.schedule or self.replay), "--concurrency or --rate"),
            "max_in_flight": (
                self.rate or self.schedule or self.replay,
                "an open loop: --rate, --schedule or --replay",
            ),
            "body": ("http" in self.protocols, "HTTP: --url http://…, or --protocol http"),
            "max_windows": (not lasts, "a load that lasts until it is stable: leave --duration and --requests out"),
            "stability": (judged, "windows that are held against each other: --window, or no --duration"),
            "stable_windows": (judged, "windows that are held against each other: --window, or no --duration"),
            "max_errors": (not self.find_max, "a sweep; a search goes to where requests fail"),
            "output_bytes": (self.shared_memory == "system", "--shared-memory system"),
            "payloads": (self.data == "random", "--data random"),
            "string_length": (self.data == "random", "--data random"),
            "shape": (self.data in ("random", "zeros"), "--data random or zeros: a file has shapes of its own"),
            **dict.fromkeys(_TLS, (self._over_tls(), "TLS: --url https://… or grpcs://…")),
            "tolerance": (self.check or self._golden(), "--check, or golden samples"),
            "max_regression": (self.baseline, "--baseline"),
        }.items():
            if getattr(self, option) not in (None, ()) and not used:
                raise BadOption(option, f"it says nothing without {needs}")

    def _headers(self) -> dict[str, str]:
        if self.key_file is None:
            return read_headers(self.header)
        try:
            key = key_headers(self.key_file)
        except (OSError, ValueError) as error:
            raise BadOption("key_file", f"{self.key_file} can't be read: {error}") from error
        return key | read_headers(self.header)

    def _golden(self) -> bool:
        return self.data.partition(":")[0] == "golden"

    def _over_tls(self) -> bool:
        return any(url.startswith(("https://", "grpcs://")) for url in self.url)

    @property
    def protocols(self) -> list[str]:
        """What is measured: over the protocols that URLs say, and over those that are asked for where one doesn't."""
        said = [url.partition("://")[0].removesuffix("s") for url in self.url if "://" in url]
        left = not self.url or len(said) < len(self.url)
        asked = [name.strip() for name in self.protocol.split(",")] if left else []
        return list(dict.fromkeys([*said, *asked]))

    def _models(self, dimensions: Dimensions, golden: Path | None) -> tuple[ModelLoad, ...]:
        """Read `NAME[:VERSION][=WEIGHT]`, several with commas between them."""
        from tritonforge.load import ModelLoad

        models: list[ModelLoad] = []
        data = self._data(golden)
        for part in self.model.split(","):
            name, weighs, weight = part.strip().partition("=")
            name, colon, version = name.partition(":")
            share = _weight(weight) if weight else 1.0
            if not name or not share > 0 or bool(weighs) > bool(weight) or bool(colon) > bool(version):
                raise BadOption("model", f"{part!r} is not NAME, NAME:VERSION or NAME=WEIGHT with a weight above 0")
            if any((name, version) == (each.name, each.version) for each in models):
                raise BadOption("model", f"{name} is named twice; give it one weight: {name}=2")
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

    def _data(self, golden: Path | None) -> Data:
        from tritonforge.load import Data

        given = {name: getattr(self, name) for name in ("payloads", "string_length", "tolerance")}
        given = {name: value for name, value in given.items() if value is not None}
        source = f"golden:{golden}" if golden is not None and self.data == "golden" else self.data
        return Data(source, shapes=dict(read_shape(text) for text in self.shape), check=self.check, **given)

    def _loads(self) -> tuple[tuple[Load, ...], tuple[float, ...]]:
        """Give the loads, and the times of a schedule or a recording."""
        from tritonforge.load import Load, parse_loads

        named = [name for name in ("concurrency", "rate", "schedule", "replay") if getattr(self, name) is not None]
        if len(named) > 1:
            raise BadOption(named[1], f"it can't be given beside --{named[0]}; a run has one kind of load")
        kind = named[0] if named else "concurrency"
        if kind in ("schedule", "replay"):
            times = times_of(kind, getattr(self, kind))
            return (Load(kind, mean_rate(times, self.repeat)),), times  # type: ignore[arg-type]
        given = getattr(self, kind)
        text = ",".join(map(str, given)) if isinstance(given, tuple) else "1" if given is None else str(given)
        return read(kind, lambda words: parse_loads(words, kind), text), ()  # type: ignore[arg-type]

    @property
    def inputs(self) -> list[tuple[str, Path]]:
        """The files and folders that are read, each with what names it: `--data`, say."""
        data = self.data.partition(":")[2] if self._golden() else "" if self.data in _KINDS else self.data
        named = {
            name: getattr(self, name) for name in ("schedule", "replay", "key_file", *_FILES_OF_TLS, "baseline")
        } | {"data": Path(data) if data else None, "repository": self.repository}
        return [(as_option(name), path) for name, path in named.items() if path is not None]

    @property
    def outputs(self) -> dict[str, Path]:
        """The files to write, by their kind."""
        return {kind: path for kind in OUTPUTS if (path := getattr(self, kind)) is not None}


def read_scenario(path: Path) -> Scenario:
    """Read a scenario: TOML with the options' names, dashes or underscores; paths (of data, too) are relative to it.

    Raises:
        BadScenario: it is no TOML in UTF-8, or a key or value is no option's; all mistakes are named.
        OSError: it can't be read.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadScenario(str(path), [str(error)], hint="a scenario is TOML in UTF-8") from error
    scenario = scenario_of(data, where=str(path))
    places: dict[str, Any] = {
        field.name: _beside(path, value)
        for field in fields(scenario)
        if isinstance(value := getattr(scenario, field.name), Path)
    }
    return replace(scenario, **places, data=_data_beside(path, scenario.data))


def _data_beside(path: Path, data: str) -> str:
    """Give the data of a scenario's file: `golden:REPO` and files are relative to it, other words are kinds."""
    kind, colon, repository = data.partition(":")
    if kind == "golden" and colon:
        return f"golden:{_beside(path, repository)}"
    return str(_beside(path, data)) if Path(data).suffix else data


def _beside(path: Path, named: Path | str) -> Path:
    """Give a path that is relative to a file's, without a detour by `..`, where that leads to the same place."""
    found = path.parent / named
    plain = Path(os.path.normpath(found))
    return plain if os.path.realpath(plain) == os.path.realpath(found) else found


def scenario_of(options: Mapping[str, Any], *, where: str | None = None) -> Scenario:
    """Make a scenario of options by their names; a single value may stand for a list of one.

    `where` names a file that has them: words that can't be read are mistakes of it, too.

    Raises:
        BadScenario: a name or value is no option's; all mistakes are named.
    """
    from pydantic import TypeAdapter, ValidationError

    data = {key.replace("-", "_"): value for key, value in options.items()}
    # Where a number is wanted, pydantic takes true for 1.
    flags = {name: value for name, value in data.items() if isinstance(value, bool) and name not in _FLAGS}
    mistakes = [(name, f"{str(value).lower()} is none of its values") for name, value in flags.items()]
    data |= {name: [data[name]] for name in _LISTED if isinstance(data.get(name), str)}
    scenario = None
    try:
        scenario = TypeAdapter(Scenario).validate_python(data)
    except ValidationError as error:
        found = [(str(item["loc"][0]) if item["loc"] else "", _reason(item)) for item in error.errors()]
        mistakes += [(name, reason) for name, reason in found if name not in flags]
    if where is not None:
        mistakes += check_words(data)
    if scenario is None or mistakes:
        known = {field.name for field in fields(Scenario)}
        misnamed = any(name not in known for name, _ in mistakes) or "model" not in data
        raise BadScenario(
            where or "the options",
            [f"{name}: {reason}" for name, reason in mistakes],
            hint=_NAMES if misnamed else "",
        )
    return scenario


def _reason(mistake: Mapping[str, Any]) -> str:
    """Say what is wrong, by a mistake that pydantic found; of a name that is none, which one is near it."""
    if mistake["loc"][:1] == ("request_parameter",):
        return _PARAMETERS
    if mistake["type"] == "tuple_type" and mistake["loc"][0] in _SPELLED:
        return f"it is {_SPELLED[mistake['loc'][0]]}, or a list of these"
    if mistake["type"] != "unexpected_keyword_argument":
        return str(mistake["msg"])
    near = get_close_matches(str(mistake["loc"][0]), [field.name for field in fields(Scenario)], 1)
    return f"there is no such option; did you mean {near[0]}?" if near else "there is no such option"


def _weight(text: str) -> float:
    """Read a model's weight; not a number where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


class BadScenario(TritonForgeError):
    """A scenario's file can't be read as options."""

    def __init__(self, where: str, mistakes: list[str], *, hint: str = "") -> None:
        each = "".join(f"\n  {mistake}" for mistake in dict.fromkeys(mistakes))
        super().__init__(f"{where}: no scenario:{each}" + (f"\n  hint: {hint}" if hint else ""))
