"""What a reload of everything does to models that lost something: a member, a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from life_support import PORTS, CommandLine
from repositories import ECHO, ensemble_of, infer, write_model

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
