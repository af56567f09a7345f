"""What a model's configuration asks for in vain, as the server is set."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ByteSize

from tritonforge.server import ServerSettings
from tritonforge.server.settings.idle import idle_fields

CACHE = "cached: response_cache does nothing: the server has no cache; give it one with --set cache_size=64MiB"
RATES = "limited: rate_limiter does nothing: the server doesn't limit rates; have it do so with --set rate_limiter=true"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two models that ask for something, two that don't, and one whose configuration can't be read."""
    configs = {
        "cached": "response_cache { enable: true }",
        "limited": 'instance_group [ { count: 2 rate_limiter { resources [ { name: "io" count: 1 } ] } } ]',
        "uncached": "response_cache { enable: false }",
        "broken": "response_cache {",
    }
    for name, text in configs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.pbtxt").write_text(text)
    (tmp_path / "bare" / "1").mkdir(parents=True)
    return tmp_path


def test_what_needs_a_setting_of_the_server_is_told_without_it(repository: Path) -> None:
    assert idle_fields(repository, ServerSettings()) == [CACHE, RATES]
    assert idle_fields(repository, ServerSettings(cache_size=ByteSize(64 << 20))) == [RATES]
    assert idle_fields(repository, ServerSettings(rate_limiter=True)) == [CACHE]


def test_a_flag_that_is_passed_on_may_be_what_it_needs(repository: Path) -> None:
    settings = ServerSettings(extra_args=("--cache-config=redis,host=cache", "--rate-limit=execution_count"))
    assert idle_fields(repository, settings) == []
