"""The folder that an image is built from, with packages from a folder instead of an index."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from tritonforge.cli import app
from tritonforge.image import ImageError, ImageOptions, from_elsewhere, write_context
from tritonforge.server.docker.settings import release_image
from tritonforge.server.errors import PreflightError

CREDENTIALS = "--extra-index-url=https://somebody:secret@127.0.0.1:1/simple"
"""Of no effect beside --no-index."""


@pytest.fixture
def pip_args(tmp_path: Path) -> tuple[str, ...]:
    """Have pip take packages from a folder of empty wheels alone."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, version in (("numpy", "1.26.4"), ("nvidia_pytriton", "0.7.0"), ("pip", "25.0"), ("pandas", "2.2.0")):
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(wheels / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    return ("--no-index", f"--find-links={wheels}", CREDENTIALS)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one Python model, which only its owner can read."""
    version = tmp_path / "models" / "echo" / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text("pass\n")
    (version / "model.py").chmod(0o600)
    (version / "__pycache__").mkdir()
    (version.parent / "config.pbtxt").write_text('backend: "python"')
    for folder in (".git", "notes/deep"):  # no models: Triton wouldn't start with them
        (tmp_path / "models" / folder).mkdir(parents=True)
        (tmp_path / "models" / folder / "file").touch()
    return tmp_path / "models"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("backend", "nvidia", "message", "hint"),
    [
        ("tensorrt", False, 'a slim image has no backend "tensorrt"', "add --nvidia: NVIDIA's image has it"),
        ("pytorsh", False, 'a slim image has no backend "pytorsh"', 'did you mean backend: "pytorch"?'),
        (
            "mine",
            False,
            'a slim image has no backend "mine"',
            "it has python, onnxruntime, pytorch; name an image that has it, too, with --base",
        ),
        ("vllm", False, 'a slim image has no backend "vllm"', "add --nvidia --base {}:24.10-vllm-python-py3"),
        ("vllm", True, '{}:24.10-py3 has no backend "vllm"', "add --base {}:24.10-vllm-python-py3"),
        (
            "tensorrtllm",
            True,
            '{}:24.10-py3 has no backend "tensorrtllm"',
            "add --base {}:24.10-trtllm-python-py3",
        ),
    ],
)
def test_a_backend_that_the_image_lacks_is_told_before_any_package_is_asked_for(
    tmp_path: Path, repository: Path, backend: str, nvidia: bool, message: str, hint: str
) -> None:
    (repository / "m" / "1").mkdir(parents=True)
    (repository / "m" / "config.pbtxt").write_text(f'max_batch_size: 1\nbackend: "{backend}"\n')
    with pytest.raises(PreflightError) as refusal:
        write_context(repository, tmp_path / "context", ImageOptions(nvidia=nvidia, pip_args=("--no-such-option",)))
    (found,) = refusal.value.diagnostics
    assert (found.code, found.where.line, found.where.subject) == ("TF524", 2, "m")
    name = release_image("24.10").partition(":")[0]
    assert (found.message, found.hint) == (message.format(name), hint.format(name))
    assert not (tmp_path / "context").exists()


@pytest.mark.parametrize("target", ["..", "/"])
def test_a_link_to_a_folder_that_it_lies_in_is_not_copied(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...], target: str
) -> None:
    (repository / "echo" / "1" / "all").symlink_to(target)
    with pytest.raises(ImageError, match="echo/1/all: the link leads to a folder that it lies in"):
        write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
    assert not (tmp_path / "context").exists()


def test_what_cannot_be_copied_is_named(tmp_path: Path, repository: Path, pip_args: tuple[str, ...]) -> None:
    odd = repository / "echo" / "1" / "odd"
    odd.symlink_to("nonesuch")
    with pytest.raises(ImageError, match=r"echo/1/odd: the link leads nowhere, to nonesuch\n  hint: remove it"):
        write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
    odd.unlink()
    os.mkfifo(odd)
    with pytest.raises(ImageError, match="echo/1/odd: it is neither a file nor a folder"):
        write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
    assert not (tmp_path / "context").exists()


def test_a_dead_link_beside_the_models_is_left_out_as_by_up(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...]
) -> None:
    (repository / "dead").symlink_to("nonesuch")
    write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
    assert not (tmp_path / "context" / "models" / "dead").is_symlink()
    assert (tmp_path / "context" / "models" / "echo" / "1" / "model.py").is_file()


def test_links_that_lead_out_of_the_repository_are_found(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "secret").write_text("")
    (repository / "echo" / "1" / "weights.bin").symlink_to(tmp_path / "secret")
    (repository / "echo" / "1" / "inside.pbtxt").symlink_to("../config.pbtxt")
    assert from_elsewhere(repository) == [repository / "echo" / "1" / "weights.bin"]


@pytest.mark.parametrize("options", [{"nvidia": True}, {"base": "mine:1"}])
def test_nvidias_image_has_more_backends_and_those_of_another_are_not_known(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...], options: dict[str, Any]
) -> None:
    (repository / "m" / "1").mkdir(parents=True)
    (repository / "m" / "config.pbtxt").write_text('backend: "tensorrt"\n')
    write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args, **options))
    assert (tmp_path / "context" / "models" / "m" / "config.pbtxt").is_file()


def test_a_slim_image_has_the_server_locked_packages_and_the_models(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...]
) -> None:
    write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args, project=("pandas",)))
    written = files(tmp_path / "context")
    dockerfile = written["Dockerfile"].decode()
    assert "FROM debian:bookworm-slim AS python" in dockerfile
    assert "USER 10001:10001" in dockerfile
    assert "HEALTHCHECK " in dockerfile
    assert "--no-index --find-links /wheels --no-deps --require-hashes" in dockerfile
    assert "COPY models/ /models/" in dockerfile
    assert "OMP_WAIT_POLICY=PASSIVE OPENBLAS_THREAD_TIMEOUT=4\n" in dockerfile
    locked = [line.split(" --hash=sha256:")[0] for line in written["requirements.lock"].decode().splitlines()]
    assert locked == ["numpy==1.26.4", "nvidia-pytriton==0.7.0", "pandas==2.2.0"]
    assert "wheels/pip-25.0-py3-none-any.whl" in written
    assert "backends/onnxruntime/tritonforge_runtime/__init__.py" in written
    models = sorted(name for name in written if name.startswith("models/"))
    assert models == ["models/echo/1/model.py", "models/echo/config.pbtxt"]
    assert sorted(path.name for path in (tmp_path / "context" / "models").iterdir()) == ["echo"]
    assert (tmp_path / "context" / "models" / "echo" / "1" / "model.py").stat().st_mode & 0o777 == 0o644


class Ready(BaseHTTPRequestHandler):
    """Says that it is ready, or with `status` that it isn't."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/v2/health/ready" else 404)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing."""


class NotReady(Ready):
    status = 503


@pytest.mark.parametrize(("server", "code"), [(Ready, 0), (NotReady, 1)])
@pytest.mark.parametrize("nvidia", [False, True])
def test_the_health_check_asks_no_proxy(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...], server: type[Ready], code: int, nvidia: bool
) -> None:
    """Docker hands the proxies that its clients are configured with to each container, for loopback, too."""
    write_context(repository, tmp_path / "context", ImageOptions(nvidia=nvidia, pip_args=pip_args))
    (check,) = (
        line.partition(" CMD ")[2]
        for line in (tmp_path / "context" / "Dockerfile").read_text().splitlines()
        if line.startswith("HEALTHCHECK ")
    )
    with HTTPServer(("127.0.0.1", 0), server) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        _, flag, program = json.loads(check)
        there = program.replace("8000", str(listening.server_port))
        proxies = {"http_proxy": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}
        done = subprocess.run([sys.executable, flag, there], env=proxies, timeout=60, check=False)
        listening.shutdown()
    assert done.returncode == code


