"""What a reload of everything does to models that lost something: a member, a process."""

from __future__ import annotations

import os
import signal
import urllib.error
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from life_support import PORTS, CommandLine
from repositories import DEADLINE_S, ECHO, PYTHON, UNDER_WAY, ensemble_of, infer, until, write_model

from tritonforge.client import Client, ClientError, ConnectionOptions


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line, whose servers are killed at the end."""
    line = CommandLine(tmp_path / "state", tmp_path)
    yield line
    line.run("down", "--all", "--kill")


def test_an_ensemble_that_goes_with_its_member_is_told_and_comes_back_with_it(cli: CommandLine) -> None:
    """Until then no load brings the member back, neither ours nor one that Triton is asked for."""
    models = cli.folder / "models"
    write_model(models, "echo", ECHO)
    write_model(models, "alone", ECHO)
    write_model(models, "twice", None, config=ensemble_of("echo"))
    cli.run("up", "models", "--detach", "--name", "main", *PORTS)
    (models / "echo").rename(cli.folder / "echo")
    lacks = "there is no model echo in the repository, of which it is made"
    told = f"models/twice/config.pbtxt twice: {lacks}\n  hint: put it back there, or take it out of the ensemble"
    said = cli.run("reload", code=1)
    assert "echo unloaded: the repository no longer has it\n  and what is made of it: twice\n" in said
    assert told in said
    said = cli.run("reload", code=1)
    assert told in said
    assert "stays unloaded" not in said
    assert told in cli.run("load", "twice", code=1)
    assert f"model twice 1 state=UNAVAILABLE requests=0 failed=0 {lacks}\n" in cli.run("status", code=1)
    options = ConnectionOptions(headers={"triton-key": cli.key("main")})
    with Client(cli.record("main")["http_url"], options=options) as client:
        for name in ("echo", "twice"):
            with pytest.raises(ClientError):
                client.admin.load(name)
    assert cli.run("load", "alone") == "alone 1 loaded\n"
    (cli.folder / "echo").rename(models / "echo")
    said = cli.run("reload")
    assert said.startswith("echo 1 loaded in ")
    assert "and with it: twice" in said
    assert infer(cli.record("main")["http_url"], "twice", 2.0) == 2.0
    assert cli.status("main")["healthy"]
    assert cli.run("reload") == "nothing has changed\n"


def test_requests_on_the_copies_that_outlived_another_are_answered_before_these_are_ended(cli: CommandLine) -> None:
    """Triton (24.10) would keep such copies for ever: the request of the one that died counts as under way."""
    released = cli.folder / "released"
    wait = f"while inputs[0] > 0 and not os.path.exists({str(released)!r}):\n            time.sleep(0.01)"
    code = ECHO.replace("        return", f'        print("{UNDER_WAY}", inputs[0])\n        {wait}\n        return')
    config = f"{PYTHON} instance_group {{ count: 2 kind: KIND_CPU }}"
    write_model(cli.folder / "models", "held", f"import os\nimport time\n{code}", config=config)
    cli.run("up", "models", "--detach", "--name", "main", *PORTS)
    record, trace = cli.record("main"), cli.trace("main")
    killed, survivor = trace.stubs()
    os.kill(killed, signal.SIGKILL)
    until(lambda: fails(record["http_url"]), "a request meets the process that died")
    with ThreadPoolExecutor() as requests:
        answer = requests.submit(holds, record["http_url"])
        until(lambda: f"{UNDER_WAY} [[1.]]" in Path(record["log"]).read_text(), UNDER_WAY)
        with cli.start("reload") as reload:
            assert reload.stdout is not None
            assert reload.stdout.readline().startswith("held 1 reloaded in ")
            assert reload.stdout.readline() == TOLD
            assert survivor in trace.stubs()
            released.touch()
            assert answer.result() == 1.0
            assert reload.wait(DEADLINE_S) == 0
    until(lambda: survivor not in trace.stubs(), "what was left of the version before is ended")
    assert len(trace.stubs()) == 2
    assert cli.status("main")["healthy"]
    assert not fails(record["http_url"])
    assert cli.run("reload") == "nothing has changed\n"


TOLD = "held: 1 process of the version before, which Triton would keep for ever: ended in 5 s\n"


def fails(url: str) -> bool:
    """Tell whether a request is refused."""
    try:
        return infer(url, "held", 0.0) != 0.0
    except urllib.error.HTTPError as error:
        error.close()
        return True


def holds(url: str) -> float:
    """Ask for an answer that is held, by a process that is there."""
    while True:
        try:
            return infer(url, "held", 1.0)
        except urllib.error.HTTPError as error:
            error.close()
