"""What the client says in the log: nothing by itself; asked, what it does, and nothing of what is sent."""

from __future__ import annotations

import logging
import subprocess
import sys

from tritonforge.client import Breaker
from tritonforge.client.message import Tensor

from .fault_server import FaultServer, answer_all, then_close
from .observed import REQUEST, observed


def test_nothing_is_printed_where_nobody_asked():
    script = (
        "import logging, tritonforge\n"
        "logging.getLogger('tritonforge.client').error('a word')\n"
        "assert not logging.getLogger().handlers"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_retries_and_circuits_are_told_without_the_words_of_either_side(caplog):
    caplog.set_level(logging.DEBUG, "tritonforge")
    words = b"token-of-someone"  # a proxy may well quote what it was sent
    bad = b"HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n" % len(words) + words
    secret = Tensor("x", "BYTES", (1,), b"\x06\0\0\0secret")
    with (
        FaultServer(then_close(bad), then_close(bad), answer_all) as server,
        observed(server.url, breaker=Breaker(failures=2, pause_s=0.001)) as line,
    ):
        line.infer_at_last(REQUEST._replace(inputs=(secret,)))
    text = caplog.text
    assert f"{server.url} failed a call to m: ServerUnavailable (503); the next attempt in" in text
    assert f"{server.url} is left alone for a while, after 2 failures in a row" in text
    assert f"{server.url} takes calls again" in text
    assert "secret" not in text
    assert words.decode() not in text
    assert {record.levelname for record in caplog.records if record.name == "tritonforge.client"} == {"DEBUG"}


def test_retries_are_quiet_where_there_are_none(caplog):
    caplog.set_level(logging.DEBUG, "tritonforge")
    with FaultServer(answer_all) as server, observed(server.url) as line:
        line.infer()
    assert not [record for record in caplog.records if record.name.startswith("tritonforge")]
