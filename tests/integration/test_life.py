"""A server's life from the command line: started, watched, reloaded, stopped; and how it dies."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from life_support import PORTS, CommandLine
from repositories import DEADLINE_S, ECHO, SLOW, UNDER_WAY, ensemble_of, infer, until, write_model

from tritonforge.client import Client, ConnectionOptions

TAKEN_FIRST = """\
import sys
from tritonforge.cli import main
from tritonforge.server import ports

free_ports, taken = ports.free_ports, [int(sys.argv.pop())]
ports.free_ports = lambda host, count: [taken.pop(), *free_ports(host, 2)] if taken else free_ports(host, count)
main()
"""

BROKEN_WORDS = "RuntimeError: this version is broken"
BROKEN = "raise RuntimeError('this version is broken')"


@contextmanager
def probed(url: str) -> Iterator[list[int]]:
    """Ask for something a hundred times a second, for the block, and give the statuses of the answers."""
    answers: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.01):  # without a pause it takes a processor from what is probed
            try:
                with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
                    answers.append(answer.status)
            except urllib.error.HTTPError as error:
                answers.append(error.code)
                error.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def refusal(url: str) -> int:
    """Post to an address that refuses it, without a key, and give the status."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, b"{}", method="POST"))
    refused.value.close()
    return refused.value.code


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line, whose servers are killed at the end."""
    line = CommandLine(tmp_path / "state", tmp_path)
    yield line
    line.run("down", "--all", "--kill")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A detached server `main` of the models `echo` and `double`, which tests may load and unload."""
    folder = tmp_path_factory.mktemp("life")
    line = CommandLine(folder / "state", folder)
    write_model(folder / "models", "echo", ECHO)
    write_model(folder / "models", "double", ECHO.replace("as_numpy()", "as_numpy() * 2"))
    said = line.run("up", "models", "--detach", "--name", "main", *PORTS)
    assert said.endswith("ready\n")
    assert "models was not built by tritonforge; Python code of its models runs as you: double, echo" in said
    yield line
    left = line.trace("main")
    assert left.remains()
    assert line.run("down", "main") == "main stopped\n"
    assert left.remains() == []
    assert line.run("status") == "no server runs; start one with: tritonforge up\n"


def test_status_shows_models_with_their_processes_and_times(shared: CommandLine) -> None:
    """As JSON, and as lines where nobody reads a table."""
    url = shared.record("main")["http_url"]
    for _ in range(3):
        assert infer(url, "double", 2.0) == 4.0
    found = shared.status("main")
    assert (found["state"], found["healthy"], found["http_url"]) == ("running", True, url)
    double = next(model for model in found["models"] if model["name"] == "double")
    expected = {"version": "1", "state": "READY", "kind": "python", "instances": 1, "alive": 1, "failures": 0}
    assert expected.items() <= double.items()
    assert double["requests"] >= 3
    assert 0 < double["p50_us"] <= double["p99_us"]
    lines = shared.run("status", "--name", "main").splitlines()
    assert lines[0] == f"server main running {url} {found['grpc_url']} {found['metrics_url']}"
    assert [line.split()[:3] for line in lines[1:]] == [["model", "double", "1"], ["model", "echo", "1"]]


@pytest.mark.parametrize("command", [["status"], ["unload", "double"], ["reload", "double"]], ids=" ".join)
def test_a_server_of_ones_own_that_wants_a_key_is_named(command: list[str], shared: CommandLine) -> None:
    """Where it was given by its address: its key is known by its name."""
    said = shared.run(*command, "--url", shared.record("main")["http_url"].replace("127.0.0.1", "localhost"), code=1)
    assert "hint: it is your server main, whose key is found by its name: --name main in place of --url" in said


@pytest.mark.parametrize("command", ["reload", "load", "unload"])
def test_a_server_in_the_place_of_a_model_is_told_as_one(command: str, shared: CommandLine) -> None:
    said = " ".join(shared.run(command, "main", code=2).replace("│", " ").split())
    assert f"main is a server: tritonforge {command} --name main " in said