def test_an_index_and_its_credentials_stay_on_this_machine(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...]
) -> None:
    write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
    assert not [name for name, content in files(tmp_path / "context").items() if b"secret" in content]


def test_on_nvidias_image_there_is_its_own_server(tmp_path: Path, repository: Path, pip_args: tuple[str, ...]) -> None:
    """Its release may be later than the embedded server's, its Python another, and the models may be mounted."""
    options = ImageOptions(nvidia=True, release="25.01", bake=False, pip_args=pip_args)
    write_context(repository, tmp_path / "context", options)
    written = files(tmp_path / "context")
    dockerfile = written["Dockerfile"].decode()
    assert "FROM nvcr.io/nvidia/tritonserver:25.01-py3" in dockerfile
    assert "USER 1000:1000" in dockerfile
    assert "PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=PASSIVE OPENBLAS_THREAD_TIMEOUT=4\n" in dockerfile
    assert "COPY models/" not in dockerfile
    assert not [name for name in written if name.startswith(("models/", "backends/", "wheels/nvidia_pytriton"))]
    assert options.base_python == "3.12"


@pytest.mark.parametrize(("release", "has"), [("24.10", "3.10"), ("25.01", "3.12")])
def test_nvidias_images_have_one_python_each(tmp_path: Path, repository: Path, release: str, has: str) -> None:
    """Another one is that of another base."""
    other = {"3.10": "3.12", "3.12": "3.10"}[has]
    with pytest.raises(ImageError, match=rf"tritonserver:{release}-py3 has CPython {has}, not {other}; leave it out"):
        write_context(repository, tmp_path / "context", ImageOptions(nvidia=True, release=release, python=other))
    based = ImageOptions(nvidia=True, release=release, python=other, base="mine:1", pip_args=("--no-index",))
    with pytest.raises(ImageError, match="pip can't get"):
        write_context(repository, tmp_path / "context", based)


