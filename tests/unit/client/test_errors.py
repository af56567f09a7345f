"""The tree of errors and what becomes which."""

from __future__ import annotations

import pickle
from functools import partial

import pytest

from tritonforge.client import (
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    ServerUnavailable,
)
from tritonforge.client.errors import Target
from tritonforge.client.failures import from_grpc_code, from_http_status, from_page
from tritonforge.client.reliable.retries import may_retry
from tritonforge.errors import InvalidTensor, TritonForgeError

TARGET = Target("http://host:8000", "fraud", "2", "req-1")
NOT_LOADED = "Request for unknown model: 'fraud' has no available versions"


def test_an_error_says_where_and_what_and_survives_pickling():
    error = pickle.loads(pickle.dumps(InferenceFailed("ValueError: boom", TARGET)))
    assert str(error) == "fraud version 2 at http://host:8000 (request req-1): ValueError: boom"
    assert (error.url, error.model, error.version, error.request_id) == ("http://host:8000", "fraud", "2", "req-1")
    assert error.reason == "ValueError: boom"


def test_a_name_or_an_id_of_several_lines_stays_in_one_line():
    words = "Request for unknown model: 'a\r\nERROR b' is not found"
    error = ModelNotFound(f"[request id: \x1b[2J] {words}", Target("http://host:8000", "a\r\nERROR b", "", "\x1b[2J"))
    assert str(error) == (
        r"a\r\nERROR b at http://host:8000 (request \x1b[2J): [request id: \x1b[2J] "
        r"Request for unknown model: 'a\r\nERROR b' is not found"
    )
    assert error.model == "a\r\nERROR b"
    assert words in error.reason
    assert str(InferenceFailed("line 1\nline 2", TARGET)).endswith(": line 1\nline 2")


def test_what_a_terminal_would_act_upon_is_escaped_in_a_servers_words():
    error = InferenceFailed("\x1b[2Jgone\rhidden\u202e\n\tat line 3\r\né", TARGET)
    assert str(error).endswith("(request req-1): \\x1b[2Jgone\\rhidden\\u202e\n\tat line 3\r\né")
    assert error.reason.startswith("\x1b")


def test_errors_can_be_caught_as_what_they_are_elsewhere():
    assert issubclass(ClientError, TritonForgeError)
    assert issubclass(InvalidRequest, InvalidTensor)
    assert issubclass(DeadlineExceeded, TimeoutError)


@pytest.mark.parametrize(
    ("status", "words", "wanted"),
    [
        (400, "unexpected shape", InvalidRequest),
        (403, "", InvalidRequest),
        (404, "Request for unknown model: 'fraud' is not found", ModelNotFound),
        (404, "[request id: a] Request for unknown model: 'fraud' version 7 is not found", ModelNotFound),
        (404, "Model fraud with version 2 not found", ModelNotFound),  # MLServer's
        (404, "Model with name fraud does not exist.", ModelNotFound),  # KServe's
        (404, "no car of this model", InferenceFailed),
        (404, NOT_LOADED, ModelNotReady),
        (404, "no such customer", InferenceFailed),  # a model's own words
        (429, "slow down", ServerUnavailable),
        (500, "boom", InferenceFailed),
        (501, "decoupled", InvalidRequest),
        (502, "bad gateway", ServerUnavailable),
        (503, "Exceeds maximum queue size", ServerUnavailable),
        (503, "Request timeout expired", DeadlineExceeded),
        (302, "", ServerUnavailable),
    ],
)
def test_http_statuses(status, words, wanted):
    error = from_http_status(status, words, TARGET)
    assert type(error) is wanted
    assert words in str(error)


@pytest.mark.parametrize(
    ("code", "words", "wanted"),
    [
        ("INVALID_ARGUMENT", "unexpected shape", InvalidRequest),
        ("NOT_FOUND", "Request for unknown model: 'fraud' is not found", ModelNotFound),
        ("NOT_FOUND", "no model has no available versions", InferenceFailed),
        ("NOT_FOUND", NOT_LOADED, ModelNotReady),
        ("NOT_FOUND", "no such customer", InferenceFailed),
        ("UNAVAILABLE", "Connection refused", ServerUnavailable),
        ("UNAVAILABLE", "Request timeout expired", DeadlineExceeded),
        ("INTERNAL", "boom", InferenceFailed),
        ("INTERNAL", "Stream removed (RST_STREAM (Received RST_STREAM with error code 2))", ServerUnavailable),
        ("INTERNAL", "Compression bit set but no encoding configured", ServerUnavailable),
        ("UNKNOWN", "No status received", ServerUnavailable),
        ("UNKNOWN", "No status received from the sensor", InferenceFailed),
        ("DEADLINE_EXCEEDED", "", DeadlineExceeded),
        ("UNKNOWN", "", InferenceFailed),
    ],
)
def test_grpc_codes(code, words, wanted):
    assert type(from_grpc_code(code, words, TARGET)) is wanted


