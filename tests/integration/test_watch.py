"""`tritonforge up --watch`: edited under load, broken, mended."""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from life_support import PORTS, CommandLine
from repositories import DEADLINE_S, infer, until

HEAD = "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import asset, model\n\n"
TIMES = HEAD + (
    '@model\ndef times(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:\n    return x * {}\n'
)
PLUS = HEAD + (
    "@model(name='plus')\nclass Plus:\n    def __init__(self) -> None:\n"
    "        self.more = np.float32(asset('more.txt').read_text())\n\n"
    '    def __call__(self, x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:\n'
    "        return x + self.more\n"
)
PIPELINE = (TIMES.format(8).replace("times", "fifth") + HEAD.replace("asset, model", "pipeline")) + (
    '@pipeline\ndef through(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:\n'
    "    return fifth(x=x)\n"
)


class Watching:
    """A server that watches the folder `serving`, and the lines that it has said."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder = folder
        self.process = process
        self.lines: list[str] = []
        self._coming: queue.Queue[str] = queue.Queue()
        for stream in (process.stdout, process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()
        self.url = self.said("HTTP ").split()[1]
        self.said("watching;")

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._coming.put(line.rstrip("\n"))

    def said(self, part: str) -> str:
        """Wait for a line with something in it."""
        while True:
            self.lines.append(self._coming.get(timeout=DEADLINE_S))
            if part in self.lines[-1]:
                return self.lines[-1]

    def save(self, name: str, text: str) -> None:
        """Save as most editors do: a new file in the old one's place."""
        (self.folder / f"{name}~new").write_text(text)
        (self.folder / f"{name}~new").replace(self.folder / name)


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    folder = tmp_path_factory.mktemp("watch")
    (folder / "serving").mkdir()
    (folder / "serving" / "scaling.py").write_text(TIMES.format(2))
    (folder / "serving" / "adding.py").write_text(PLUS)
    (folder / "serving" / "more.txt").write_text("1")
    with CommandLine(folder / "state", folder).start("up", "serving", "--watch", *PORTS) as process:
        try:
            yield Watching(folder / "serving", process)
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 0
        finally:
            process.kill()


@contextmanager
def load_on(url: str, model: str) -> Iterator[list[float]]:
    """Call all the time, for the block, and give the answers; no call may fail."""
    answers: list[float] = []
    failures: list[str] = []
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            try:
                answers.append(infer(url, model, 1.0))
            except urllib.error.HTTPError as error:
                failures.append(error.read().decode())
                return
            except OSError as error:
                failures.append(repr(error))
                return

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_an_edit_is_served_and_no_call_fails(watching: Watching) -> None:
    """The answers change from the old version's to the new one's; the other model stays as it is."""
    watching.lines.clear()
    with load_on(watching.url, "times") as answers:
        for factor in (3, 4, 5):
            watching.save("scaling.py", TIMES.format(factor))
            until(lambda: answers[-1:] == [factor], f"the answer is {factor}")  # noqa: B023
            watching.said("times ")
    assert set(answers) == {2.0, 3.0, 4.0, 5.0}
    assert [line.partition(" reloaded")[0] for line in watching.lines] == ["times 2", "times 3", "times 4"]


def test_an_asset_counts_and_what_editors_leave_does_not(watching: Watching) -> None:
    """Had the others made it build, their model would have been told first."""
    watching.lines.clear()
    for leftover in ("unrelated.md", ".scaling.py.swp", "scaling.py~", "4913"):
        (watching.folder / leftover).write_text("anything")
    (watching.folder / "__pycache__").mkdir(exist_ok=True)
    (watching.folder / "__pycache__" / "scaling.cpython-311.pyc").write_bytes(b"anything")
    (watching.folder / "scaling.py").touch()
    watching.save("more.txt", "10")
    watching.said("plus 2 reloaded in ")
    assert infer(watching.url, "plus", 1.0) == 11.0
    assert len(watching.lines) == 1


def test_what_is_wrong_is_told_and_the_old_version_serves_until_it_is_mended(watching: Watching) -> None:
    """First it doesn't build, then it doesn't load."""
    with load_on(watching.url, "plus") as answers:
        watching.save("adding.py", PLUS + "def broken(:\n")
        assert f"adding.py:{len(PLUS.splitlines()) + 1}: " in watching.said("SyntaxError")
        watching.said("save again to mend it")
        watching.save("adding.py", PLUS.replace("self.more =", "raise RuntimeError('no weights')\n        self.more ="))
        assert "adding.py:8 plus: failed to load: " in watching.said("no weights")
        watching.said("save again to mend it")
        assert set(answers) == {11.0}
        watching.save("adding.py", PLUS.replace("x + ", "x - "))
        watching.said(" reloaded in ")
        watching.said("mended: what is saved is served again")
        until(lambda: answers[-1:] == [-9.0], "the mended version answers")
        watching.lines.clear()
        watching.save("adding.py", PLUS + "def broken(:\n")
        watching.said("save again to mend it")
        watching.save("adding.py", PLUS.replace("x + ", "x - "))
        watching.said("mended: what is saved is served again")
        assert not any("reloaded" in line for line in watching.lines)


