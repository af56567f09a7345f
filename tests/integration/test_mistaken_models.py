"""Mistakes in models' code that a real server would answer with something wrong, or die of: each is told."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mistaken_definitions as definitions
import numpy as np
import pytest

from tritonforge.build import build
from tritonforge.client import Client, ClientError
from tritonforge.server import Server


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    repository = tmp_path_factory.mktemp("mistaken") / "model_repository"
    build([Path(definitions.__file__)], repository)
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0) as running:
        yield running


@pytest.fixture(scope="module")
def client(mistaken: Server) -> Iterator[Client]:
    with Client(mistaken.grpc_url) as connected:
        yield connected


def test_labels_that_triton_would_abort_on(mistaken: Server, client: Client) -> None:
    for number in (404, 404, 200):
        client.call(definitions.labelled, n=np.array([number]))
    with pytest.raises(ClientError, match=re.escape("ValueError: a label can't be named 'bad-label'")):
        client.call(definitions.labelled, n=np.array([-1]))

    with urllib.request.urlopen(mistaken.metrics_url) as answer:
        shown = {line for line in answer.read().decode().splitlines() if "tritonforge_mistaken" in line}
    own = 'model="labelled",status="404",version="1"'
    assert {
        r"# HELP tritonforge_mistaken_total Calls.\nOf labelled.",
        f"tritonforge_mistaken_total{{{own}}} 2",
    } <= shown
