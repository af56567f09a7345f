"""How each question is put over Triton's HTTP API."""

from __future__ import annotations

from urllib.parse import quote

from tritonforge.client.questions import Question

__all__ = ["has_body", "is_answer", "model_path", "request_line"]

_PLAIN = "!$&'()*+,;=:@%"
"""Characters that a path may hold as they are, and "%": Triton takes a model's name as it came, unquoted (24.10)."""

_LINES: dict[str, tuple[str, str]] = {
    "server_live": ("GET", "/v2/health/live"),
    "server_ready": ("GET", "/v2/health/ready"),
    "server_metadata": ("GET", "/v2"),
    "model_ready": ("GET", "{model}/ready"),
    "model_metadata": ("GET", "{model}"),
    "model_config": ("GET", "{model}/config"),
    "index": ("POST", "/v2/repository/index"),
    "statistics": ("GET", "{model}/stats"),
    "load": ("POST", "/v2/repository{model}/load"),
    "unload": ("POST", "/v2/repository{model}/unload"),
    "trace": ("GET", "{model}/trace/setting"),
    "logging": ("GET", "/v2/logging"),
    "shared_memory": ("GET", "/v2/systemsharedmemory/status"),
    "register_shared_memory": ("POST", "/v2/systemsharedmemory/region/{name}/register"),
    "unregister_shared_memory": ("POST", "/v2/systemsharedmemory/region/{name}/unregister"),
    "cuda_shared_memory": ("GET", "/v2/cudasharedmemory/status"),
    "register_cuda_shared_memory": ("POST", "/v2/cudasharedmemory/region/{name}/register"),
    "unregister_cuda_shared_memory": ("POST", "/v2/cudasharedmemory/region/{name}/unregister"),
    "generate": ("POST", "{model}/generate"),
    "generate_stream": ("POST", "{model}/generate_stream"),
}
"""By subject: the method, and the path with `{model}` for `/v2/models/NAME[/versions/VERSION]`, `{name}` for NAME."""

_LISTS = frozenset({"index", "shared_memory", "cuda_shared_memory"})
_SILENT = frozenset(
    {
        *("load", "unload", "register_shared_memory", "unregister_shared_memory"),
        *("register_cuda_shared_memory", "unregister_cuda_shared_memory"),
    }
)

_JSON = frozenset({"generate", "generate_stream"})

_OF_ALL = {"statistics": "/v2/models/stats", "trace": "/v2/trace/setting"}
"""The paths of what can be asked of no model in particular."""


def request_line(question: Question) -> tuple[str, str]:
    """Give the method and the path."""
    method, path = _LINES[question.subject]
    if not question.model:
        path = _OF_ALL.get(question.subject, path)
    if question.body:
        method = "POST"
    path = path.replace("/v2/repository{model}", f"/v2/repository/models/{quote(question.model, safe=_PLAIN)}")
    path = path.replace("{name}", quote(question.model, safe=""))
    return method, path.replace("{model}", model_path(question.model, question.version))


def has_body(question: Question) -> bool:
    """Tell whether JSON goes with it even where there is nothing to say."""
    return question.subject in _JSON


def is_answer(question: Question, content: object) -> bool:
    """Tell whether JSON is of the form of an answer."""
    if question.subject in _SILENT:
        return content is None
    if question.subject == "statistics":
        return isinstance(content, dict) and _is_list(content.get("model_stats"))
    return _is_list(content) if question.subject in _LISTS else isinstance(content, dict)


def _is_list(content: object) -> bool:
    return isinstance(content, list) and all(isinstance(entry, dict) for entry in content)


def model_path(model: str, version: str) -> str:
    """Give the path of a model, or of a version of it."""
    versioned = f"/versions/{quote(version, safe='')}" if version else ""
    return f"/v2/models/{quote(model, safe=_PLAIN)}{versioned}"