@pytest.mark.parametrize("make", [partial(from_http_status, 500), partial(from_grpc_code, "INTERNAL")])
def test_what_a_server_refuses_of_itself_is_no_failed_inference(make):
    assert type(make("non-unsigned-integer", Target("http://host:1"))) is InvalidRequest


def test_words_without_an_end_are_cut():
    error = InferenceFailed(f"ValueError: boom{'x' * 3_000_000} at the end", TARGET)
    assert len(str(error)) < 20_000
    assert error.reason.startswith("ValueError: boomxxx")
    assert error.reason.endswith("xxx at the end")
    assert "… (2987739 characters left out) …" in error.reason


def test_an_id_that_a_request_has_not_is_left_out_of_the_reason():
    words = "in ensemble 'e', [request id: <id_unknown>] Exceeds maximum queue size"
    assert from_http_status(503, words, TARGET).reason == "in ensemble 'e', Exceeds maximum queue size"
    assert "[request id: 7]" in from_http_status(503, words.replace("<id_unknown>", "7"), TARGET).reason


@pytest.mark.parametrize("before", ["", "in ensemble 'e', "])
def test_what_a_python_model_raised_is_its_failure_whatever_the_status(before):
    error = from_http_status(400, f"{before}Failed to process the request(s) for model 'm_0', message: boom", TARGET)
    assert (type(error), error.code) == (InferenceFailed, "400")
    assert type(from_http_status(400, "the model's: Failed to process the request(s) for", TARGET)) is InvalidRequest


def test_a_missing_path_of_the_server_itself_is_no_missing_model():
    assert type(from_http_status(404, "Not Found", Target("http://host:1"))) is ServerUnavailable


PAGE = """<html><head><title>404 &ndash; Gone</title><style>b { color: red }</style></head>
<body><b>nginx</b></body></html>"""


@pytest.mark.parametrize(
    ("status", "text", "wanted", "words"),
    [
        (404, PAGE, ServerUnavailable, "not a Triton server, or one without this endpoint: HTTP 404: 404 – Gone nginx"),
        (404, "", ServerUnavailable, "not a Triton server, or one without this endpoint: HTTP 404"),
        (404, '{"detail":"Not Found"}', ServerUnavailable, 'this endpoint: HTTP 404: {"detail":"Not Found"}'),
        (500, PAGE, ServerUnavailable, "not a Triton server: HTTP 500: 404 – Gone nginx"),
        (500, "boom", InferenceFailed, "boom"),
        (401, PAGE, InvalidRequest, "HTTP 401: 404 – Gone nginx"),
        (403, PAGE, InvalidRequest, "HTTP 403: 404 – Gone nginx"),
        (413, PAGE, InvalidRequest, "Gone nginx; the request is larger than the server, or a proxy before it, takes"),
        (502, PAGE, ServerUnavailable, "HTTP 502: 404 – Gone nginx"),
        (302, PAGE, ServerUnavailable, "not a Triton server: it answered HTTP 302 404 – Gone nginx"),
        (405, "Method Not Allowed", InvalidRequest, "is it Triton's metrics port?"),
    ],
)
def test_pages_of_other_servers(status, text, wanted, words):
    error = from_page(status, text, TARGET)
    assert type(error) is wanted
    assert words in error.reason
    assert "\n" not in error.reason
    assert "color" not in error.reason


def test_a_missing_page_below_a_path_of_the_url_has_that_in_doubt():
    reason = from_page(404, "Not Found", Target("http://host:8000/x", "m")).reason
    assert reason.endswith("HTTP 404: Not Found; the URL has the path /x: is it that below which a proxy has Triton's?")
    assert "path" not in from_page(404, "Not Found", TARGET).reason


def test_a_long_page_is_cut():
    assert len(from_page(404, f"<p>{'word ' * 1000}</p>", TARGET).reason) < 300


