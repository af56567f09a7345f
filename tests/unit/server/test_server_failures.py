"""What is said of models that don't load, of Triton's words for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.server.failures import explain_failures
from tritonforge.server.health import ModelState
from tritonforge.server.sources import Sources

WORDS = "Internal: failed to run warmup sample 'sample_0': "


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("ValueError: zeros here  (defs.py:7 in wfail); ", "defs.py:7 wfail: {}: ValueError: zeros here"),
        ("ValueError: (x) isn't; so  (defs.py:7 in wfail);", "defs.py:7 wfail: {}: ValueError: (x) isn't; so"),
        ("somebody's own words; ", "{repository} wfail: {}: somebody's own words"),
    ],
)
def test_a_warm_up_that_fails_is_told_at_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, text: str
) -> None:
    (tmp_path / "defs.py").touch()
    monkeypatch.chdir(tmp_path)
    sources = Sources(tmp_path / "repository", tmp_path / "repository", {"wfail": {"1/source/defs.py": "defs.py"}})
    state = ModelState("wfail", "1", "UNAVAILABLE", WORDS + reason)
    (found,) = explain_failures([state], "", sources, ready=False)
    said = 'failed to load: it fails on its warm-up request "sample_0"'
    assert str(found).splitlines() == [
        text.format(said, repository="repository/wfail"),
        "  hint: mend the model, or give its warmup= what a client would send  [TF520]",
    ]
