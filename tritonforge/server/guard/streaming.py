"""Whether a server has models that answer one request in several parts, between which a connection looks idle."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

from tritonforge.server.asking.health import Health, quoted
from tritonforge.server.errors import ServerError

__all__ = ["may_stream"]

_WITHIN_S = 2.0


def may_stream(health: Health) -> bool:
    """Tell whether an answer in several parts may be under way; yes, too, where the server doesn't say in time."""
    deadline = time.monotonic() + _WITHIN_S
    try:
        for entry in _ask(health, "POST", "/v2/repository/index", deadline):
            state = entry.get("state", "")
            if state == "UNLOADING":  # its last answers are, and its configuration is no longer to be had
                return True
            if state == "READY":
                path = f"/v2/models/{quoted(entry['name'])}/versions/{entry['version']}/config"
                if _ask(health, "GET", path, deadline).get("model_transaction_policy", {}).get("decoupled", False):
                    return True
    except (ServerError, ValueError, LookupError):
        return True
    return False


def _ask(health: Health, method: str, path: str, deadline: float) -> Any:
    """Make a request, and give the answer's JSON."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise ServerError("the server takes too long to tell of its models")
    status, body = health.request(method, path, timeout_s=left_s)
    if status != http.client.OK:
        raise ServerError(f"the server doesn't tell of its models: {status}")
    return json.loads(body)
