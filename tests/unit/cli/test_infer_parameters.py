"""The `--parameter` options of `tritonforge infer`."""

from __future__ import annotations

import pytest

from tritonforge.cli.infer_parameters import BadParameter, read_parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("7", 7),
        ("-7", -7),
        ("0.2", 0.2),
        ("2.0", 2.0),
        ("1e3", 1000.0),
        ('"7"', "7"),
        ('"null"', "null"),
        ("a", "a"),
        ("True", "True"),
        ("", ""),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("007", "007"),
        ('"open', '"open'),
        ("[open", "[open"),
        ("grün", "grün"),
        ("{" * 3, "{{{"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_value_is_what_json_has_or_the_text(text: str, value: object) -> None:
    (read,) = read_parameters([f"x={text}"]).values()
    assert (read, type(read)) == (value, type(value))


def test_several_are_read() -> None:
    found = read_parameters(["tenant=a", "temperature=0.2", 'id="7"', "priority=1"])
    assert found == {"tenant": "a", "temperature": 0.2, "id": "7", "priority": 1}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["tenant"], "--parameter tenant: wanted NAME=VALUE"),
        (["=a"], "--parameter =a: wanted NAME=VALUE"),
        (["x=1", "x=2"], 'the parameter "x" is given twice'),
        (["x=[1]"], """the parameter "x" is [1]; the protocol has bool, int, float and text; as a text it goes in """),
        (['x={"a": "b"}'], r"""quotes: --parameter 'x="{\"a\": \"b\"}"'"""),
        (["x=null"], """--parameter 'x="null"'"""),
        (["x=1e999"], 'the parameter "x" is 1e999, which is too large for a float'),
        (["x=9223372036854775808"], "an integer of the protocol has 64 bits"),
        (["priority=high"], 'the parameter "priority" is a str; it is a level of the model\'s queue, an int'),
        (["timeout=-1"], 'the parameter "timeout" is -1; it is the limit in the queue in microseconds, 0 or more'),
        (["sequence_id=4"], 'the parameter "sequence_id" is of sequences: this command sends one request; from Python'),
        (["binary_data_output=true"], "has a name that Triton takes for itself"),
        (["triton_x=1"], "has a name that Triton takes for itself"),
        (["x=a\0b"], "Triton takes it for what comes before the NUL"),
        (["x=\udcff"], "has no form in UTF-8"),
    ],
)
def test_what_cannot_be_sent_is_said(options: list[str], reason: str) -> None:
    with pytest.raises(BadParameter) as error:
        read_parameters(options)
    assert reason in str(error.value)