def test_status_is_shown_anew_each_second(shared: CommandLine) -> None:
    """A line of JSON each time, until Ctrl-C."""
    with shared.start("status", "main", "--watch", "--json") as watching:
        assert watching.stdout is not None
        shown = [json.loads(watching.stdout.readline()) for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(DEADLINE_S) == 0
    assert [[server["name"] for server in servers] for servers in shown] == [["main"], ["main"]]


def test_a_dead_process_is_seen_and_started_again(shared: CommandLine) -> None:
    """Triton itself calls the model READY; a reload of what changed takes it along."""
    stub = next(
        pid for pid in shared.trace("main").stubs() if b"/echo/1/model.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(stub, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{stub}/cmdline").read_bytes(), "the process is dead")
    found = shared.status("main", code=1)
    echo = next(model for model in found["models"] if model["name"] == "echo")
    assert (echo["state"], echo["alive"], echo["instances"]) == ("READY", 0, 1)
    assert "start it again with: tritonforge reload echo --name main" in shared.run("status", code=1)
    assert shared.run("reload").startswith("echo 1 reloaded in ")
    assert shared.run("reload", "--name", "main") == "nothing has changed\n"
    assert shared.status("main")["healthy"]
    assert infer(shared.record("main")["http_url"], "echo", 3.0) == 3.0


