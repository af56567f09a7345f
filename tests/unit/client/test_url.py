"""The URLs that a client takes."""

from __future__ import annotations

import pytest

from tritonforge.client.url import parse_url


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://localhost:9000", "http://localhost:9000"),
        ("localhost:9000", "http://localhost:9000"),
        ("10.0.0.1", "http://10.0.0.1:8000"),
        ("http://triton", "http://triton:8000"),
        ("grpc://triton", "grpc://triton:8001"),
        ("grpc://triton:1/", "grpc://triton:1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://proxy/triton/", "http://proxy:8000/triton"),
        ("https://proxy", "https://proxy:443"),
        ("grpcs://triton", "grpcs://triton:8001"),
    ],
)
def test_a_url_is_completed(url, wanted):
    assert str(parse_url(url)) == wanted


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "ftp://host",
        "http://host:port",
        "http://host:70000",
        "http://host:0",
        "grpc://host:0",
        "http://user@host",
        "http://host?x=1",
        "grpc://host/path",
        "http://host\r\nX: y",
        "http://a b",
        "http://hôst",
    ],
)
def test_what_is_no_server_url_is_refused_with_what_is(url):
    with pytest.raises(ValueError, match="http://host:port or grpc://host:port"):
        parse_url(url)


@pytest.mark.parametrize("url", ["http://host:8000/v2", "host/v2/models/m", "https://proxy/triton/v2/"])
def test_a_path_of_tritons_own_is_refused_but_no_proxys(url):
    with pytest.raises(ValueError, match=r"which is Triton's: the client adds Triton's own paths"):
        parse_url(url)
    assert parse_url("http://proxy/v2x").path == "/v2x"


def test_a_path_over_grpc_is_told():
    with pytest.raises(ValueError, match="Triton has no path over gRPC"):
        parse_url("grpc://host/triton")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:hidden@host", "'http://…@host'"),
        ("me:hidden@host:8000", "'…@host:8000'"),
        ("grpc://me:hidden@host/path", "'grpc://…@host/path'"),
        ("ftp://me:hidden@host", "'ftp://…@host'"),
        ("http://me:hidden@host:0", "'http://…@host:0'"),
        ("http://me:hidden@host:70000", "'http://…@host:70000'"),
        ("http://me:hid/den@host", "'http://…@host'"),
        ("http://me:hid@den@host/v2", "'http://…@host/v2'"),
    ],
)
def test_a_password_in_a_url_is_refused_and_not_shown(url, shown):
    with pytest.raises(ValueError, match=r"credentials go in a header, as in ConnectionOptions\(headers=") as caught:
        parse_url(url)
    assert str(caught.value).startswith(shown)
    assert "hid" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_at_sign_in_a_path_is_no_password():
    assert parse_url("http://proxy/@team").path == "/@team"
