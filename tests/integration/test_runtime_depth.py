"""What the runtime offers beyond a plain function, built from definitions and served by the real server."""

from __future__ import annotations

import queue
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import depth_definitions as definitions
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tritonforge.build import build
from tritonforge.client import Client, ClientError
from tritonforge.server import Server


@pytest.fixture(scope="module")
def depth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Build and serve all definitions."""
    repository = tmp_path_factory.mktemp("depth") / "model_repository"
    build([Path(definitions.__file__)], repository)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(depth: Server) -> Iterator[Client]:
    with Client(depth.grpc_url) as connected:
        yield connected


def together(client: Client, definition: Any, calls: list[dict[str, np.ndarray]]) -> list[Any]:
    """Make calls at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda inputs: client.call(definition, **inputs), calls))


# --- padding --------------------------------------------------------------------------------------------------------

ROWS = [np.arange(size)[None] for size in (1, 5, 2, 3, 5, 0, 4, 1)]


@pytest.mark.parametrize("definition", [definitions.pooled, definitions.bucketed, definitions.chained_pool])
def test_requests_of_different_sizes_are_stacked_and_answered_as_eager_calls(client: Client, definition: Any) -> None:
    answers = together(client, definition, [{"ids": row} for row in ROWS])

    for row, answer in zip(ROWS, answers, strict=True):
        eager = definition(ids=row)
        np.testing.assert_array_equal(answer.mean, eager.mean)
        np.testing.assert_array_equal(answer.doubled, eager.doubled)
    widths = [answer.width.item() for answer in answers]
    assert any(width > row.shape[1] for width, row in zip(widths, ROWS, strict=True)), "some were stacked with longer"


@pytest.mark.parametrize("definition", [definitions.pooled, definitions.bucketed, definitions.fused_pool])
def test_one_request_is_padded_as_an_eager_call_is(client: Client, definition: Any) -> None:
    for row in ROWS:
        served, eager = client.call(definition, ids=row), definition(ids=row)
        for one, other in zip(served, eager, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["within", "Within", "fused_within"])
