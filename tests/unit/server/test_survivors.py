"""Which processes of a model's older version are left beside those of its new one."""

from __future__ import annotations

import pytest

from tritonforge.server import ModelStatus
from tritonforge.server.asking.stubs import Stub
from tritonforge.server.asking.survivors import Survivors, replaced
from tritonforge.server.state.process_identity import ProcessIdentity


def stub(pid: int, *, version: str = "1", model: str = "echo", started: int = 0) -> Stub:
    return Stub(model, version, f"{model}_0_{pid % 10}", ProcessIdentity(pid, started, "boot"))


def status(version: str = "1", *, state: str = "READY", instances: int = 2, alive: int = 2) -> ModelStatus:
    return ModelStatus(name="echo", version=version, state=state, instances=instances, alive=alive)


@pytest.mark.parametrize(
    ("now", "statuses", "left"),
    [
        ([stub(11), stub(21), stub(20)], [status()], [11]),
        ([stub(21), stub(20)], [status()], []),
        ([stub(11), stub(20)], [status()], []),  # as it fails to load, or is being loaded
        ([stub(11)], [status()], []),
        ([stub(11), stub(21), stub(20)], [status(state="LOADING")], []),
        ([stub(11), stub(21, version="2"), stub(20, version="2")], [status("2"), status(state="UNLOADING")], [11]),
        ([stub(11), stub(21, version="2"), stub(20, version="2")], [status("2"), status()], []),
        ([stub(11, started=7), stub(21), stub(20)], [status()], []),  # another process of the same number
        ([stub(11), stub(21, model="other"), stub(20, model="other")], [status()], []),
    ],
)
def test_what_a_full_new_version_stands_beside_is_left_of_an_old_one(
    now: list[Stub], statuses: list[ModelStatus], left: list[int]
) -> None:
    assert [each.process.pid for each in replaced([stub(11)], now, statuses)] == left


def test_models_that_have_all_their_processes_leave_the_end_of_old_ones_to_triton() -> None:
    """Requests may be under way on them for longer than on those of a model that lost one."""
    assert Survivors.of(1, [status(), status("2", state="UNLOADING", alive=1)]).stubs == ()
