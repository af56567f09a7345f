"""What travels between processes: options there, results and errors back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tritonforge.client import (
    TLS,
    Breaker,
    ClientError,
    ConnectionOptions,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    Label,
    ModelNotFound,
    ModelNotReady,
    ModelStatus,
    Progress,
    Retries,
    SchemaChanged,
    ServedModel,
    ServerUnavailable,
)
from tritonforge.client.errors import Target
from tritonforge.client.stub import Stub, only
from tritonforge.client.verify import NotVerifiable, Verified
from tritonforge.ir import Signature, TensorSpec

TARGET = Target("http://h:1", "m", "1", "r-1")
SIGNATURE = Signature((TensorSpec("x", "FP32", ("n",)),), (), batched=True)
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "pickle 2": lambda value: pickle.loads(pickle.dumps(value, 2)),
}


def token() -> str:
    return "t"


def of_all(error: ClientError) -> ClientError:
    """Give an error all that it may have."""
    error.code = "503"
    if isinstance(error, ServerUnavailable):
        error.after_s = 2.0
    if isinstance(error, DeadlineExceeded):
        error.of_token = True
    return error


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(
    "value",
    [
        ConnectionOptions({"X-Tenant": "a"}, token, TLS(server_name="s"), "gzip", 3.0, 5),
        ConnectionOptions(token="secret"),
        TLS(ca="ca.pem"),
        Retries(attempts=2),
        Breaker(failures=2),
        ModelStatus("m", "1", "READY", ""),
        ServedModel("m", ("1",), "p", SIGNATURE, 8),
        Label(0.5, 1, "a"),
        Progress(1, 2),
        Stub("m", SIGNATURE, only),
        Verified("m", 1, ("words",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_options_and_what_is_told_are_equal_after_it(value, copied):
    there = copied(value)
    assert there == value
    assert type(there) is type(value)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_options_are_read_only_after_it(copied):
    options = copied(ConnectionOptions({"x-tenant": "a"}))
    assert options.headers == {"x-tenant": "a"}
    with pytest.raises(TypeError):
        options.headers["x-tenant"] = "b"


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(
    "error",
    [
        ClientError("words", TARGET),
        ServerUnavailable("words", TARGET, sent=False, silent=True, foreign=True, of_model=True, pending=True),
        DeadlineExceeded("words", TARGET, sent=False),
        InvalidRequest("words", TARGET),
        ModelNotFound("words", TARGET),
        ModelNotReady("words", TARGET),
        InferenceFailed("words", TARGET, step="s"),
        SchemaChanged("words", TARGET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_keep_all_that_they_tell(error, copied):
    there = copied(of_all(error))
    assert type(there) is type(error)
    assert (str(there), there.args, vars(there)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_so_does_that_there_is_nothing_to_verify(copied):
    assert str(copied(NotVerifiable("words"))) == "words"