@pytest.mark.parametrize("python", ["3.9", "3.13", "three", "3"])
@pytest.mark.parametrize("base", ["", "mine:1"])
def test_an_image_has_a_python_on_which_models_run(tmp_path: Path, repository: Path, python: str, base: str) -> None:
    with pytest.raises(ImageError, match=rf"models run on CPython 3\.10, 3\.11 or 3\.12, found '{python}'; name that"):
        write_context(repository, tmp_path / "context", ImageOptions(python=python, base=base))


def test_the_slim_base_has_one_python(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(ImageError, match=r"bookworm-slim has CPython 3\.11, not 3\.12; leave it out, or"):
        write_context(repository, tmp_path / "context", ImageOptions(python="3.12"))


def test_an_argument_that_pip_does_not_have_is_told_without_its_usage(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(ImageError) as failed:
        write_context(repository, tmp_path / "context", ImageOptions(pip_args=("--indexurl=x",)))
    assert str(failed.value) == "pip can't get the image's packages: no such option: --indexurl"


def test_what_pip_cannot_get_is_told_in_its_words(tmp_path: Path, repository: Path, pip_args: tuple[str, ...]) -> None:
    options = ImageOptions(pip_args=pip_args, project=("no-package-of-this-name",))
    with pytest.raises(ImageError, match=r"pip can't get the image's packages: .*no-package-of-this-name") as failed:
        write_context(repository, tmp_path / "out" / "context", options)
    assert "secret" not in str(failed.value)
    assert "\n  hint: only wheels are taken: " in str(failed.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "models",
        "wheels",
    ]  # nothing of it, so that it can be tried again


def test_an_index_that_is_not_reached_is_told_as_that(tmp_path: Path, repository: Path) -> None:
    """Without the password that its address has; a package that an index answers it doesn't have lacks a wheel."""
    index = "--index-url=http://somebody:secret@127.0.0.1:1/simple"
    options = ImageOptions(pip_args=(index, "--retries=0", "--isolated"))
    with pytest.raises(ImageError) as failed:
        write_context(repository, tmp_path / "context", options)
    said = str(failed.value)
    assert said.startswith(
        "pip can't get the image's packages: Could not fetch URL http://****@127.0.0.1:1/simple/nump"
    )
    assert "Connection refused" in said
    assert "secret" not in said
    assert "\n  hint: look at the network, its proxy, and the index that pip has" in said
    assert "only wheels are taken" not in said


@pytest.mark.parametrize("trusted", [False, True])
def test_an_index_has_an_authority_that_pip_is_given(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    """This one has no packages, but those who trust it are told that."""
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), NotReady) as index:
        index.socket = context.wrap_socket(index.socket, server_side=True, do_handshake_on_connect=False)
        Thread(target=index.serve_forever, daemon=True).start()
        url = f"--index-url=https://127.0.0.1:{index.server_port}/simple"
        pip_args = (url, "--retries=0", "--isolated", *([f"--cert={tmp_path / 'ca.pem'}"] if trusted else []))
        with pytest.raises(ImageError) as failed:
            write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
        index.shutdown()
    assert ("CERTIFICATE_VERIFY_FAILED" in str(failed.value)) != trusted
    assert ("\n  hint: give pip the authority" in str(failed.value)) != trusted


def test_an_index_that_lacks_a_package_is_reached(tmp_path: Path, repository: Path) -> None:
    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Empty) as index:
        Thread(target=index.serve_forever, daemon=True).start()
        pip_args = (f"--index-url=http://127.0.0.1:{index.server_port}/simple", "--isolated")
        with pytest.raises(ImageError, match=r"hint: only wheels are taken") as failed:
            write_context(repository, tmp_path / "context", ImageOptions(pip_args=pip_args))
        index.shutdown()
    assert "Could not fetch" not in str(failed.value)


