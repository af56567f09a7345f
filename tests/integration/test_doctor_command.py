"""`tritonforge doctor` on this machine, where a server does run, and with faults planted around it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

FREE = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


def doctor(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tritonforge", "doctor", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=os.environ | environ, timeout=120, check=False
    )


def test_the_server_is_started_and_asked(tmp_path: Path) -> None:
    answer = doctor(*FREE, cwd=tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[-1] == "a server can run here"
    assert any(line.split()[:4] == ["ok", "server", "Triton", "2.51.0"] for line in lines)


def test_a_planted_fault_ends_it_with_1_and_its_mend_in_json(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = doctor("--json", *FREE[2:], "--http-port", port, cwd=tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none")
    assert answer.returncode == 1
    checkups = {checkup["name"]: checkup for checkup in json.loads(answer.stdout)}
    assert {name for name, checkup in checkups.items() if checkup["status"] == "error"} == {"ports"}
    assert checkups["ports"]["findings"][0]["code"] == "TF508"
    assert checkups["Docker"]["status"] == "absent"
    assert checkups["server"]["status"] == "ok"


@pytest.mark.parametrize(
    ("text", "environ", "where", "words"),
    [
        ("[tool.tritonforge.server]\nhttp_prt = 9", {}, "pyproject.toml [tool.tritonforge.server] http_prt", "no such"),
        ("[tool.tritonforge", {}, "pyproject.toml", "it is not TOML"),
        ("[tool.tritonforge.server]\nhttp_port = 9000\ngrpc_port = 9000", {}, "server", "must differ"),
        ("", {"TRITONFORGE_HTTP_PORT": "abc"}, "TRITONFORGE_HTTP_PORT", "found 'abc'"),
    ],
)
def test_wrong_settings_are_one_of_the_findings(
    text: str, environ: dict[str, str], where: str, words: str, tmp_path: Path
) -> None:
    """All else is looked at, and the server is started, as those say nothing of the machine."""
    (tmp_path / "pyproject.toml").write_text(text)
    answer = doctor("--json", cwd=tmp_path, DOCKER_HOST=f"unix://{tmp_path}/none", **environ)
    assert answer.returncode == 1
    checkups = {checkup["name"]: checkup for checkup in json.loads(answer.stdout)}
    assert {name for name, checkup in checkups.items() if checkup["status"] == "error"} == {"settings"}
    (finding,) = checkups["settings"]["findings"]
    assert finding["where"].endswith(where)
    assert words in finding["message"]
    assert checkups["server"]["status"] == "ok"


def test_a_server_that_is_not_whole_fails_the_trial(tmp_path: Path) -> None:
    """A NumPy that can't be imported is seen only by running a model."""
    (tmp_path / "numpy.py").write_text("raise ImportError('planted')\n")
    program = (
        "import sys; sys.argv = ['tritonforge', 'doctor', *sys.argv[1:]]\n"
        "import os; os.environ['PYTHONPATH'] = os.environ['PLANTED']\n"
        "from tritonforge.cli import main; main()"
    )
    command = [sys.executable, "-c", program, *FREE]
    environ = os.environ | {"PLANTED": str(tmp_path)}
    answer = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=120, check=False)
    assert answer.returncode == 1, answer.stdout
    assert "planted" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "to mend before a server starts here: server"