@pytest.mark.parametrize("say", ["Received http2 header with status: {}", "HTTP status {}, which is not gRPC's"])
@pytest.mark.parametrize(
    ("status", "code", "wanted", "words"),
    [
        (404, "UNIMPLEMENTED", ServerUnavailable, "not a Triton server, or one without this endpoint: HTTP 404"),
        (500, "UNKNOWN", ServerUnavailable, "not a Triton server: HTTP 500"),
        (400, "INTERNAL", ServerUnavailable, "not a Triton server: HTTP 400"),
        (
            401,
            "UNAUTHENTICATED",
            InvalidRequest,
            "HTTP 401, which no gRPC server says: a proxy does; it wants credentials: ConnectionOptions(token=…), or "
            "headers=…",
        ),
        (403, "PERMISSION_DENIED", InvalidRequest, "HTTP 403, which no gRPC server says: a proxy does"),
        (
            413,
            "UNKNOWN",
            InvalidRequest,
            "HTTP 413, which no gRPC server says: a proxy does; the request is larger than "
            "the server, or a proxy before it, takes",
        ),
        (503, "UNAVAILABLE", ServerUnavailable, "HTTP 503, which no gRPC server says: a proxy does"),
    ],
)
def test_answers_over_grpc_that_are_http_alone(say, status, code, wanted, words):
    error = from_grpc_code(code, say.format(status), TARGET)
    assert type(error) is wanted
    assert error.reason == words
    assert error.code == code


NO_SUCH_METHOD = {
    "C++, Rust": "",
    "Python": "Method not found!",
    "Python, a service that leaves it out": "Method not implemented!",
    "Go": "unknown service inference.GRPCInferenceService",
    "Go, of a method": "unknown method ModelConfig for service inference.GRPCInferenceService",
    "Go, a service that leaves it out": "method ModelConfig not implemented",
    "Java": "Method not found: inference.GRPCInferenceService/ModelInfer",
    "Java, a service that leaves it out": "Method inference.GRPCInferenceService/ModelInfer is unimplemented",
    ".NET": "Service is unimplemented.",
    "Node.js": "The server does not implement the method /inference.GRPCInferenceService/ModelInfer",
}


@pytest.mark.parametrize("words", NO_SUCH_METHOD.values(), ids=NO_SUCH_METHOD)
def test_a_procedure_that_a_server_has_not_is_as_a_missing_page(words):
    error = from_grpc_code("UNIMPLEMENTED", words, TARGET, answered=True)
    assert isinstance(error, ServerUnavailable)
    assert (error.foreign, error.code) == (True, "UNIMPLEMENTED")
    said = words or "UNIMPLEMENTED"
    assert error.reason == f"not a Triton server, or one without this endpoint: {said}"
    assert error.sent is (not words)  # without words, it may be a model's own


@pytest.mark.parametrize(
    "words",
    [
        "ModelInfer RPC doesn't support models with decoupled transaction policy",  # Triton's (24.10)
        "this model takes no images",  # a model's
        "Method not found! It has others",
        "CUDA shared memory is unsupported",
    ],
)
def test_what_triton_or_a_model_says_is_unsupported_is_the_callers_to_change(words):
    error = from_grpc_code("UNIMPLEMENTED", words, TARGET, answered=True)
    assert isinstance(error, InvalidRequest)
    assert (error.reason, error.code) == (words, "UNIMPLEMENTED")


FULL = "[request id: <id_unknown>] Exceeds maximum queue size"
LEAVING = "[request id: 7] Server is stopping, scheduler for model has stopped accepting new inference requests"


@pytest.mark.parametrize(
    ("error", "of_model"),
    [
        (from_http_status(503, FULL, TARGET), True),
        (from_http_status(503, "Server not ready", TARGET), False),
        (from_http_status(503, LEAVING, TARGET), False),
        (from_http_status(503, FULL, Target("http://host:8000")), False),
        (from_http_status(429, "slow down", TARGET), False),
        (from_page(503, "no backend", TARGET), False),
        (from_grpc_code("UNAVAILABLE", FULL, TARGET), True),
        (from_grpc_code("UNAVAILABLE", "Server not ready", TARGET, answered=True), False),
        (from_grpc_code("UNAVAILABLE", "no healthy upstream", TARGET, answered=True), False),
        (from_grpc_code("UNAVAILABLE", "HTTP status 503, which is not gRPC's", TARGET, answered=True), False),
        (from_grpc_code("UNAVAILABLE", "Stream removed (Socket closed)", TARGET), False),
        (from_grpc_code("UNAVAILABLE", "failed to connect to all addresses; last error: no", TARGET), False),
        (
            from_grpc_code("UNAVAILABLE", "failed to connect to all addresses; last error: no", TARGET, answered=True),
            True,
        ),
        (from_grpc_code("RESOURCE_EXHAUSTED", "too many", TARGET), False),
    ],
)
def test_what_a_server_says_of_one_model_is_told_from_what_is_its_own(error, of_model):
    assert isinstance(error, ServerUnavailable)
    assert error.of_model is of_model


