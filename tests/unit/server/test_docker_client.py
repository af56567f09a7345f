"""Images found, pulled and built, with a stand-in for Docker's daemon."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from tritonforge.server import PreflightError, ServerError
from tritonforge.server.docker import stages
from tritonforge.server.docker.client import build_image, find_image, told
from tritonforge.server.docker.stages import name_stage

NAME = "registry.example:5000/team/fraud:1"
PULL = [
    {"status": "Pulling from team/fraud", "id": "1"},
    {"status": "Downloading", "id": "a", "progressDetail": {"current": 1 << 20, "total": 3 << 20}},
    {"status": "Downloading", "id": "a", "progressDetail": {"current": 3 << 20, "total": 3 << 20}},
    {"status": "Pull complete", "id": "a"},
    {"status": "Downloading", "id": "b", "progressDetail": {"current": 5 << 20, "total": 5 << 20}},
    {"status": "Pull complete", "id": "b"},
]


class Daemon:
    """Has images by name; `stream` is what a pull or a build says, after which the image is there if it went well."""

    def __init__(
        self,
        *names: str,
        stream: list[dict[str, Any]] | None = None,
        stages: Sequence[list[str]] = (),
        unnamed: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`stages` are the labels of images of earlier stages, each time that they are asked for; `unnamed` others."""
        self._names = set(names)
        self._stream = stream or []
        self._stages = iter(stages)
        self.pulled: list[tuple[str, str]] = []
        self.built: list[dict[str, Any]] = []
        self.pruned: list[dict[str, Any]] = []
        self.finished = False
        self.unnamed = {row["Id"]: row for row in unnamed}
        self.api = SimpleNamespace(pull=self._pull, build=self._build, images=self._rows)
        self.images = SimpleNamespace(
            get=self._get, prune=self.pruned.append, list=self._list, remove=self.unnamed.__delitem__
        )
        self.containers = SimpleNamespace(list=lambda **_: [])

    def _list(self, *, filters: dict[str, Any]) -> list[Any]:
        assert filters["dangling"]
        return [SimpleNamespace(labels={"io.tritonforge.stage": label}) for label in next(self._stages, [])]

    def _rows(self, *, filters: dict[str, Any]) -> list[Mapping[str, Any]]:
        assert filters == {"dangling": True}
        return list(self.unnamed.values())

    def finish(self, parent: Mapping[str, Any], image: Mapping[str, Any]) -> None:
        """End a step by an image that is made of another; without that one it has none."""
        self.finished = True
        there = self.unnamed.pop(parent["Id"], None)
        self.unnamed[image["Id"]] = image if there else {**image, "ParentId": ""}

    def _get(self, name: str) -> Any:
        if name in self.unnamed:
            return SimpleNamespace(attrs={"Config": {"Cmd": self.unnamed[name]["Cmd"]}})
        if name not in self._names:
            raise ImageNotFound("no such image")
        return SimpleNamespace(attrs={"Config": {"User": "7:7", "Labels": {"a": "b"}}, "Size": 42})

    def _pull(self, repository: str, *, tag: str, stream: bool, decode: bool) -> Iterator[dict[str, Any]]:
        self.pulled.append((repository, tag))
        self._names.add(f"{repository}:{tag}")
        return iter(self._stream)

    def _build(self, *, tag: str, **options: Any) -> Iterator[dict[str, Any]]:
        self.built.append(options)
        self._names.add(tag)
        yield from self._stream


def find(daemon: Daemon, *, name: str = NAME, **options: Any) -> Any:
    return find_image(daemon, name, **options)  # type: ignore[arg-type]  # a stand-in


def test_an_image_that_is_here_is_not_pulled() -> None:
    daemon = Daemon(NAME)
    image = find(daemon)
    assert (image.name, image.user, image.size, image.labels) == (NAME, "7:7", 42, {"a": "b"})
    assert daemon.pulled == []


