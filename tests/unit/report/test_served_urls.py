"""Which URLs a sweep is on."""

from __future__ import annotations

import pytest

from tritonforge.report.options import BadOption
from tritonforge.report.scenario import Scenario
from tritonforge.report.served import served


@pytest.mark.parametrize(
    ("url", "protocol", "expected"),
    [
        ((), "http", ("http://127.0.0.1",)),
        ((), "grpc,http", ("grpc://127.0.0.1", "http://127.0.0.1")),
        (("gpu-box",), "http,grpc", ("http://gpu-box", "grpc://gpu-box")),
        (("gpu-box:9000",), "grpc", ("grpc://gpu-box:9000",)),
        (("grpcs://gpu-box",), "grpc", ("grpcs://gpu-box",)),
        (("grpc://a:1", "http://b:2"), "http", ("grpc://a:1", "http://b:2")),
        (("grpc://a:1", "https://b:2"), "http,grpc", ("grpc://a:1", "https://b:2")),
        (("grpc://a:1", "https://b:2"), "grpc,http", ("grpc://a:1", "https://b:2")),
    ],
)
def test_a_host_alone_is_measured_by_each_protocol(
    url: tuple[str, ...], protocol: str, expected: tuple[str, ...]
) -> None:
    with served(Scenario("m", url=url, protocol=protocol)) as what:
        assert what.urls == expected


@pytest.mark.parametrize(
    ("url", "protocol", "reason"),
    [
        ("http://a:1", "http,grpc", "grpc is asked for, and no URL is over it: http://a:1; give --url grpc://… too"),
        ("http://a:1", "grpc", "grpc is asked for beside the URL http://a:1, .* leave --protocol out"),
        ("a:1", "http,grpc", "a:1 is one port"),
        ("a", "http,ftp", "'ftp' is unknown"),
        ("a", "http,http", "http,http has http more than once"),
    ],
)
def test_a_url_that_says_otherwise_is_refused(url: str, protocol: str, reason: str) -> None:
    with pytest.raises(BadOption, match=f"--protocol: {reason}"), served(Scenario("m", url=(url,), protocol=protocol)):
        raise AssertionError


@pytest.mark.parametrize(
    ("urls", "named"),
    [
        (("http://a:1", "http://b:1"), "http://a:1 http://b:1"),
        (("https://a:1", "http://a:1"), "https://a:1 http://a:1"),
        (("grpc://a:1", "http://a:2", "grpc://a:1"), "grpc://a:1 grpc://a:1"),
        (("a", "b"), "http://a http://b"),
    ],
)
def test_servers_that_a_report_could_not_tell_apart_are_refused(urls: tuple[str, ...], named: str) -> None:
    words = f"--url: .* nobody could tell their rows apart; .*: tritonforge perf compare {named} --model NAME"
    with pytest.raises(BadOption, match=words), served(Scenario("m", url=urls)):
        raise AssertionError
