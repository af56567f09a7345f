"""What is waited for where the server itself is asked for its verdicts: a process that stands in for a real one."""

from __future__ import annotations

import io

import pytest

from tritonforge.server import oracle
from tritonforge.server.errors import ServerDied, ServerTimeout
from tritonforge.server.settings.server import ServerSettings

SETTINGS = ServerSettings(http_port=1, grpc_port=0, metrics_port=0)  # where nobody listens


class Running:
    """A workspace whose server neither listens nor ends."""

    def poll(self) -> int | None:
        return None


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("terminate called after throwing an instance of 'std::invalid_argument'\n  what():  no", ServerDied),
        ("I1129 20:31:02 terminates nothing", ServerTimeout),
    ],
)
def test_a_server_that_aborts_and_goes_on_running_counts_as_dead(
    monkeypatch: pytest.MonkeyPatch, log: str, error: type[Exception]
) -> None:
    monkeypatch.setattr(oracle, "_ABORT_S", 0.02)
    with pytest.raises(error) as caught:
        oracle._await_states(Running(), SETTINGS, io.StringIO(log), 0.5)  # type: ignore[arg-type]
    if isinstance(caught.value, ServerDied):
        assert caught.value.exit_code == 134
        assert "what():  no" in str(caught.value)
