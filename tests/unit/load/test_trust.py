"""Files of TLS for a load."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tritonforge.load import InvalidLoad, ModelLoad, Settings, TlsFiles
from tritonforge.load.settings_check import check_settings


def test_without_files_the_system_says_whom_to_trust() -> None:
    assert TlsFiles().context().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ca": "/no/such.pem"}, "/no/such.pem: not files for TLS, in PEM: "),
        ({"ca": __file__}, "not files for TLS, in PEM: "),
        ({"certificate": __file__}, "certificate and key go together"),
        ({"certificate": __file__, "key": __file__}, "not files for TLS, in PEM: "),
    ],
)
def test_files_that_are_none_of_tls_are_refused_before_anything_is_sent(given: dict[str, str], words: str) -> None:
    settings = Settings("grpcs://localhost:1", (ModelLoad("m"),), tls=TlsFiles(**given))
    with pytest.raises(InvalidLoad, match=words):
        check_settings(settings)


def test_a_load_without_tls_reads_none(tmp_path: Path) -> None:
    check_settings(Settings("grpc://localhost:1", (ModelLoad("m"),), tls=TlsFiles(ca=str(tmp_path / "none.pem"))))
