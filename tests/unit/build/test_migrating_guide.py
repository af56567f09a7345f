"""The guide to moving an existing service: its snippets, built and run without their source."""

from __future__ import annotations

import pickle
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tritonforge.build import build
from tritonforge.testing import load_model

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "migrating.md"
BESIDE = {
    "clipped.py": "class Clipped:\n    def predict(self, x):\n        return x.clip(-1, 1).sum(axis=1)\n",
    "data/words.json": '{"one": 1}',
    "plugins/__init__.py": "REGISTRY = {}\n",
    "plugins/double.py": "from plugins import REGISTRY\nREGISTRY['double'] = lambda x: x * 2\n",
    "plugins/shift.py": "from plugins import REGISTRY\nREGISTRY['shift'] = lambda x: x + 1\n",
}


def test_the_guide_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert [name for name, _ in snippets] == ["price.py", "lookup.py", "rules.py"]
    source, repository = tmp_path / "service", tmp_path / "model_repository"
    for name, content in (*BESIDE.items(), *snippets, ("pyproject.toml", "")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content)
    with monkeypatch.context() as patch:
        patch.syspath_prepend(source)
        patch.setattr(sys, "dont_write_bytecode", True)
        clipped = __import__("clipped")
        (source / "price.pkl").write_bytes(pickle.dumps(clipped.Clipped()))
        del sys.modules["clipped"]
    assert not build([source / name for name, _ in snippets], repository).warnings
    shutil.rmtree(source)
    with load_model(repository / "Price") as model:
        assert model.infer(features=np.array([[3, -0.5]], np.float32))["output"].tolist() == [[0.5]]
    with load_model(repository / "lookup") as model:
        assert model.infer(word=np.array([["one"], ["two"]], object))["output"].tolist() == [[1], [0]]
    with load_model(repository / "total") as model:
        assert model.infer(x=np.array([[1, 2]], np.float32))["output"].tolist() == [[3, 5]]