def test_what_pip_had_when_it_was_interrupted_goes(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its temporary files lie in the new folder, where they go with it, whatever ends this."""

    def interrupted(command: list[str], *, env: dict[str, str], **_: object) -> None:
        (Path(env["TMPDIR"]) / "half a wheel").touch()
        assert tmp_path in Path(env["TMPDIR"]).parents
        raise KeyboardInterrupt

    monkeypatch.setattr("tritonforge.image.wheels.subprocess.run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_context(repository, tmp_path / "context", ImageOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_a_repository_for_a_later_release_needs_nvidias_image(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(ImageError, match=r"built for Triton 25\.01, and a slim image has 24\.10\n  hint: .*--nvidia"):
        write_context(repository, tmp_path / "context", ImageOptions(release="25.01"))
    assert not (tmp_path / "context").exists()


def test_the_command_writes_the_folder_and_a_compose_file(
    tmp_path: Path, repository: Path, pip_args: tuple[str, ...]
) -> None:
    """Each argument for pip reaches it; nothing is built, and Docker isn't asked."""
    arguments = [f"--pip-arg={argument}" for argument in pip_args]
    context = tmp_path / "the context"
    folders = [
        "--output",
        str(context),
        "--compose",
        str(tmp_path / "compose"),
        "--no-project-requirements",
    ]
    result = CliRunner().invoke(app, ["image", str(repository), "--tag", "fraud:1", *folders, *arguments])
    assert result.exit_code == 0, result.output
    assert f"docker build --tag fraud:1 '{context}'" in result.output
    assert "secret" not in result.output
    assert (context / "Dockerfile").is_file()
    assert "image: fraud:1\n" in (tmp_path / "compose" / "compose.yaml").read_text()
    again = CliRunner().invoke(app, ["image", str(repository), *folders, *arguments])
    assert again.exit_code == 2
    assert "name a new folder" in " ".join(again.output.replace("│", " ").split())