def test_a_model_that_pads_is_padded_inside_another(client: Client, name: str) -> None:
    """It gets its mask and its bucket there too."""
    definition = getattr(definitions, name)
    for row in ROWS:
        served, eager = client.call(definition, ids=row), definition(ids=row)
        assert served.width.item() == (4 if row.shape[1] <= 4 else 8)
        for one, other in zip(served, eager, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("definition", [definitions.bucketed, definitions.fused_pool])
def test_a_request_past_the_last_bucket_is_refused(client: Client, definition: Any) -> None:
    with pytest.raises(ClientError, match=r"seq is 9, longer than the 8 that it takes at most \(pad_to\)"):
        client.call(definition, ids=np.arange(9)[None])


def test_text_is_padded(client: Client) -> None:
    texts = [np.array([["a"] * size], dtype=object) for size in (1, 3, 2)]

    answers = together(client, definitions.joined, [{"text": text} for text in texts])

    assert [answer.item() for answer in answers] == ["a", "a a a", "a a"]


# --- groups ---------------------------------------------------------------------------------------------------------


def test_requests_of_one_shape_and_with_the_same_inputs_share_a_call(client: Client) -> None:
    ones = [np.ones((1, 1 + number % 2, 3), np.float32) for number in range(12)]
    calls = [{"x": x, "y": x} if number % 3 == 0 else {"x": x} for number, x in enumerate(ones)]

    most = 0
    for _ in range(20):  # on a busy machine they may start one after the other
        answers = together(client, definitions.sized, calls)
        for inputs, answer in zip(calls, answers, strict=True):
            np.testing.assert_array_equal(answer.total, definitions.sized(**inputs).total)
        most = max(answer.rows.item() for answer in answers)
        if most > 1:
            break
    assert 1 < most <= 4, "some were stacked, and as many as are alike"


# --- instances ------------------------------------------------------------------------------------------------------


def test_a_class_is_told_which_instance_it_serves(client: Client) -> None:
    told = {tuple(client.call(definitions.Told, x=np.arange(1))) for _ in range(10)}

    assert told <= {("CPU", "0", f"Told_0_{number}", "Told", "1", "hello") for number in range(2)}
    assert definitions.Told(x=np.arange(1)).tolist() == ["CPU", "0", "Told_0", "Told", "0", "hello"]


def test_a_class_in_a_fused_pipeline_is_told_of_the_pipeline(client: Client) -> None:
    told = client.call(definitions.fused_told, x=np.arange(1)).tolist()

    assert told == ["CPU", "0", "fused_told_0_0", "fused_told", "1", ""]


# --- metrics --------------------------------------------------------------------------------------------------------


def test_metrics_of_the_users_own_are_shown_by_the_server(depth: Server, client: Client) -> None:
    for rows in (1, 3, 8, 3, 1):
        client.call(definitions.counted, x=np.ones((rows, 1), np.float32))

    with urllib.request.urlopen(depth.metrics_url) as answer:
        shown = {line for line in answer.read().decode().splitlines() if "tritonforge_depth" in line}
    own = 'model="counted",version="1"'
    assert {
        "# HELP tritonforge_depth_calls_total Calls of counted.",
        "# TYPE tritonforge_depth_calls_total counter",
        f"tritonforge_depth_calls_total{{{own}}} 5",
        f'tritonforge_depth_calls_total{{kind="double",{own}}} 10',
        f"tritonforge_depth_load{{{own}}} 1",
        f'tritonforge_depth_rows_bucket{{{own},le="1"}} 2',
        f'tritonforge_depth_rows_bucket{{{own},le="4"}} 4',
        f'tritonforge_depth_rows_bucket{{{own},le="+Inf"}} 5',
        f"tritonforge_depth_rows_sum{{{own}}} 16",
    } <= shown


def test_eager_calls_count_in_their_own_process() -> None:
    before = definitions.CALLS.value(), definitions.CALLS.value(kind="double")

    definitions.counted(x=np.ones((4, 1), np.float32))

    assert (definitions.CALLS.value(), definitions.CALLS.value(kind="double")) == (before[0] + 1, before[1] + 2)
    assert definitions.LOAD.value() == 4


# --- sequences ------------------------------------------------------------------------------------------------------


class Caller:
    """Calls sequence models over one gRPC connection."""

    def __init__(self, server: Server) -> None:
        self.client = triton.InferenceServerClient(server.grpc_url.removeprefix("grpc://"))

    def step(self, model: str, identity: int | str, value: float, *, starts: bool = False, ends: bool = False) -> Any:
        """Send a sequence's next request; give its first output."""
        given = self.given(model, value)
        flags = {"sequence_id": identity, "sequence_start": starts, "sequence_end": ends}
        answer = self.client.infer(model, [given], **flags)
        return answer.as_numpy(answer.get_response().outputs[0].name).ravel().tolist()

    def given(self, model: str, value: float) -> Any:
        array = np.array([value], np.int64) if model == "Unbatched" else np.array([[value]], np.float32)
        tensor = triton.InferInput("x", array.shape, "INT64" if model == "Unbatched" else "FP32")
        tensor.set_data_from_numpy(array)
        return tensor

    def round(self, model: str, values: dict[int, float], **flags: bool) -> dict[int, float]:
        """Send one request of each sequence at once; give the answers by sequence."""
        answers: queue.Queue[tuple[int, Any, Any]] = queue.Queue()
        for identity, value in values.items():
            self.client.async_infer(
                model,
                [self.given(model, value)],
                lambda result, error, identity=identity: answers.put((identity, result, error)),
                sequence_id=identity,
                **flags,
            )
        found = [answers.get(timeout=60) for _ in values]
        assert [error for _, _, error in found if error is not None] == []
        return {identity: float(result.as_numpy("output_0").item()) for identity, result, _ in found}


@pytest.fixture(scope="module")
def caller(depth: Server) -> Iterator[Caller]:
    made = Caller(depth)
    yield made
    made.client.close()


@pytest.mark.parametrize("model", ["oldest", "direct"])
def test_a_thousand_sequences_interleaved_keep_apart(caller: Caller, model: str) -> None:
    sequences = range(1, 1001)
    totals = dict.fromkeys(sequences, 0.0)
    for number in range(4):
        values = {identity: float((identity + number) % 97) for identity in sequences}
        totals = {identity: totals[identity] + values[identity] for identity in sequences}
        flags = {"sequence_start": number == 0, "sequence_end": number == 3}
        assert caller.round(model, values, **flags) == totals


@pytest.mark.parametrize("model", ["oldest", "direct", "Unbatched"])
@pytest.mark.parametrize("identity", [7, "a-string"])
def test_a_sequence_is_a_begun_eager_one(caller: Caller, model: str, identity: int | str) -> None:
    steps = getattr(definitions, model).begin()
    for number, value in enumerate([1, 2, 3]):
        served = caller.step(model, identity, value, starts=number == 0, ends=number == 2)
        eager = steps(np.array([value]) if model == "Unbatched" else np.array([[value]], np.float32))
        assert served == (eager if model == "Unbatched" else eager[0]).ravel().tolist()


@pytest.mark.parametrize("model", ["oldest", "direct", "Unbatched"])
def test_ids_are_texts_as_long_as_triton_takes_them(caller: Caller, model: str) -> None:
    """A control of their own would be a number, past whose end Triton 24.10 writes them until it crashes."""
    for number in range(40):
        identity = f"{number:<128}".replace(" ", "x")
        caller.step(model, identity, 1, starts=True)
        assert caller.step(model, identity, 2, ends=True)[-1] == (2 if model == "Unbatched" else 3)


def test_a_sequence_that_starts_again_has_a_new_state(caller: Caller) -> None:
    assert caller.step("oldest", 5001, 1, starts=True) == [1]
    assert caller.step("oldest", 5001, 2, starts=True) == [2]
    assert caller.step("oldest", 5001, 3, starts=True, ends=True) == [3]


def test_a_failed_step_leaves_the_sequence_as_it_was(caller: Caller) -> None:
    caller.step("oldest", 5002, 1, starts=True)
    with pytest.raises(InferenceServerException, match="ValueError: negative"):
        caller.step("oldest", 5002, -1)
    assert caller.step("oldest", 5002, 2, ends=True) == [3]


def test_an_idle_sequence_ends(caller: Caller) -> None:
    caller.step("short", 5003, 1, starts=True)

    def refusal() -> str:
        threading.Event().wait(0.5)  # to be idle is what it takes
        try:
            caller.step("short", 5003, 1)
        except InferenceServerException as error:
            return str(error)
        return ""

    refused = next(filter(None, (refusal() for _ in range(50))), "never")
    assert "must specify the START flag on the first request of the sequence" in refused
    assert caller.step("short", 5003, 1, starts=True, ends=True) == [1]