def test_one_that_is_missing_is_pulled_with_a_line_for_each_layer() -> None:
    daemon, said = Daemon(stream=PULL), list[str]()
    assert find(daemon, progress=said.append).size == 42
    assert daemon.pulled == [("registry.example:5000/team/fraud", "1")]
    assert said == [f"{NAME}: 1 layer, 3 MiB so far", f"{NAME}: 2 layers, 8 MiB so far"]


def test_a_layer_that_is_here_at_once_is_counted() -> None:
    """Of a small one Docker tells no progress."""
    daemon, said = Daemon(stream=[{"status": "Pull complete", "id": "a"}]), list[str]()
    find(daemon, progress=said.append)
    assert said == [f"{NAME}: 1 layer, 0 MiB so far"]


def test_it_is_pulled_always_or_never_as_told() -> None:
    daemon = Daemon(NAME)
    find(daemon, pull="always")
    assert daemon.pulled == [("registry.example:5000/team/fraud", "1")]
    daemon = Daemon()
    with pytest.raises(PreflightError, match="is not on this machine\n  hint: load it from a file"):
        find(daemon, pull="never")
    assert daemon.pulled == []


def test_one_that_is_here_and_cannot_be_pulled_again_is_told_as_such() -> None:
    refused = {"error": "connection refused"}
    words = r"1: can't be pulled: connection refused\n  hint: it is on this machine: --docker pull=missing takes that"
    with pytest.raises(PreflightError, match=words):
        find(Daemon(NAME, stream=[refused]), pull="always")


def test_a_registrys_refusal_is_told_with_what_to_do_offline() -> None:
    daemon = Daemon(stream=[{"error": "toomanyrequests: slow down"}])
    with pytest.raises(PreflightError, match=r"can't be pulled: toomanyrequests: slow down\n  hint: .*docker load"):
        find(daemon)


def test_a_build_leaves_no_stage_behind(tmp_path: Path) -> None:
    """Each build's stages have a label of its own; those go, whether it goes well or not."""
    said: list[str] = []
    daemon = Daemon(stream=[{"stream": "Step 1/2 : FROM debian\n"}, {"stream": "\n"}])
    image = build_image(daemon, tmp_path, "fraud:1", said.append)  # type: ignore[arg-type]  # a stand-in
    assert (image.name, said) == ("fraud:1", ["Step 1/2 : FROM debian"])
    broken = Daemon(stream=[{"stream": "Step 2/2 : RUN false\n"}, {"error": "returned a non-zero code: 1"}])
    message = r"can't be built: returned a non-zero code: 1\nthe end of its output:\nStep 2/2 : RUN false"
    with pytest.raises(ServerError, match=message):
        build_image(broken, tmp_path, "fraud:1", said.append)  # type: ignore[arg-type]  # a stand-in
    labels = set()
    for each in (daemon, broken):
        (arguments,) = (options["buildargs"] for options in each.built)
        label = f"io.tritonforge.stage={arguments['TRITONFORGE_BUILD']}"
        assert each.pruned[1:] == [{"dangling": True, "label": label}]
        labels.add(label)
    assert len(labels) == 2


def test_a_build_sweeps_what_killed_ones_left(tmp_path: Path) -> None:
    """Not what is under way, here or where ids of processes are others; that goes once it is older than any build."""
    mine = name_stage()
    boot, namespace, pid, started, token = mine.split(".")
    killed = f"{boot}.{namespace}.{pid}.{int(started) - 1}.{token}"
    elsewhere = [f"another-boot.{namespace}.{pid}.1.{token}", f"{boot}.1.{pid}.1.{token}", token]
    daemon = Daemon(stages=[[mine, killed, *elsewhere]])
    build_image(daemon, tmp_path, "fraud:1", lambda line: None)  # type: ignore[arg-type]  # a stand-in
    old, left, own = daemon.pruned
    assert old == {"dangling": True, "label": "io.tritonforge.stage", "until": "24h"}
    assert left == {"dangling": True, "label": f"io.tritonforge.stage={killed}"}
    assert own["label"] not in (old["label"], left["label"])


