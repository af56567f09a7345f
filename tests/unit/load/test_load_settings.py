"""Loads and objectives as text, and settings that can't be carried out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tritonforge.load import Data, InvalidLoad, Load, ModelLoad, Settings, Slo, parse_loads, parse_slo
from tritonforge.load.settings_check import check_settings


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", [8]),
        ("1,2,8", [1, 2, 8]),
        ("1:4", [1, 2, 3, 4]),
        ("1:10:4", [1, 5, 9]),
        ("1:64:x2", [1, 2, 4, 8, 16, 32, 64]),
        ("1:4,16", [1, 2, 3, 4, 16]),
    ],
)
def test_loads_are_read(text: str, values: list[int]) -> None:
    assert parse_loads(text) == tuple(Load("concurrency", value) for value in values)


def test_rates_may_be_fractions() -> None:
    assert parse_loads("0.5:2:x2", "rate") == (Load("rate", 0.5), Load("rate", 1), Load("rate", 2))


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "4:1", "1:8:x1", "1:8:0", "1:2:3:4", "1.5", "nan", "inf"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"can't be read|no load above 0|whole number"):
        parse_loads(text)


def test_a_range_that_ends_before_it_starts_is_told() -> None:
    with pytest.raises(ValueError, match="'4:1' can't be read \\(1, its end, is below 4, its start\\)"):
        parse_loads("4:1")


@pytest.mark.parametrize("text", ["1,1", "4,1:4", "1:8:x2,2"])
def test_a_load_that_is_named_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[124] is in it more than once"):
        parse_loads(text)


def test_objectives_are_read() -> None:
    assert parse_slo("p99=10ms,mean=500us,p99.9=1s") == (Slo("p99", 1e4), Slo("mean", 500), Slo("p99.9", 1e6))


@pytest.mark.parametrize(
    "text", ["p99=5ms,p99=10ms", "p99=5ms,mean=1ms,p99.0=5ms", "mean=1s,mean=2s", "p100=1s,max=1s"]
)
def test_an_objective_that_is_named_twice_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"(p99|p99\.0|mean|max) is in it more than once; each has one limit"):
        parse_slo(text)


@pytest.mark.parametrize(
    "text",
    [
        "p99",
        "p99=10",
        "p0=1ms",
        "p101=1ms",
        "p99=1ns",
        "median=1ms",
        "",
        "p99=0ms",
        "max=0.0001us",
        f"max={'9' * 400}s",
    ],
)
def test_other_objectives_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an objective; .* in us, ms or s"):
        parse_slo(text)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"models": ()}, "no model is named"),
        (
            {"parameters": {"a": [1]}},
            r"parameters has 'a': \[1\]; a parameter has a name, and is a bool, int, float or",
        ),
        ({"parameters": {3: 1}}, "parameters has 3: 1; a parameter has a name"),
        ({"parameters": {"": 1}}, "parameters has '': 1; a parameter has a name"),
        ({"parameters": {"sequence_end": True}}, '"sequence_end" is of sequences: .*their length is sequence_length'),
        ({"parameters": {"binary_data_output": False}}, "has a name that Triton takes for itself"),
        ({"window_s": 0.0}, "window_s is 0; it is above 0"),
        ({"window_s": float("inf")}, "window_s is inf; it is a finite number, above 0"),
        ({"timeout_s": 0.0}, "timeout_s is 0; it is above 0"),
        ({"gamma_shape": -1.0}, "gamma_shape is -1; it is a finite number, at least 0.01"),
        ({"gamma_shape": 1e-5}, "gamma_shape is 1e-05; it is .* at least 0.01: of less, bursts of more than 100"),
        ({"gamma_shape": float("nan")}, "gamma_shape is nan"),
        ({"processes": 100_000}, r"processes is 100000; it is at most \d+, 16 for each of this machine's processors"),
        ({"duration_s": -1.0}, "duration_s is -1; it is above 0"),
        ({"warmup_s": -1.0}, "warmup_s is -1; it is at least 0"),
        ({"ramp_s": -1.0}, "ramp_s is -1; it is at least 0"),
        *(
            (
                {"models": (ModelLoad("m", data=Data(tolerance=each)),)},
                f"m: tolerance is {each}; it is a finite number, at",
            )
            for each in (-1, math.nan, math.inf)
        ),
        ({"stability": float("nan")}, "stability is nan; it is a finite number, at least 0"),
        ({"seed": -1}, "seed is -1; it is at least 0"),
        ({"requests": 0}, "requests is 0; it is at least 1"),
        ({"burst": 0}, "burst is 0; it is at least 1"),
        ({"output_bytes": 0}, "output_bytes is 0; it is at least 1"),
        ({"duration_s": 1.0, "requests": 5}, "duration_s and requests are both given"),
        ({"loads": (Load("schedule", 1),)}, "no times_s"),
        ({"stable_windows": 5, "max_windows": 2}, "stable_windows is 5, max_windows 2: of so few"),
        ({"models": (ModelLoad("m", weight=-1.0),)}, "m: its weight is -1; it is above 0"),
        ({"models": (ModelLoad("m", sequence_length=-1),)}, "sequence_length is -1"),
        ({"models": (ModelLoad("m", data=Data(payloads=0)),)}, "payloads is 0; it is at least 1"),
        ({"duration_s": 1e300}, r"duration_s is 1e\+300; it is at most 1e\+09"),
        ({"repeat_s": 1e300}, r"repeat_s is 1e\+300; it is at most"),
        ({"times_s": (0.0, 1e300)}, r"times_s has a time that isn't within 0 and 1e\+09 s"),
        ({"times_s": (float("nan"),)}, "times_s has a time that"),
        ({"headers": {"key": "a\r\nX-b: c"}}, r"header 'key': its value has '\\r'; it is printable ASCII"),
        ({"headers": {"key": "token\n"}}, r"header 'key': its value has '\\n'"),
        ({"headers": {"key": "€"}}, "header 'key': its value has '€'"),
        ({"headers": {"clé": "a"}}, "header 'clé': it is no name of a header; over http"),
        ({"headers": {"a b": "a"}}, "header 'a b': it is no name"),
        ({"headers": {"Content-Length": "4"}}, "header 'Content-Length': it says where a request ends"),
        ({"headers": {"transfer-encoding": "chunked"}}, "header 'transfer-encoding': it says where"),
        ({"requests": 7, "loads": (Load("concurrency", 8),)}, "requests is 7, and concurrency 8 has more .* give 8 or"),
        ({"headers": {"a&b": "a"}, "url": "grpc://127.0.0.1:1"}, "header 'a&b': it is no name of a header; over grpc"),
    ],
    ids=str,
)
def test_numbers_out_of_their_bounds_are_refused(changed: dict[str, Any], words: str) -> None:
    settings = Settings("http://127.0.0.1:1", (ModelLoad("m"),))
    check_settings(settings)
    with pytest.raises(InvalidLoad, match=words):
        check_settings(replace(settings, **changed))
