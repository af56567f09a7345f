"""Links that lead nowhere, or to where they lie: each is told, and all else too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.check import check_repository

CONFIG = """backend: "{backend}"
input {{ name: "x" data_type: TYPE_FP32 dims: [ 1 ] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [ 1 ] }}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One model, "m", and one with an error, "other"."""
    for name, config in (("m", CONFIG.format(backend="custom")), ("other", "max_batch: 1")):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "config.pbtxt").write_text(config)
    return tmp_path


def told(repository: Path) -> list[tuple[str, str]]:
    return [(finding.code, finding.path) for finding in check_repository(repository, cores=8).errors]


@pytest.mark.parametrize("target", ["gone", "/nope/x", "../nope"])
def test_a_link_beside_the_models_that_leads_nowhere_is_an_error(repository: Path, target: str) -> None:
    """Triton 24.10 answers 500 when it is asked for its models."""
    (repository / "gone").symlink_to(target)
    assert told(repository) == [("TF683", "gone"), ("TF601", "other/config.pbtxt")]


@pytest.mark.parametrize("name", ["1", "config.pbtxt", "labels.txt"])
@pytest.mark.parametrize("to_itself", [False, True])
def test_a_link_in_a_models_folder_that_leads_nowhere_is_an_error(repository: Path, name: str, to_itself: bool) -> None:
    place = repository / "m" / name
    if place.is_dir():
        place.rmdir()
    place.unlink(missing_ok=True)
    place.symlink_to(name if to_itself else "/nope")
    assert told(repository) == [("TF683", f"m/{name}"), ("TF601", "other/config.pbtxt")]


def test_links_further_down_are_the_models_own_affair_but_for_its_file(repository: Path) -> None:
    (repository / "m" / "1" / "cache").symlink_to("/nope")
    assert told(repository) == [("TF601", "other/config.pbtxt")]
    (repository / "m" / "config.pbtxt").write_text(CONFIG.format(backend="python"))
    (repository / "m" / "1" / "model.py").symlink_to("/nope")
    (found, _) = check_repository(repository, cores=8).errors
    assert (found.code, found.path) == ("TF681", "m/1")
    assert found.message.endswith("has no model.py, which the python backend loads; the link leads nowhere")


def test_of_a_folder_without_the_models_file_a_few_others_are_named(repository: Path) -> None:
    """It may be a link to a folder of thousands."""
    (repository / "m" / "config.pbtxt").write_text(CONFIG.format(backend="python"))
    for number in range(30):
        (repository / "m" / "1" / f"{number:02}").touch()
    (found, _) = check_repository(repository, cores=8).errors
    assert found.message.endswith("loads; there is 00, 01, 02, 03, 04, 05, 06, 07 and 22 more")


def test_links_to_models_and_their_files_are_followed(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (repository / "m").rename(elsewhere / "m")
    (repository / "m").symlink_to(elsewhere / "m")
    (elsewhere / "m" / "up").symlink_to("..")
    assert told(repository) == [("TF601", "other/config.pbtxt")]


@pytest.mark.parametrize("target", ["/", "{repository}", "..", "."])
def test_a_link_that_leads_to_where_it_lies_is_a_warning(repository: Path, target: str) -> None:
    """Triton 24.10 starts where there is but one to a small folder."""
    (repository / "m" / "1" / "sub").mkdir()
    (repository / "m" / "1" / "sub" / "root").symlink_to(target.format(repository=repository))
    (found,) = (one for one in check_repository(repository, cores=8).findings if one.model == "m")
    assert (found.code, found.severity, found.path) == ("TF683", "warning", "m/1/sub/root")
    assert found.message.startswith("the link 1/sub/root leads to a folder that it lies in, and Triton")
