import pickle
from pathlib import Path
from typing import Any

from tritonforge import sklearn


def load() -> Any:
    return pickle.loads(Path("missing.joblib").read_bytes())


def load_from(path: str) -> Any:
    return pickle.loads(Path(path).read_bytes())


def unlucky() -> Any:
    raise ValueError("no data")


first = sklearn(load)
second = sklearn(load_from)
third = sklearn(unlucky)
fourth = sklearn(5)