def test_a_broken_file_that_names_no_tritonforge_takes_nothing_away(watching: Watching) -> None:
    """Half a save is not the wish that its models go."""
    watching.save("fourth.py", TIMES.format(6).replace("times", "fourth"))
    watching.said("fourth 1 loaded in ")
    with load_on(watching.url, "fourth") as answers:
        watching.save("fourth.py", "def broken(:\n")
        assert "fourth.py:1: it can't be imported" in watching.said("SyntaxError")
        watching.said("save again to mend it")
        watching.save("fourth.py", "")
        watching.said("fourth.py: it had definitions before, and is empty now")
        watching.save("fourth.py", TIMES.format(8).replace("times", "fourth"))
        watching.said("fourth 2 reloaded in ")
        until(lambda: answers[-1:] == [8.0], "the mended version answers")
    assert set(answers) == {6.0, 8.0}
    (watching.folder / "fourth.py").unlink()
    watching.said("fourth unloaded")


def test_an_import_that_never_ends_is_told_and_given_up_at_the_next_save(watching: Watching) -> None:
    """What was served goes on serving meanwhile, and is built anew with what is saved then."""
    watching.save("spinning.py", HEAD + "while True:\n    pass\n")
    assert "still importing serving/spinning.py:" in watching.said("it is given up once something is saved")
    assert infer(watching.url, "times", 1.0) == 5.0
    (watching.folder / "spinning.py").unlink()
    watching.said("given up; building what is saved now")
    watching.save("seventh.py", TIMES.format(7).replace("times", "seventh"))
    watching.said("seventh 1 loaded in ")
    (watching.folder / "seventh.py").unlink()
    watching.said("seventh unloaded")


def test_models_come_and_go(watching: Watching) -> None:
    """A new one is loaded; one that the definitions no longer have is unloaded, and loaded once it is back."""
    watching.save("third.py", TIMES.format(7).replace("times", "third"))
    watching.said("third 1 loaded in ")
    assert infer(watching.url, "third", 1.0) == 7.0
    (watching.folder / "third.py").rename(watching.folder.parent / "third.py")
    watching.said("third unloaded")
    (watching.folder.parent / "third.py").rename(watching.folder / "third.py")
    watching.said("third 1 loaded in ")
    assert infer(watching.url, "third", 1.0) == 7.0
    (watching.folder / "third.py").unlink()
    watching.said("third unloaded")


def test_a_model_goes_also_where_more_is_saved_while_that_is_built(watching: Watching) -> None:
    """The build that took it away is followed by another before anything is served; format-on-save does so."""
    watching.save("third.py", TIMES.format(7).replace("times", "third"))
    watching.said("third 1 loaded in ")
    slow = "import time\ntime.sleep(1)\n" + TIMES.format(7).replace("times", "fourth")
    watching.save("third.py", slow)
    time.sleep(0.7)
    watching.save("third.py", f"{slow}# saved again\n")
    watching.said("third unloaded")
    (watching.folder / "third.py").unlink()
    watching.said("fourth unloaded")


def test_a_new_model_that_does_not_load_is_forgotten_with_its_file(watching: Watching) -> None:
    """The server is ready all the while, and well again once the file is gone."""
    watching.save("sixth.py", PLUS.replace("'plus'", "'sixth'").replace("self.more =", "raise RuntimeError('no')  #"))
    watching.said("sixth: failed to load: ")
    assert ready(watching.url) == 200
    (watching.folder / "sixth.py").unlink()
    watching.said("mended: what is saved is served again")
    assert ready(watching.url) == 200
    line = CommandLine(watching.folder.parent / "state", watching.folder.parent)
    assert line.status("serving")["healthy"]


def ready(url: str) -> int:
    with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=DEADLINE_S) as answer:
        return int(answer.status)


def test_a_pipeline_and_its_model_go_together(watching: Watching) -> None:
    """Triton takes the ensemble away with its member, before its own turn comes."""
    other = infer(watching.url, "times", 1.0)
    watching.save("fifth.py", PIPELINE)
    watching.said("fifth 1 loaded in ")
    watching.said("through 1 loaded in ")
    assert infer(watching.url, "through", 1.0) == 8.0
    (watching.folder / "fifth.py").unlink()
    watching.said("fifth unloaded")
    watching.said("through unloaded")
    watching.save("fifth.py", PIPELINE)
    watching.said("through 1 ")
    until(lambda: infer(watching.url, "through", 1.0) == 8.0, "it is back")
    (watching.folder / "fifth.py").unlink()
    watching.said("fifth unloaded")
    watching.said("through unloaded")
    assert infer(watching.url, "times", 1.0) == other


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("models",), "is a model repository; name the file or folder of definitions"),
        (("serving.py", "--detach"), "leave out --detach"),
        (("serving.py", "--runtime", "docker"), "leave out --runtime docker"),
        (("serving.py", "--set", "model_control=none"), "make it explicit"),
    ],
)
def test_where_nothing_can_be_watched_it_is_said(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "models" / "echo" / "1").mkdir(parents=True)
    (tmp_path / "serving.py").write_text(TIMES.format(1))
    output = CommandLine(tmp_path / "state", tmp_path).run("up", *arguments, "--watch", *PORTS, code=2)
    assert said in " ".join(output.replace("│", " ").split())
