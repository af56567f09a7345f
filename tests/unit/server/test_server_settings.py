"""Settings of a server: where they come from, which wins, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tritonforge.server import ServerSettings, SettingsError


def test_defaults_listen_on_this_machine_only() -> None:
    """Nothing is served to the network unless it is asked for."""
    settings = ServerSettings.load({})
    assert (settings.host, settings.http_port, settings.grpc_port, settings.metrics_port) == (
        "127.0.0.1",
        8000,
        8001,
        8002,
    )


def test_arguments_win_over_variables_and_those_over_defaults() -> None:
    """An argument that is None is none."""
    variables = {
        "TRITONFORGE_HTTP_PORT": "9000",
        "TRITONFORGE_GRPC_PORT": "9001",
        "TRITONFORGE_EXTRA_ARGS": "--log-info=false '--id=a b'",
        "TRITONFORGE_HOST": " ",
    }
    settings = ServerSettings.load(
        variables, defaults={"grpc_port": 7001, "metrics_port": 7002}, http_port=5000, grpc_port=None
    )
    assert (settings.http_port, settings.grpc_port, settings.metrics_port) == (5000, 9001, 7002)
    assert settings.extra_args == ("--log-info=false", "--id=a b")
    assert settings.host == "127.0.0.1"


def test_lists_may_be_json() -> None:
    given = '["--trace-config=opentelemetry,bsp_schedule_delay=50", "--id=a b"]'
    assert ServerSettings.load({"TRITONFORGE_EXTRA_ARGS": given}).extra_args == tuple(json.loads(given))
    with pytest.raises(SettingsError, match=r"TRITONFORGE_EXTRA_ARGS: found .*: a list is wanted"):
        ServerSettings.load({"TRITONFORGE_EXTRA_ARGS": '["--id'})


SIZE = "a size is wanted: bytes, or a number with its unit, 64MiB"


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        ({"TRITONFORGE_HTTP_PORT": "http"}, {}, "TRITONFORGE_HTTP_PORT: found 'http': a whole number is wanted"),
        ({}, {"poll_s": 1.5}, "poll_s: found 1.5: a whole number is wanted"),
        ({}, {"exit_timeout_s": "soon"}, "exit_timeout_s: found 'soon': a number is wanted"),
        ({}, {"public": "yes please"}, "public: found 'yes please': true or false is wanted"),
        ({}, {"cache_size": "lots"}, f"cache_size: found 'lots': {SIZE}"),
        ({}, {"log_limit": "5 parrots"}, f"log_limit: found '5 parrots': {SIZE}"),
        *(
            ({}, {"trace_endpoint": url}, f"trace_endpoint: found '{url}': a URL is wanted, http://host:4318/v1/traces")
            for url in ("foo", "localhost:4318", "grpc://host:4317", "http://", "http://a b")
        ),
        ({}, {"log_limit": "4KiB"}, "log_limit: a log is put aside at 64 KiB at the least; 0 lets it grow"),
        ({}, {"tritonserver": 5}, "tritonserver: found 5: text is wanted"),
        ({}, {"grpc_tls_cert": 5}, "grpc_tls_cert: found 5: a file's path is wanted"),
        ({}, {"grpc_port": 70000}, "grpc_port: found 70000: Input should be less than or equal to 65535"),
        ({}, {"ready_timeout_s": 0}, "ready_timeout_s: found 0: Input should be greater than 0"),
        *(
            ({}, {field: value}, f"{field}: found {value!r}: Input should be less than or equal to 1000000000")
            for field, value in (
                ("exit_timeout_s", float("inf")),
                ("exit_timeout_s", 1e300),
                ("ready_timeout_s", float("inf")),
                ("poll_s", 10**10),
                ("log_verbose", 10**10),
                ("trace_rate", 10**10),
            )
        ),
        *(
            (
                {},
                {"rate_limit_resources": ["R1:10:0", resource]},
                f"rate_limit_resources: found {resource!r}: NAME:COUNT is wanted, or NAME:COUNT:DEVICE, as R1:10",
            )
            for resource in ("foo", ":1", "foo:-1", "foo:1.5", "foo:9999999999", "foo:1:global", "foo:1:0:1")
        ),
        ({}, {"http_port": 8001}, "server: http_port, grpc_port and metrics_port must differ, found 8001, 8001, 8002"),
        (
            {},
            {"extra_args": ("--http-port=1",)},
            "extra_args: tritonforge gives --http-port itself; use http_port",
        ),
        (
            {},
            {"extra_args": ("--log-info=false", "--allow-sage=true")},
            "server: --allow-sage=true listens for other machines, whatever host says; say --public (public=True) if "
            "that is meant",
        ),
        ({}, {"extra_args": ("--model-store", "x")}, "extra_args: tritonforge gives --model-store itself"),
        (
            {},
            {"extra_args": ("--http-thread-count=4", "--grpc-addr", "0.0.0.0")},
            "extra_args: tritonforge gives --grpc-addr, short for --grpc-address, itself; use host",
        ),
        (
            {},
            {"extra_args": ("--metrics-=0.0.0.0",)},
            "extra_args: tritonforge gives --metrics-, short for --metrics-address or --metrics-port, itself; "
            "use host, metrics_port",
        ),
        (
            {},
            {"extra_args": ("--model-s=x",)},
            "extra_args: tritonforge gives --model-s, short for --model-store, itself",
        ),
    ],
)
def test_refuses_with_the_name_of_the_source(
    variables: dict[str, str], arguments: dict[str, Any], message: str
) -> None:
    """The message names the variable or the argument, what was found, and what is allowed."""
    with pytest.raises(SettingsError) as refused:
        ServerSettings.load(variables, **arguments)
    assert str(refused.value) == f"{message}  [TF501]"


def test_flags_that_are_none_of_ours_are_passed_on() -> None:
    """Those too that begin as one of ours does."""
    flags = ("--log-format=ISO8601", "--model-load-thread-count", "2", "--metrics-interval-ms=100", "-?", "--")
    assert ServerSettings.load({}, extra_args=flags).extra_args == flags


def test_an_unknown_setting_is_told_with_those_that_there_are() -> None:
    """A typo in an argument is a mistake of the user's like any other; a near name is enough."""
    with pytest.raises(SettingsError, match="hint: the settings are http_port, grpc_port, metrics_port, host,"):
        ServerSettings.load({}, colour=1)
    with pytest.raises(SettingsError) as refused:
        ServerSettings.load({}, http_prot=1)
    assert str(refused.value) == "http_prot: there is no such setting\n  hint: did you mean http_port?  [TF501]"