def test_a_dead_process_whose_new_version_fails_is_told_with_what_comes_first(cli: CommandLine) -> None:
    write_model(cli.folder / "models", "echo", ECHO)
    cli.run("up", "models", "--detach", "--name", "main", *PORTS)
    (cli.folder / "models" / "echo" / "1" / "model.py").write_text(BROKEN)
    (stub,) = cli.trace("main").stubs()
    os.kill(stub, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{stub}/cmdline").read_bytes(), "the process is dead")
    cli.run("reload", code=1)
    mend = "a process of it has died; mend what fails to load, then start it again with: tritonforge reload echo"
    assert mend in cli.run("status", code=1)


def test_reload_takes_what_changed_and_keeps_the_old_where_that_is_broken(shared: CommandLine) -> None:
    """The new version replaces the old; a broken one, and a broken configuration, are told at their own files."""
    models, url = shared.folder / "models", shared.record("main")["http_url"]
    assert shared.run("reload") == "nothing has changed\n"
    (models / "echo" / "1").rename(models / "echo" / "2")
    (models / "echo" / "2" / "model.py").write_text(ECHO.replace("as_numpy()", "as_numpy() + 1"))
    assert shared.run("reload").startswith("echo 2 reloaded in ")
    assert infer(url, "echo", 1.0) == 2.0
    (models / "echo" / "3").mkdir()
    (models / "echo" / "3" / "model.py").write_text(BROKEN)
    shutil.rmtree(models / "echo" / "2")
    assert "models/echo/3/model.py:1 echo: failed to load: RuntimeError: this version is broken" in shared.run(
        "reload", "echo", code=1
    )
    assert infer(url, "echo", 1.0) == 2.0
    config = (models / "echo" / "config.pbtxt").read_text()
    (models / "echo" / "config.pbtxt").write_text("nonsense: 1")
    assert "models/echo/config.pbtxt:1 echo: can't be read: " in shared.run("reload", "echo", code=1)
    assert infer(url, "echo", 1.0) == 2.0
    (models / "echo" / "config.pbtxt").write_text(config)
    (models / "echo" / "3" / "model.py").write_text(ECHO)
    assert shared.run("reload", "echo").startswith("echo 3 reloaded in ")
    assert infer(url, "echo", 1.0) == 1.0


def test_readiness_and_status_forget_a_failed_reload_once_a_newer_version_serves(cli: CommandLine) -> None:
    """A probe of readiness never takes the server out: through a good reload, a failed one, and the next good one."""
    models = cli.folder / "models"
    write_model(models, "echo", ECHO)
    cli.run("up", "models", "--detach", "--name", "main", *PORTS)

    def next_version(number: int, code: str) -> None:
        (models / "echo" / str(number - 1)).rename(models / "echo" / str(number))
        (models / "echo" / str(number) / "model.py").write_text(code)

    def states() -> dict[str, str]:
        return {model["version"]: model["state"] for model in cli.status("main")["models"]}

    with probed(f"{cli.record('main')['http_url']}/v2/health/ready") as answers:
        next_version(2, ECHO)
        assert cli.run("reload").startswith("echo 2 reloaded in ")
        until(lambda: states() == {"2": "READY"}, "the old version is unloaded")
        next_version(3, BROKEN)
        cli.run("reload", code=1)
        assert not cli.status("main", code=1)["healthy"]
        said = cli.run("status", code=1)
        assert "model echo 3 state=UNAVAILABLE" in said
        assert "RuntimeError: this version is broken (version 2 serves)" in said
        next_version(4, ECHO)
        assert cli.run("reload").startswith("echo 4 reloaded in ")
        until(lambda: states() == {"4": "READY"}, "the old version is unloaded")
        assert cli.run("unload", "echo") == "echo unloaded\n"
        assert cli.run("load", "echo").startswith("echo 4 loaded")
        cli.status("main")
    assert set(answers) == {200}


def test_one_model_that_fails_keeps_no_other_from_its_reload_and_is_shown_until_it_is_mended(cli: CommandLine) -> None:
    """A new one that has never served, one of the same version number, and one whose versions are all gone, too."""
    models = cli.folder / "models"
    for name in ("alone", "echo"):
        write_model(models, name, ECHO)
    cli.run("up", "models", "--detach", "--name", "main", *PORTS)
    url = cli.record("main")["http_url"]
    write_model(models, "added", BROKEN)
    (models / "alone" / "1" / "model.py").write_text(BROKEN)
    (models / "echo" / "1" / "model.py").write_text(ECHO.replace("as_numpy()", "as_numpy() + 1"))
    said = cli.run("reload", code=1)
    assert [line.split()[1] for line in said.splitlines() if BROKEN_WORDS in line] == ["added:", "alone:"]
    assert "echo 1 reloaded in " in said
    assert (infer(url, "alone", 1.0), infer(url, "echo", 1.0)) == (1.0, 2.0)
    shown = cli.run("status", code=1)
    assert f"model added 1 state=UNAVAILABLE requests=0 failed=0 failed to load: {BROKEN_WORDS}" in shown
    assert f"failed to load: {BROKEN_WORDS} (version 1 serves)" in shown
    for name in ("added", "alone"):
        (models / name / "1" / "model.py").write_text(ECHO)
    cli.run("reload")
    assert cli.status("main")["healthy"]
    shutil.rmtree(models / "alone" / "1")
    assert "models/alone alone: " in cli.run("reload", code=1)
    assert "\nmodel alone state=UNAVAILABLE requests=0 " in cli.run("status", code=1)  # of no version
    assert infer(url, "alone", 1.0) == 1.0


def test_only_chosen_models_are_loaded_at_the_start(cli: CommandLine) -> None:
    for name in ("echo", "other"):
        write_model(cli.folder / "models", name, ECHO)
    said = cli.run("up", "models", "--detach", "--name", "main", "--set", "load_models=echo", *PORTS)
    assert "model echo 1 python READY (" in said
    assert "\nmodel other not loaded\n" in said
    url = cli.record("main")["http_url"]
    assert infer(url, "echo", 1.0) == 1.0
    assert cli.status("main")["healthy"]
    assert cli.run("load", "other") == "other 1 loaded\n"
    assert infer(url, "other", 1.0) == 1.0
    for none in ("load_models=", "load_models=[]"):
        said = cli.run("up", "models", "--detach", "--name", "bare", "--set", none, *PORTS)
        assert "no model is loaded: tritonforge load MODEL" in said
        bare = cli.record("bare")["http_url"]
        with Client(bare) as client:
            assert (client.is_ready(), client.is_ready("echo")) == (True, False)
        found = cli.status("bare")
        assert (found["healthy"], found["models"]) == (True, [])
        assert cli.run("load", "echo", "--name", "bare") == "echo 1 loaded\n"
        assert infer(bare, "echo", 1.0) == 1.0
        cli.run("down", "bare", "--kill")
    unknown = cli.run("up", "models", "--set", "load_models=echo,nope", *PORTS, code=1)
    assert "load_models: the repository has no model nope" in unknown


def test_unloading_and_loading_name_the_ensembles_that_go_along(cli: CommandLine) -> None:
    """Triton takes them away, and brings them back, without a word."""
    write_model(cli.folder / "models", "echo", ECHO)
    write_model(cli.folder / "models", "twice", None, config=ensemble_of("echo"))
    cli.run("up", "models", "--detach", "--name", "ensembles", *PORTS)
    assert cli.run("unload", "echo") == "echo unloaded\n  and what is made of it: twice\n"
    assert cli.run("load", "echo") == "echo 1 loaded\n  and with it: twice\n"
    assert cli.run("unload", "echo", "twice") == "echo unloaded\n  and what is made of it: twice\n"


def test_the_counts_of_an_ensemble_outlast_loads_of_what_it_is_not_made_of(cli: CommandLine) -> None:
    """Triton (24.10) would zero them at each load, once a member had been loaded again."""
    for name in ("echo", "alone"):
        write_model(cli.folder / "models", name, ECHO)
    for name, member in (("inner", "echo"), ("around", "inner")):
        write_model(cli.folder / "models", name, None, config=ensemble_of(member))
    cli.run("up", "models", "--detach", "--name", "ensembles", *PORTS)
    url = cli.record("ensembles")["http_url"]
    assert infer(url, "around", 1.0) == 1.0
    cli.run("reload", "echo")
    around = next(model for model in cli.status("ensembles")["models"] if model["name"] == "around")
    assert (around["requests"], around["mean_us"], around["p50_us"]) == (0, None, None)
    assert infer(url, "around", 1.0) == 1.0
    for command in (["reload", "alone"], ["unload", "alone"], ["load", "alone"]):
        cli.run(*command)
        counts = {model["name"]: model["requests"] for model in cli.status("ensembles")["models"]}
        assert {name: counts[name] for name in ("around", "echo", "inner")} == {"around": 1, "echo": 1, "inner": 1}


def test_a_model_that_cannot_be_loaded_keeps_no_other_from_it(shared: CommandLine) -> None:
    told = shared.run("unload", "double", "nosuch", "echo", code=1)
    assert "double unloaded" in told
    assert "the server serves no model nosuch" in told
    assert "echo unloaded" in told
    told = shared.run("load", "double", "nosuch", "echo", code=1)
    assert "double 1 loaded" in told
    assert "there is no model nosuch" in told
    assert re.search(r"echo \d loaded", told)


def test_load_and_unload(shared: CommandLine) -> None:
    """A mistaken name is said, with what to do; one that is given twice counts once."""
    url = shared.record("main")["http_url"]
    assert shared.run("unload", "double", "double") == "double unloaded\n"
    with pytest.raises(urllib.error.HTTPError) as refused:
        infer(url, "double", 1.0)
    refused.value.close()
    assert shared.run("load", "double", "double") == "double 1 loaded\n"
    assert shared.run("reload", "double", "double").count("reloaded in") == 1
    assert infer(url, "double", 1.0) == 2.0
    assert "the server serves no model doubel;" in shared.run("unload", "doubel", code=1)
    for command in ("load", "reload"):
        unknown = shared.run(command, "doubel", code=1)
        assert unknown.startswith("error: there is no model doubel in ")
        assert "; did you mean double?" in unknown


def test_a_model_whose_files_came_with_its_load_is_shown_and_unloaded(shared: CommandLine) -> None:
    """Triton's index omits it (24.10)."""
    config: dict[str, Any] = {"backend": "python", "max_batch_size": 0}
    for side, name in (("input", "x"), ("output", "y")):
        config[side] = [{"name": name, "data_type": "TYPE_FP32", "dims": [1]}]
    options = ConnectionOptions(headers={"triton-key": shared.key("main")})
    with Client(shared.record("main")["http_url"], options=options) as client:
        client.admin.load("given", config=config, files={"1/model.py": ECHO.encode()})
    found = {model["name"]: model for model in shared.status("main")["models"]}
    assert (found["given"]["state"], found["given"]["alive"]) == ("READY", None)
    assert shared.run("unload", "given") == "given unloaded\n"
    assert "the server serves no model given;" in shared.run("unload", "given", code=1)


def test_a_second_server_of_the_name_is_refused(shared: CommandLine) -> None:
    """The first goes on."""
    said = shared.run("up", "models", "-d", "--name", "main", *PORTS, code=1)
    assert "a server named main runs already (process " in said
    assert "there is no server named other; there is main" in shared.run("status", "other", code=1)
    assert shared.status("main")["state"] == "running"


def test_logs_are_of_all_models_or_of_one(shared: CommandLine) -> None:
    """The log of a detached server is in the state folder."""
    assert "successfully loaded 'echo'" in shared.run("logs")
    of_double = shared.run("logs", "main", "--model", "double")
    assert "successfully loaded 'double'" in of_double
    assert "successfully loaded 'echo'" not in of_double
    with shared.start("logs", "main", "--follow") as follower:
        assert follower.stdout is not None
        until(lambda: "Started HTTPService" in follower.stdout.readline(), "the log is shown")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(DEADLINE_S) == 0
    with shared.start("logs", "main", "--follow", "--model", "double") as follower:
        assert follower.stdout is not None
        until(lambda: "successfully loaded 'double'" in follower.stdout.readline(), "what was written is shown")
        shared.run("reload", "double")
        until(lambda: "loading: double:1" in follower.stdout.readline(), "what is added is shown")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(DEADLINE_S) == 0


def test_servers_run_side_by_side_by_name(shared: CommandLine) -> None:
    """A public one tells its key on the terminal, and its file has it; each command finds the one that is named.

    What is named as wanting a key leaves nothing open of what changes the server.
    """
    said = shared.run("up", "models", "-d", "-n", "other", "--public", "--set", "restricted_apis=inference", *PORTS)
    try:
        folder = shared.folder_of("other")
        key = shared.key("other")
        wanted = "(triton-key header, for model-repository, shared-memory, trace, logging, inference)"
        assert said.count(key) == 1
        assert f"key {key} in {folder / 'key'} {wanted}" in said
        assert (folder / "key").stat().st_mode & 0o777 == 0o600
        written = [path for path in folder.iterdir() if path.name != "key"]
        assert not any(key in path.read_text() for path in written)
        address = shared.record("other")["http_url"]
        assert refusal(f"{address}/v2/repository/models/echo/load") == 403
        assert refusal(f"{address}/v2/models/echo/infer") == 403
        with_key = ("--url", address, "--key-file", str(folder / "key"))
        assert "; it is the key: --key-file; " in shared.run("infer", "echo", "-i", "x=1", *with_key[:2], code=1)
        assert "1." in shared.run("infer", "echo", "-i", "x=1", *with_key)
        assert "hint: it is your server other" in shared.run("status", *with_key[:2], code=1)
        assert "state=READY" in shared.run("status", *with_key)
        lines = [line.split() for line in shared.run("status").splitlines() if line.startswith("server ")]
        assert [line[1:3] for line in lines] == [["main", "running"], ["other", "running"]]
        assert "name a server; there are main, other" in shared.run("reload", "echo", code=1)
        assert shared.run("reload", "echo", "--name", "other").startswith("echo ")
    finally:
        assert shared.run("down", "other", "other") == "other stopped\n"
    assert shared.status("main")["state"] == "running"


def test_the_key_opens_model_control_and_nobody_else_sees_it(shared: CommandLine) -> None:
    """Another program of the same machine, or a page in a browser, can't load models; the key is in no command line."""
    record = shared.record("main")
    key_file = shared.folder_of("main") / "key"
    key = shared.key("main")
    assert key_file.stat().st_mode & 0o777 == 0o600
    path = f"{record['http_url']}/v2/repository/models/echo/load"
    assert refusal(path) == 403
    load = urllib.request.Request(path, b"{}", {"triton-key": key}, method="POST")
    with urllib.request.urlopen(load) as answer:
        assert answer.status == 200
    assert shared.run("stubs", record["http_url"], "-o", "served.py") == "2 models in served.py\n"  # open to all
    command = Path(f"/proc/{record['server_pid']}/cmdline").read_bytes().split(b"\0")
    assert b"--http-restricted-api=model-repository:triton-key=***" in command
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(key.encode() in line for line in lines)
    assert key not in Path(record["log"]).read_text()
    own = shared.run("reload", "echo", "--url", record["http_url"], "--key-file", str(key_file), code=1)
    assert "hint: it is your server main, which is shown what changed by its name: --name main in place of --url" in own


def test_a_port_that_was_free_and_is_taken_when_the_server_starts_is_replaced(cli: CommandLine) -> None:
    """What is found free for a port of 0 may be another process's a moment later."""
    write_model(cli.folder / "models", "echo", ECHO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-c", TAKEN_FIRST, "up", "models", "-d", "-n", "again", *PORTS, str(port)]
        done = subprocess.run(
            command,
            cwd=cli.folder,
            env=cli.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"'127.0.0.1:{port}' already in use" in (cli.folder_of("again") / "server.log").read_text()
    assert infer(cli.record("again")["http_url"], "echo", 2.0) == 2.0
    assert cli.run("down") == "again stopped\n"


def test_a_server_whose_record_cannot_be_read_is_told_with_its_process(cli: CommandLine) -> None:
    """Its name is not given away, and ending that process leaves nothing."""
    write_model(cli.folder / "models", "echo", ECHO)
    cli.run("up", "models", "-d", "-n", "garbled", *PORTS)
    left, launcher = cli.trace("garbled"), cli.record("garbled")["launcher"]["pid"]
    (cli.folder_of("garbled") / "record.json").write_text('{"a"')
    mend = f"kept by process {launcher}\n  hint: end it: kill {launcher}"
    for command in ("status", "down garbled", "down --all", "up models -d -n garbled"):
        assert mend in cli.run(*command.split(), *(PORTS if "up" in command else ()), code=1)
    os.kill(launcher, signal.SIGTERM)
    until(lambda: not cli.folder_of("garbled").exists(), "its folder is gone")
    assert left.remains() == []


def test_a_detached_server_that_dies_is_shown_with_its_last_words(cli: CommandLine) -> None:
    """Its record stays until down; nothing else of it does."""
    write_model(cli.folder / "models", "echo", ECHO)
    cli.run("up", "models", "-d", "-n", "doomed", *PORTS)
    left, record = cli.trace("doomed"), cli.record("doomed")
    os.kill(record["server_pid"], signal.SIGSEGV)
    until(lambda: not left.remains() and not _runs(record["launcher"]["pid"]), "it is gone")
    found = cli.status("doomed", code=1)
    assert (found["state"], found["models"]) == ("ended", [])
    assert found["reason"] == "tritonserver ended with code 139 (SIGSEGV); its log: tritonforge logs doomed"
    said = (cli.state / "tritonforge/servers/doomed/launcher.log").read_text()
    assert "ended with code 139 (SIGSEGV); its last words:\nSignal (11) received.\n" in said
    assert cli.run("down", "doomed") == "doomed had ended; its record and log are removed\n"


def test_a_start_that_fails_in_the_background_fails_in_the_foreground(cli: CommandLine) -> None:
    """The reason is said, and nothing is recorded."""
    write_model(cli.folder / "models", "echo", BROKEN)
    assert "RuntimeError: this version is broken" in cli.run("up", "models", "-d", *PORTS, code=1)
    assert cli.run("status") == "no server runs; start one with: tritonforge up\n"


def test_definitions_are_built_again_for_a_reload(cli: CommandLine) -> None:
    """The server of a file follows that file; a killed launcher takes everything along, its record too."""
    definitions = (
        "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import model\n\n@model\n"
        'def halve(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:\n    return x / FACTOR\n'
    )
    file = cli.folder / "halving.py"
    file.write_text(definitions.replace("FACTOR", "2"))
    cli.run("up", "halving.py", "-d", *PORTS)
    url = cli.record("halving")["http_url"]
    assert _halved(url) == 4.0
    nowhere = "there is no model nosuch in halving.py; `tritonforge status` lists the models"
    assert nowhere in cli.run("load", "nosuch", code=1)
    file.write_text(definitions.replace("FACTOR", "4"))
    assert cli.run("reload").startswith("halve 2 reloaded in ")
    assert _halved(url) == 2.0
    file.write_text("import nothing_of_this_name\n")
    assert "halving.py:1" in cli.run("reload", code=1)
    assert _halved(url) == 2.0
    file.write_text(definitions.replace("FACTOR", "4").replace("def halve", "def split"))
    said = cli.run("reload").splitlines()
    assert said[0].startswith("split 1 loaded in ")
    assert said[1:] == ["halve unloaded: the definitions no longer have it"]
    assert [model["name"] for model in cli.status("halving")["models"] if model["state"] == "READY"] == ["split"]
    file.write_text(definitions.replace("FACTOR", "4"))
    said = cli.run("reload")
    assert said.startswith("halve 2 loaded in ")
    assert "split unloaded: the definitions no longer have it" in said
    assert _halved(url) == 2.0
    left, record = cli.trace("halving"), cli.record("halving")
    os.kill(record["launcher"]["pid"], signal.SIGKILL)
    until(lambda: not left.remains(), "everything is gone")
    killed = f"its launcher (process {record['launcher']['pid']}) was killed, or the machine restarted"
    assert cli.status("halving", code=1)["reason"] == f"{killed}; its log: tritonforge logs halving"


def test_a_model_that_comes_back_is_loaded_again_and_one_unloaded_by_hand_is_named(cli: CommandLine) -> None:
    """In a handwritten repository, with the same files as before."""
    for name in ("echo", "other"):
        write_model(cli.folder / "models", name, ECHO)
    cli.run("up", "models", "-d", "-n", "back", *PORTS)
    url = cli.record("back")["http_url"]
    (cli.folder / "models" / "echo").rename(cli.folder / "echo")
    assert cli.run("reload") == "echo unloaded: the repository no longer has it\n"
    (cli.folder / "echo").rename(cli.folder / "models" / "echo")
    assert cli.run("reload").startswith("echo 1 loaded in ")
    assert infer(url, "echo", 1.0) == 1.0
    cli.run("unload", "other")
    stays = "other stays unloaded: tritonforge load other --name back\n"
    assert cli.run("reload") == f"nothing has changed\n{stays}"
    cli.run("load", "other")
    assert cli.run("reload") == "nothing has changed\n"


def test_down_lets_requests_finish_and_kill_does_not(cli: CommandLine) -> None:
    """SIGTERM drains, for as long as the exit timeout is; the second one kills."""
    write_model(cli.folder / "models", "slow", SLOW.replace("SECONDS", "1000"))
    cli.run("up", "models", "-d", "-n", "slow", "--set", "exit_timeout_s=1000", *PORTS)
    record, left = cli.record("slow"), cli.trace("slow")
    with pytest.raises(OSError, match=r"."), _background(cli, record["log"]):
        infer(record["http_url"], "slow", 1.0)
    assert left.remains() == []


class _background:
    """`down --kill`, as soon as a request is under way."""

    def __init__(self, cli: CommandLine, log: str) -> None:
        import threading

        self._thread = threading.Thread(target=self._run, args=(cli, log))

    def _run(self, cli: CommandLine, log: str) -> None:
        until(lambda: UNDER_WAY in Path(log).read_text(), UNDER_WAY)
        cli.run("down", "slow", "--kill")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()


def _halved(url: str) -> float:
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [8.0]}]}).encode()
    with urllib.request.urlopen(f"{url}/v2/models/halve/infer", body) as answer:
        return float(json.load(answer)["outputs"][0]["data"][0])


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
