"""Settings of a server: where they come from, which wins, and what is refused."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        (
            {"TRITONFORGE_HTTP_PORT": "http"},
            {},
            "TRITONFORGE_HTTP_PORT: found 'http': Input should be a valid integer, "
            "unable to parse string as an integer",
        ),
        ({}, {"grpc_port": 70000}, "grpc_port: found 70000: Input should be less than or equal to 65535"),
        ({}, {"ready_timeout_s": 0}, "ready_timeout_s: found 0: Input should be greater than 0"),
        ({}, {"http_port": 8001}, "server: http_port, grpc_port and metrics_port must differ, found 8001, 8001, 8002"),
        (
            {},
            {"extra_args": ("--http-port=1",)},
            "extra_args: tritonforge gives --http-port itself; use http_port",
        ),
        ({}, {"extra_args": ("--model-store", "x")}, "extra_args: tritonforge gives --model-store itself"),
    ],
)
def test_refuses_with_the_name_of_the_source(
    variables: dict[str, str], arguments: dict[str, Any], message: str
) -> None:
    """The message names the variable or the argument, what was found, and what is allowed."""
    with pytest.raises(SettingsError) as refused:
        ServerSettings.load(variables, **arguments)
    assert str(refused.value) == f"{message}  [TF501]"


def test_an_unknown_setting_is_told_with_those_that_there_are() -> None:
    """A typo in an argument is a mistake of the user's like any other."""
    with pytest.raises(SettingsError, match="hint: the settings are http_port, grpc_port, metrics_port, host,"):
        ServerSettings.load({}, http_prot=1)


def test_replace_checks_again_and_leaves_the_original() -> None:
    """Several free ports are no clash."""
    settings = ServerSettings.load({})
    free = settings.replace(http_port=0, grpc_port=0, metrics_port=0, host=None)
    assert (free.http_port, free.host, settings.http_port) == (0, "127.0.0.1", 8000)
    with pytest.raises(SettingsError):
        settings.replace(http_port=-1)
