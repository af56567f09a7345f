"""Files of strings for warmup samples, as Triton 24.10 takes them: of one row, whatever the sample's batch size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.check import check_repository

CONFIG = """backend: "{backend}"
max_batch_size: 4
input {{ name: "x" data_type: TYPE_STRING dims: [ 2, 2 ] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [ 1 ] }}
model_warmup {{
  batch_size: 2
  inputs {{ key: "x" value {{ data_type: TYPE_STRING dims: [ 2, 2 ] input_data_file: "row" }} }}
}}
"""


def strings(*values: bytes) -> bytes:
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


ROW = strings(b"a", b"", "é".encode(), b"x" * 300)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ROW, ""),
        (bytes(16), ""),
        (ROW + ROW, 'TF650 warmup/row has more than 4 strings; "x" needs 4'),
        (strings(b"a", b"b", b"c"), 'TF650 warmup/row has 3 strings; "x" needs 4'),
        (strings(b"a", b"b") + b"\x09\0\0\0c", 'TF650 warmup/row has 3 strings; "x" needs 4'),
        (b"", 'TF650 warmup/row has 0 strings; "x" needs 4'),
        (ROW + b"\0", 'TF650 warmup/row ends in 1 of the 4 bytes of a string\'s length; "x" needs 4 strings'),
        (ROW + bytes(4), 'TF650 warmup/row has more than 4 strings; "x" needs 4'),
        (ROW[:-7], "TF654 the last string of warmup/row lacks 7 of its bytes"),
    ],
)
def test_a_file_has_the_strings_of_one_row(tmp_path: Path, content: bytes, said: str) -> None:
    write(tmp_path, "python", content)
    found = check_repository(tmp_path, cores=8).findings
    assert [f"{each.code} {each.message}" for each in found] == ([said] if said else [])


def test_a_backend_of_somebodys_own_may_take_a_last_string_that_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, "custom", ROW[:-7])
    assert check_repository(tmp_path, cores=8).findings == ()


def write(repository: Path, backend: str, content: bytes) -> None:
    (repository / "m" / "1").mkdir(parents=True)
    (repository / "m" / "warmup").mkdir()
    (repository / "m" / "1" / "model.py").write_text("class TritonPythonModel: execute = ...")
    (repository / "m" / "config.pbtxt").write_text(CONFIG.format(backend=backend))
    (repository / "m" / "warmup" / "row").write_bytes(content)