def test_a_setting_of_the_project_is_told_with_its_file() -> None:
    """Not so one that an argument replaces."""
    file = Path("pyproject.toml")
    with pytest.raises(SettingsError) as refused:
        ServerSettings.load({}, defaults={"http_prot": 3, "grpc_port": -1, "poll_s": 0}, defaults_file=file, poll_s=-1)
    said = str(refused.value)
    assert "pyproject.toml [tool.tritonforge.server] http_prot: there is no such setting\n  hint: did you mean" in said
    assert "pyproject.toml [tool.tritonforge.server] grpc_port: found -1: " in said
    assert "\npoll_s: found -1: " in said


def test_files_of_the_project_lie_beside_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of arguments and variables are relative to the current folder, and a program's name is looked up."""
    monkeypatch.chdir(tmp_path)
    defaults = {"grpc_tls_cert": "certs/cert.pem", "grpc_tls_key": "key.pem", "tritonserver": "opt/triton"}
    project = {"defaults": defaults, "defaults_file": Path("/project/pyproject.toml")}
    settings = ServerSettings.load({"TRITONFORGE_GRPC_TLS_KEY": "key.pem"}, grpc_tls_root="root.pem", **project)
    assert settings.grpc_tls_cert == Path("/project/certs/cert.pem")
    assert settings.grpc_tls_key == tmp_path / "key.pem"
    assert settings.grpc_tls_root == tmp_path / "root.pem"
    assert settings.tritonserver == "/project/opt/triton"
    for program in ("/opt/triton", "tritonserver", ""):
        assert ServerSettings.load({}, **project | {"defaults": {"tritonserver": program}}).tritonserver == program


def test_a_variable_that_nothing_reads_is_told_where_it_is_near_to_one() -> None:
    variables = {"TRITONFORGE_HTPP_PORT": "1", "TRITONFORGE_HTTP_PORT": "1", "TRITONFORGE_URL": "", "TRITONFORGE_X": ""}
    (warning,) = ServerSettings.unread_variables(variables)
    assert str(warning) == (
        "warning: TRITONFORGE_HTPP_PORT: nothing reads this variable\n"
        "  hint: did you mean TRITONFORGE_HTTP_PORT?  [TF501]"
    )


def test_replace_checks_again_and_leaves_the_original() -> None:
    """Several free ports are no clash."""
    settings = ServerSettings.load({})
    free = settings.replace(http_port=0, grpc_port=0, metrics_port=0, host=None)
    assert (free.http_port, free.host, settings.http_port) == (0, "127.0.0.1", 8000)
    with pytest.raises(SettingsError):
        settings.replace(http_port=-1)