def test_what_docker_still_makes_of_a_build_that_is_broken_off_goes(tmp_path: Path) -> None:
    """A step that is under way may leave its image after the end of the request."""

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    daemon = Daemon(stream=[{"stream": "Step 2/2 : RUN true\n"}], stages=[[], [], ["late"]])
    with pytest.raises(KeyboardInterrupt):
        build_image(daemon, tmp_path, "fraud:1", interrupt)  # type: ignore[arg-type]  # a stand-in
    _, *own = daemon.pruned
    assert len(own) > 3
    assert len({one["label"] for one in own}) == 1


SAID = """\
Step 12/20 : FROM python
 ---> 613c8a5dda76
Step 13/20 : LABEL io.tritonforge.image="slim"
 ---> Using cache
 ---> 098063897cce
Step 14/20 : COPY --from=packages /opt /opt
 ---> 9366d46080d7
Step 15/20 : COPY models/ /models/
"""
BASE, CACHED, MADE, LATE = ("613c8a5dda76", "098063897cce", "9366d46080d7", "4f0d657c0b2e")


def unnamed(name: str, parent: str = "", *, kind: str = "slim", created: float = 0.0, **more: Any) -> dict[str, Any]:
    """Write down an image that no other is made of, as Docker does; by default one of a build's last stage."""
    row = {"Id": f"sha256:{name:0<64}", "ParentId": f"sha256:{parent:0<64}", "Created": created or time.time()}
    return {**row, "Labels": {"io.tritonforge.image": kind}, "Cmd": None, **more}


@pytest.mark.parametrize("interrupted", [True, False])
def test_a_build_that_ends_in_its_last_stage_leaves_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, interrupted: bool
) -> None:
    """Neither of a step that it told of, nor of one that was done later; what isn't its own stays."""

    def hear(line: str) -> None:
        if interrupted and "models" in line:
            raise KeyboardInterrupt

    whole = unnamed("1a" * 6, CACHED, Cmd=["tritonserver", "--model-repository=/models"])
    others = [
        unnamed("2b" * 6, "3c" * 6),
        unnamed("4d" * 6, BASE, Labels=None),
        unnamed(CACHED, BASE, Labels=None),
        whole,
    ]
    stream = [{"stream": f"{line}\n"} for line in SAID.splitlines()] + [{"error": "no space left on device"}]
    monkeypatch.setattr(stages, "_ENDING_S", 2.0)
    for left in (unnamed(MADE, CACHED), unnamed(LATE, MADE), unnamed(MADE, CACHED, Labels=None, Cmd=["bash"])):
        daemon = Daemon(stream=stream, unnamed=[left, *others], stages=[["other." + name_stage()]])
        with pytest.raises(KeyboardInterrupt if interrupted else ServerError):
            build_image(daemon, tmp_path, "fraud:1", hear)  # type: ignore[arg-type]  # a stand-in
        assert list(daemon.unnamed.values()) == others


def test_a_copy_that_docker_does_to_its_end_is_awaited(tmp_path: Path) -> None:
    """Its image would have no parent where that is removed before, and wouldn't be known."""

    def interrupt(line: str) -> None:
        if "models" in line:
            threading.Timer(1.5, daemon.finish, [unnamed(MADE, CACHED), unnamed(LATE, MADE)]).start()
            raise KeyboardInterrupt

    stream = [{"stream": f"{line}\n"} for line in SAID.splitlines()]
    daemon = Daemon(stream=stream, unnamed=[unnamed(MADE, CACHED)], stages=[["other." + name_stage()]])
    with pytest.raises(KeyboardInterrupt):
        build_image(daemon, tmp_path, "fraud:1", interrupt)  # type: ignore[arg-type]  # a stand-in
    assert daemon.unnamed == {}
    assert daemon.finished


