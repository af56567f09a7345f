"""What is said of a model's process that dies while the model is loaded: where that is defined, what it printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.server.asking.health import ModelState
from tritonforge.server.asking.stubs import DeadStub
from tritonforge.server.diagnosis.definition import definition_of
from tritonforge.server.diagnosis.end import server_died
from tritonforge.server.diagnosis.failures import explain_dead_stubs, explain_failures
from tritonforge.server.diagnosis.log import printed_by
from tritonforge.server.diagnosis.sources import Sources

SHIM = """class TritonPythonModel(PythonModel):
    module = "shop.price"
    attribute = "{attribute}"
    paths = ("source",)
"""
DEFINITIONS = "@model\nclass Price:\n    pass\n\n\nfast = model(Price)\n"
LOADING = 'I1201 17:32:22.243548 3022 model_lifecycle.cc:472] "loading: {}:1"'
SETTLED = "I1201 17:32:24.404633 3022 model_lifecycle.cc:777] \"successfully loaded '{}'\""
DEAD = "Internal: Stub process 'price_0_0' is not healthy."
NOT_HEALTHY = f'E1201 17:32:24.404460 3022 backend_model.cc:692] "ERROR: Failed to create instance: {DEAD}"'
LOCKED = "terminate called after throwing an instance of 'boost::interprocess::lock_exception'"


def built(tmp_path: Path, *, attribute: str = "Price", shim: str = SHIM) -> Sources:
    """Write a repository of one model, as a build does, and give the way back to its definition."""
    version = tmp_path / "repository" / "price" / "2"
    (version / "source" / "shop").mkdir(parents=True)
    (version / "model.py").write_text(shim.format(attribute=attribute))
    (version / "source" / "shop" / "price.py").write_text(DEFINITIONS)
    models = {"price": {"2/source/shop/price.py": "shop/price.py"}}
    return Sources(tmp_path / "repository", Path("/served"), models)


@pytest.mark.parametrize(("attribute", "line"), [("Price", 2), ("fast", 6), ("elsewhere", 0)])
def test_a_model_is_defined_where_its_module_binds_its_name(tmp_path: Path, attribute: str, line: int) -> None:
    where = definition_of("price", built(tmp_path, attribute=attribute))
    assert (where.file, where.line, where.subject) == ("shop/price.py", line, "price")


@pytest.mark.parametrize("shim", ["class TritonPythonModel: pass", "def (", ""])
def test_one_that_no_build_wrote_is_told_by_its_folder(tmp_path: Path, shim: str) -> None:
    sources = built(tmp_path, shim=shim)
    assert definition_of("price", sources).file == str(tmp_path / "repository" / "price")
    assert definition_of("none", sources).file == str(tmp_path / "repository" / "none")


def test_a_process_that_dies_is_told_at_the_definition_with_its_last_words(tmp_path: Path) -> None:
    log = "\n".join([LOADING.format("price"), *(f"line {number}" for number in range(9)), "last gasp", NOT_HEALTHY])
    states = [ModelState("price", "2", "UNAVAILABLE", DEAD)]
    (found,) = explain_failures(states, log, built(tmp_path), ready=False)
    assert str(found).splitlines()[:-1] == [
        "shop/price.py:2 price: failed to load: the process that runs its Python died; its last words:",
        "  line 5",
        "  line 6",
        "  line 7",
        "  line 8",
        "  last gasp",
    ]


def test_so_is_one_that_the_server_waits_for(tmp_path: Path) -> None:
    log = f"{LOADING.format('price')}\n{LOCKED}\n"
    dead = [DeadStub("price", "was killed by SIGILL")]
    (found,) = explain_dead_stubs(dead, log, built(tmp_path), alive=set())
    assert str(found).splitlines() == [
        "shop/price.py:2 price: failed to load: the process that runs its Python was killed by SIGILL; its last words:",
        f"  {LOCKED}",
        "  hint: the machine is overloaded: a process of the Python backend waited too long for another; start again, "
        "with fewer servers or instances at once  [TF523]",
    ]


CRASHED = (
    "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f1c (most recent call first):\n  <no Python frame>"
)


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        (LOCKED, "the machine is overloaded"),
        (f"{LOCKED}\nFatal Python error: Aborted\n{LOCKED}", "the machine is overloaded"),
        (
            f"{CRASHED}\n{LOCKED}",
            "a model's Python process had crashed before (Segmentation fault), and may have held ",
        ),
        (CRASHED, ""),
    ],
)
def test_a_server_that_waited_for_a_process_that_had_crashed_is_told_from_an_overloaded_one(
    log: str, hint: str
) -> None:
    """It was ready, and its machine may have had time for all."""
    _, _, told = str(server_died(134, f"{SETTLED.format('price')}\n{log}\n")).partition("\n  hint: ")
    assert told.startswith(hint)
    assert bool(told) is bool(hint)


def test_what_another_model_may_have_printed_is_not_a_models(tmp_path: Path) -> None:
    """The log doesn't say who prints."""
    first, second = LOADING.format("price"), LOADING.format("echo")
    lines = [first, "price's", second, "either's", NOT_HEALTHY, SETTLED.format("echo"), "price's, too"]
    assert printed_by("price", "\n".join(lines)) == ["price's", "price's, too"]
    assert printed_by("echo", "\n".join(lines)) == []
