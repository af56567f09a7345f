"""The server's command line, environment and backend directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from tritonforge.server import ServerSettings
from tritonforge.server.installed.backends import assemble_backends, keep_environments_in
from tritonforge.server.installed.installation import Installation, find_installation
from tritonforge.server.readiness import health_of
from tritonforge.server.settings.command import served_ports, server_command, server_environment, server_flags


@pytest.fixture
def installation() -> Installation:
    found = find_installation()
    assert found is not None
    return found


def test_the_users_flags_come_last(installation: Installation) -> None:
    """Triton takes the last of several."""
    settings = ServerSettings(extra_args=("--log-info=false",), exit_timeout_s=0.5)
    command = server_command(installation, Path("/models"), Path("/backends"), settings=settings, shared_memory="mine-")
    assert command[-1] == "--log-info=false"
    assert "--exit-timeout-secs=1" in command
    assert "--backend-config=python,shm-region-prefix-name=mine-" in command


def test_the_environment_leads_with_ours_and_keeps_the_rest() -> None:
    """What was passed is not changed."""
    base = {"PATH": "/bin", "LD_LIBRARY_PATH": "/cuda", "CUDA_VISIBLE_DEVICES": "1"}
    made = server_environment(base, python=Path("/python/bin"), libraries=[Path("/a"), Path("/b")])
    assert (made["PATH"], made["LD_LIBRARY_PATH"]) == ("/python/bin:/bin", "/a:/b:/cuda")
    assert made["CUDA_VISIBLE_DEVICES"] == "1"
    assert base["PATH"] == "/bin"
    assert server_environment({}, python=Path("/p"), libraries=[Path("/a")])["LD_LIBRARY_PATH"] == "/a"


def test_threads_sleep_while_they_wait_unless_the_environment_says_otherwise() -> None:
    made = server_environment({"OMP_WAIT_POLICY": "ACTIVE"}, python=None, libraries=[])
    assert (made["OMP_WAIT_POLICY"], made["OPENBLAS_THREAD_TIMEOUT"]) == ("ACTIVE", "4")


@pytest.mark.parametrize(
    ("metrics", "extra_args", "ports"),
    [
        (True, (), {1, 2, 3}),
        (False, (), {1, 2}),
        (False, ("--allow-grpc", "0"), {1}),
        (True, ("--allow-grpc=false",), {1, 3}),
    ],
)
def test_services_that_are_off_are_not_waited_for(metrics: bool, extra_args: tuple[str, ...], ports: set[int]) -> None:
    """The flags are given with = or as two words."""
    settings = ServerSettings(http_port=1, grpc_port=2, metrics_port=3, metrics=metrics, extra_args=extra_args)
    assert served_ports(settings) == ports


@pytest.mark.parametrize(("flag", "address"), [("--allow-grpc=false", ""), ("--allow-grpc=true", "127.0.0.1:2")])
def test_a_server_without_grpc_is_not_asked_over_it(flag: str, address: str) -> None:
    assert health_of(ServerSettings(grpc_port=2, extra_args=(flag,))).grpc_address == address


@pytest.mark.parametrize("flag", ["--allow-http=false", "--allow-http", "--allow-h=0"])
def test_http_stays_on(flag: str) -> None:
    """The server is asked over it whether it serves."""
    with pytest.raises(ValidationError, match="tritonforge asks the server over HTTP, which stays on"):
        ServerSettings(extra_args=(flag,))


def test_backends_have_the_runtime_and_no_bytecode(installation: Installation, tmp_path: Path) -> None:
    """A folder without model.py, such as the runtime itself, is no backend. The runtime is there once."""
    ours = tmp_path / "ours"
    for path in (
        "onnxruntime/model.py",
        "pytorch/model.py",
        "onnxruntime/__pycache__/x.pyc",
        "tritonforge_runtime/__init__.py",
        "docs/x.md",
    ):
        (ours / path).parent.mkdir(parents=True, exist_ok=True)
        (ours / path).touch()
    made = assemble_backends(tmp_path / "made", installation, python="3.11", ours=ours)
    assert sorted(path.name for path in made.iterdir()) == ["onnxruntime", "python", "pytorch"]
    runtimes = [made / backend / "tritonforge_runtime" for backend in ("onnxruntime", "pytorch")]
    assert os.path.samefile(*runtimes)
    assert made in runtimes[1].resolve().parents
    assert sorted(str(path.relative_to(made)) for path in (made / "onnxruntime").rglob("*.py")) == [
        "onnxruntime/model.py",
        "onnxruntime/tritonforge_runtime/__init__.py",
    ]
    assert not list(made.rglob("__pycache__"))
    library = made / "python" / "libtriton_python.so"
    assert library.is_file()
    assert not library.is_symlink()
    assert (made / "python" / "triton_python_backend_stub").resolve() == installation.stub("3.11").resolve()


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        (
            {"model_control": "explicit", "restricted_key": "k" * 8},
            [
                "--strict-readiness=false",
                "--model-control-mode=explicit",
                "--load-model=*",
                "--http-restricted-api=model-repository:triton-key=kkkkkkkk",
                "--grpc-restricted-protocol=model-repository:triton-key=kkkkkkkk",
            ],
        ),
        (
            {"model_control": "explicit", "load_models": ("a", "b"), "restricted_apis": ()},
            ["--strict-readiness=false", "--model-control-mode=explicit", "--load-model=a", "--load-model=b"],
        ),
        (
            {"model_control": "explicit", "load_models": (), "restricted_apis": ()},
            ["--strict-readiness=false", "--model-control-mode=explicit"],
        ),
        (
            {"model_control": "poll", "poll_s": 5},
            ["--strict-readiness=false", "--model-control-mode=poll", "--repository-poll-secs=5"],
        ),
        ({"cache_size": "1MiB"}, ["--cache-config=local,size=1048576"]),
        (
            {"rate_limiter": True, "rate_limit_resources": ("R1:10",)},
            ["--rate-limit=execution_count", "--rate-limit-resource=R1:10"],
        ),
        (
            {"log_level": "error", "log_format": "ISO8601"},
            ["--log-info=false", "--log-warning=false", "--log-format=ISO8601"],
        ),
        ({"strict_readiness": False}, ["--strict-readiness=false"]),
        (
            {"model_control": "explicit", "strict_readiness": True, "restricted_apis": ()},
            ["--model-control-mode=explicit", "--load-model=*"],
        ),
        ({"metrics": False}, ["--allow-metrics=false"]),
        (
            {"trace_endpoint": "http://127.0.0.1:4318/v1/traces", "trace_rate": 1},
            [
                "--trace-config=mode=opentelemetry",
                "--trace-config=opentelemetry,url=http://127.0.0.1:4318/v1/traces",
                "--trace-config=rate=1",
                "--trace-config=level=TIMESTAMPS",
            ],
        ),
        (
            {"grpc_tls_cert": "/c", "grpc_tls_key": "/k"},
            ["--grpc-use-ssl=true", "--grpc-server-cert=/c", "--grpc-server-key=/k"],
        ),
        (
            {"grpc_tls_cert": "/c", "grpc_tls_key": "/k", "grpc_tls_root": "/r"},
            ["--grpc-use-ssl-mutual=true", "--grpc-root-cert=/r", "--grpc-server-cert=/c", "--grpc-server-key=/k"],
        ),
    ],
)
def test_settings_become_flags(settings: dict[str, object], flags: list[str]) -> None:
    """Those beyond what is always given."""
    plain = server_flags(ServerSettings.load({}))
    without_metrics = [flag for flag in plain if "metrics-config" not in flag]
    made = server_flags(ServerSettings.load({}, **settings))
    assert [flag for flag in made if flag not in plain] == flags
    assert set(without_metrics) <= set(made)


def test_environments_of_models_are_unpacked_where_it_is_said(installation: Installation, tmp_path: Path) -> None:
    """The path in the library is replaced by one of the same length; another length is refused."""
    made = assemble_backends(tmp_path / "made", installation, python="3.11", ours=tmp_path)
    library = made / "python" / "libtriton_python.so"
    before = library.read_bytes()
    assert not keep_environments_in(tmp_path, made)
    assert library.read_bytes() == before
    assert keep_environments_in(Path("/tmp/tf01234567"), made)
    assert library.read_bytes() == before.replace(b"/tmp/python_env_", b"/tmp/tf01234567/")