def test_beside_another_build_the_last_stage_is_left_to_a_sweep(tmp_path: Path) -> None:
    """Both may go on with one image, which Docker has from its cache."""
    mine = name_stage()
    stream = [{"stream": f"{line}\n"} for line in SAID.splitlines()] + [{"error": "no space left on device"}]
    left = [unnamed(MADE, CACHED)]
    daemon = Daemon(stream=stream, unnamed=left, stages=[[mine]] * 2)
    with pytest.raises(ServerError):
        build_image(daemon, tmp_path, "fraud:1", lambda line: None)  # type: ignore[arg-type]  # a stand-in
    assert list(daemon.unnamed.values()) == left


def test_a_sweep_takes_the_last_stage_of_killed_builds(tmp_path: Path) -> None:
    """Not what lost its name, nor what may be under way: NVIDIA's has no earlier stages that would tell."""
    whole = unnamed("1a" * 6, Cmd=["tritonserver"])
    new, old = unnamed("2b" * 6, kind="nvidia"), unnamed("3c" * 6, kind="nvidia", created=1.0)
    foreign = unnamed("4d" * 6, Labels=None, created=1.0)
    daemon = Daemon(unnamed=[unnamed(MADE), whole, new, old, foreign])
    build_image(daemon, tmp_path, "fraud:1", lambda line: None)  # type: ignore[arg-type]  # a stand-in
    assert list(daemon.unnamed.values()) == [whole, new, foreign]
    under_way = unnamed(MADE)
    daemon = Daemon(unnamed=[under_way, unnamed(LATE, created=1.0)], stages=[[name_stage()]])
    build_image(daemon, tmp_path, "fraud:1", lambda line: None)  # type: ignore[arg-type]  # a stand-in
    assert list(daemon.unnamed.values()) == [under_way]


def test_a_base_image_that_cant_be_pulled_is_told_with_what_to_do_offline() -> None:
    with pytest.raises(PreflightError) as refused:
        find(Daemon(stream=[{"error": "lookup hub: no such host"}]), name="debian:bookworm-slim", as_base=True)
    assert str(refused.value) == (
        "the base image debian:bookworm-slim: is not on this machine, and can't be pulled: lookup hub: no such host"
        "\n  hint: load it from a file (`docker load`), or name another with --base  [TF531]"
    )


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        (
            "could not select device driver with capabilities: [[gpu]]",
            "NVIDIA's container toolkit; or leave --gpus out  [TF545]",
        ),
        (
            "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared "
            "object file: no such file or directory: unknown",
            "NVIDIA's driver is missing on Docker's machine",
        ),
        ("nvidia-container-cli: device error: 9: unknown device: unknown", "nvidia-smi -L lists those"),
        ("pull access denied for nvcr.io/nvidia/tritonserver", ""),
        ("Bind for 127.0.0.1:8000 failed: port is already allocated", "--http-port"),
        ('Conflict. The container name "/tritonforge-nvidia" is already in use', "another --name, or remove that con"),
        (
            'Conflict. The container name "/tritonforge-a" is already in use',
            "nobody needs it: docker rm -f tritonforge-a",
        ),
        ("unable to find user nobody7: no matching entries in passwd file", "--docker user=… is uid:gid"),
        ("invalid mount config for type bind: bind source path does not exist: /tmp/x", "must see the files of this"),
        ("something else", ""),
    ],
)
def test_what_docker_refuses_is_told_with_the_mend(reason: str, hint: str) -> None:
    with pytest.raises(ServerError) as refused, told("the container can't be started"):
        raise APIError("500 Server Error", explanation=reason)
    assert str(refused.value).startswith(f"the container can't be started: {reason}")
    assert hint in str(refused.value)
    assert ("hint:" in str(refused.value)) == bool(hint)
