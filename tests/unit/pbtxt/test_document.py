"""config.pbtxt with its places, beside protobuf's own parser."""

from __future__ import annotations

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2 as schema

from tritonforge.pbtxt.document import read_document

TEXT = """\
backend: "python"  # a comment
max_batch_size: 8
input [
  { name: "x" data_type: TYPE_FP32, dims: [ 4, -1 ]; },
  < name: 'y' "z" data_type: 7 dims: 0x10 dims: 010 >
]
parameters { key: "k" value { string_value: "v\\303\\251" } }
sequence_batching { direct { minimum_slot_utilization: .5f } }
ensemble_scheduling {}
"""


def test_all_spellings_of_the_text_format() -> None:
    """What protobuf reads is read alike: brackets, separators, numbers, strings in parts, escapes."""
    text = TEXT.replace("ensemble_scheduling {}\n", "")
    document = read_document(text)
    assert document.problems == ()
    assert document.message == text_format.Parse(text, schema.ModelConfig())


def test_each_field_has_its_line() -> None:
    document = read_document(TEXT)
    assert [document.line(path) for path in ("backend", "input[0].dims[1]", "input[1].name")] == [1, 4, 5]
    assert document.line('parameters["k"].string_value') == 7
    assert document.line("sequence_batching.direct.max_queue_delay_microseconds") == 8
    assert document.line("instance_group") == 1


def test_two_schedulers_exclude_each_other() -> None:
    (problem,) = read_document(TEXT).problems
    assert (problem.kind, problem.line, problem.field) == ("twice", 9, "ensemble_scheduling")


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size: 0 max_batch_size: 4",  # a scalar that had its default may be given again
        "input {} output: {}",
        "metric_tags { key: 'a' value: 'b' } metric_tags { key: 'a' value: 'c' }",
        "version_policy { specific { versions: [] } }",
        "model_transaction_policy { decoupled: t }",
    ],
)
def test_what_protobuf_lets_pass(text: str) -> None:
    document = read_document(text)
    assert document.problems == ()
    assert document.message == text_format.Parse(text, schema.ModelConfig(), allow_field_number=False)


@given(st.text(alphabet="abc{}<>[]:;,\"'\\#-.0123456789 \n", max_size=40))
def test_any_text_is_read_to_an_end(text: str) -> None:
    """Whatever it is, there is a document; what protobuf refuses has a problem."""
    document = read_document(text)
    try:
        text_format.Parse(text, schema.ModelConfig())
    except text_format.ParseError:
        assert document.problems