@pytest.mark.parametrize(
    "words",
    [
        "SERVER: Received message larger than max (8800027 vs. 4194304)",  # grpc's in C++
        "grpc: received message larger than max (8800027 vs. 4194304)",  # in Go
        "gRPC message exceeds maximum size 4194304: 8800027",  # in Java
    ],
)
def test_a_request_that_is_too_large_is_the_callers_to_change(words):
    error = from_grpc_code("RESOURCE_EXHAUSTED", words, TARGET, answered=True)
    assert isinstance(error, InvalidRequest)
    assert error.code == "RESOURCE_EXHAUSTED"
    assert "the request is larger than the server" in error.reason


@pytest.mark.parametrize(
    ("words", "answered", "sent"),
    [
        ("failed to connect to all addresses; last error: Socket closed", False, False),
        ("DNS resolution failed for h:1", False, False),
        ("Received RST_STREAM with error code 7", False, False),
        ("Stream removed (RST_STREAM (Received RST_STREAM with error code 7))", False, False),
        ("Stream removed (Socket closed)", False, True),
        ("the model's own database: Connection refused", False, True),
        ("failed to connect to all addresses", True, True),  # a model's words of a server that it asks itself
    ],
)
def test_what_says_over_grpc_that_nothing_was_sent(words, answered, sent):
    error = from_grpc_code("UNAVAILABLE", words, TARGET, answered=answered)
    assert isinstance(error, ServerUnavailable)
    assert error.sent is sent


def test_what_a_model_says_over_http_was_sent():
    error = from_http_status(503, "failed to connect to all addresses: Connection refused", TARGET)
    assert isinstance(error, ServerUnavailable)
    assert error.sent


@pytest.mark.parametrize(
    ("error", "again"),
    [
        *[(from_page(status, "", TARGET), status in (429, 502, 503)) for status in (408, 429, 502, 503, 504)],
        *[(from_http_status(status, "no", TARGET), status in (429, 502, 503)) for status in (408, 429, 502, 503, 504)],
        (from_grpc_code("UNAVAILABLE", "HTTP status 504, which is not gRPC's", TARGET), False),
        (from_grpc_code("UNAVAILABLE", "upstream request timeout", TARGET, answered=True), False),
        (from_grpc_code("UNAVAILABLE", "upstream connect error", TARGET, answered=True), True),
        (from_grpc_code("RESOURCE_EXHAUSTED", "too many", TARGET), True),
    ],
)
def test_what_a_proxy_no_longer_waits_for_is_not_asked_again(error, again):
    assert may_retry(error, idempotent=True, elsewhere=True) is again


def test_what_is_no_triton_server_is_not_asked_again():
    assert not may_retry(from_page(404, "", TARGET), idempotent=True)
    assert not may_retry(from_http_status(204, "", TARGET), idempotent=True)
    assert may_retry(from_page(404, "", TARGET), idempotent=True, elsewhere=True)
    assert not may_retry(from_page(404, "", TARGET), idempotent=False, elsewhere=True)
    assert may_retry(from_page(502, "", TARGET), idempotent=True)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("Failed to connect to remote host: Connection refused", "is the server up? tritonforge up"),
        ("failed to connect to all addresses; last error: Socket closed", "is it over TLS? then grpcs://…"),
        ("Tls handshake failed: OPENSSL_internal:WRONG_VERSION_NUMBER: OK", "then use http://… or grpc://…"),
        ("Failed to process: Stub process 'x' is not healthy.", "then tritonforge reload"),
    ],
)
def test_words_that_do_not_say_what_to_do_get_a_hint(words, hint):
    assert from_grpc_code("UNAVAILABLE", words, TARGET).reason.startswith(f"{words}; ")
    assert from_http_status(500, words, TARGET).reason.endswith(hint)
