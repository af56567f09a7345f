"""The headers of commands that call a server."""

from __future__ import annotations

import pytest
import typer

from tritonforge.cli.call_options import connection_options


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("authorization: Bearer a=b:c", "authorization", "Bearer a=b:c"),
        ("authorization=Bearer a:b", "authorization", "Bearer a:b"),
        (" x-tenant :  blue ", "x-tenant", "blue"),
        ("x-empty:", "x-empty", ""),
    ],
)
def test_a_header_is_written_as_for_curl_or_with_an_equals_sign(text: str, name: str, value: str) -> None:
    assert connection_options(None, [text], None).headers == {name: value}


@pytest.mark.parametrize("text", ["x", ": x", "=x", " : x", ""])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="NAME: VALUE"):
        connection_options(None, [text], None)