def test_other_machines_are_listened_to_only_where_that_is_said() -> None:
    """`public` alone means everywhere."""
    with pytest.raises(SettingsError, match=r"host 0\.0\.0\.0 is reached from other machines; say --public"):
        ServerSettings.load({}, host="0.0.0.0")
    with pytest.raises(SettingsError, match="say --public"):
        ServerSettings.load({"TRITONFORGE_HOST": "10.0.0.1"})
    with pytest.raises(
        SettingsError, match=r"host no-such-host\.invalid is not an IPv4 address or a known name: .*; listen"
    ):
        ServerSettings.load({}, host="no-such-host.invalid")
    assert ServerSettings.load({}, public=True).host == "0.0.0.0"
    assert ServerSettings.load({"TRITONFORGE_PUBLIC": "true"}).host == "0.0.0.0"
    assert ServerSettings.load({}, public=True, host="10.0.0.1").host == "10.0.0.1"
    assert ServerSettings.load({}, host="localhost").host == "localhost"


def test_what_changes_the_server_wants_a_key() -> None:
    """Control does on this machine too, as any program and web page here reaches it; unless it is told otherwise."""
    assert ServerSettings.load({}).restricted == ()
    assert ServerSettings.load({}, model_control="explicit").restricted == ("model-repository",)
    public = ServerSettings.load({}, public=True)
    assert public.restricted == ("model-repository", "shared-memory", "trace", "logging")
    assert ServerSettings.load({}, public=True, restricted_apis=()).restricted == ()
    chosen = ServerSettings.load({"TRITONFORGE_RESTRICTED_APIS": "statistics trace"})
    assert chosen.restricted == ("statistics", "trace")


@pytest.mark.parametrize(
    ("public", "restricted"),
    [
        (False, ("model-repository", "inference")),
        (True, ("model-repository", "shared-memory", "trace", "logging", "inference")),
    ],
)
def test_what_is_named_wants_a_key_besides(public: bool, restricted: tuple[str, ...]) -> None:
    """Wherever it is named: else naming inference would let anybody load code of theirs."""
    named = "inference model-repository"
    given: tuple[tuple[dict[str, str], dict[str, Any]], ...] = (
        ({"TRITONFORGE_RESTRICTED_APIS": named}, {}),
        ({}, {"restricted_apis": tuple(named.split())}),
        ({}, {"defaults": {"restricted_apis": named.split()}}),
    )
    for environ, arguments in given:
        settings = ServerSettings.load(environ, public=public, model_control="explicit", **arguments)
        assert settings.restricted == restricted


def test_a_key_is_not_shown_and_must_fit_into_a_header() -> None:
    """Neither in the settings' text nor in an error."""
    settings = ServerSettings.load({"TRITONFORGE_RESTRICTED_KEY": "s3cret-s3cret"})
    assert "s3cret" not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        ServerSettings.load({}, restricted_key="with space")
    assert "a key is at least 8 letters, digits and ._~+/-" in str(refused.value)
    assert "with space" not in str(refused.value)


def test_sizes_are_read_with_their_units_and_pairs_are_whole() -> None:
    """Half of a certificate is none."""
    assert ServerSettings.load({"TRITONFORGE_CACHE_SIZE": "64MiB"}).cache_size == 64 << 20
    with pytest.raises(SettingsError, match="the response cache needs at least 1024 bytes"):
        ServerSettings.load({}, cache_size=10)
    with pytest.raises(SettingsError, match="load_models goes with model_control=explicit; with poll all are loaded"):
        ServerSettings.load({}, model_control="poll", load_models=("echo",))
    with pytest.raises(SettingsError, match="with none all are loaded"):
        ServerSettings.load({}, load_models=())
    with pytest.raises(SettingsError, match="grpc_tls_cert and grpc_tls_key go together"):
        ServerSettings.load({}, grpc_tls_cert="cert.pem")


def test_no_models_are_told_from_all_of_them() -> None:
    """However it is written, and kept where other settings change."""
    explicit = {"model_control": "explicit"}
    assert ServerSettings.load({}, **explicit).load_models is None
    assert ServerSettings.load({}, **explicit).replace(http_port=0).load_models is None
    for none in (
        ServerSettings(**explicit, load_models=[]),
        ServerSettings.load({"TRITONFORGE_LOAD_MODELS": "[]"}, **explicit),
    ):
        assert none.load_models == none.replace(http_port=0).load_models == ()


def test_a_server_that_loads_models_for_all_the_network_is_told_from_others() -> None:
    public = {"model_control": "explicit", "public": True, "restricted_apis": ()}
    assert ServerSettings.load({}, **public).loads_for_all
    for closed in ({"host": "127.0.0.1"}, {"restricted_apis": None}, {"model_control": "none"}, {"public": False}):
        assert not ServerSettings.load({}, **public | closed).loads_for_all
