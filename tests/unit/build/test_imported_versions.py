"""Versions of an imported model: the one that is built, and what becomes of the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Project, read_config, write

from tritonforge.build import build
from tritonforge.build.importer import import_repository

CODE = "class TritonPythonModel: ...\n"


def test_of_several_versions_the_one_that_is_served_is_taken(project: Project) -> None:
    hand = project.root / "hand"
    policy = 'backend: "python" version_policy { specific { versions: [ 2 ] } }'
    codes = {f"m/{number}/model.py": f"{CODE}# {number}" for number in (1, 2, 3)}
    write(hand, {"m/config.pbtxt": policy, **codes})
    imported = import_repository(hand, project.root / "serving.py")
    assert [(one.code, one.severity, one.message) for one in imported.warnings] == [
        ("TF407", "warning", "only version 2 is referenced; a build leaves out 1, 3")
    ]
    project.write({"serving.py": imported.source})
    build([project.root / "serving.py"], project.output)
    assert [path.read_text() for path in (project.output / "m").glob("*/model.py")] == [f"{CODE}# 2"]
    assert project.versions() == {"m": 2}


def test_of_the_versions_that_are_left_out_those_that_are_served_are_named(project: Project) -> None:
    for number, (served, told, example) in enumerate(
        (
            ("specific { versions: [ 1, 3 ] }", "1, 2; Triton serves 1 of the repository", 1),
            ("latest { num_versions: 2 }", "1, 2; Triton serves 2 of the repository", 2),
            ("all { }", "1, 2, which Triton serves", 2),
            ("latest { num_versions: 1 }", "1, 2", 2),
        )
    ):
        hand = project.root / str(number)
        codes = {f"m/{version}/model.py": CODE for version in (1, 2, 3)}
        write(hand, {"m/config.pbtxt": f'backend: "python" version_policy {{ {served} }}', **codes})
        (warning,) = import_repository(hand, project.root / "serving.py").warnings
        assert warning.message == f"only version 3 is referenced; a build leaves out {told}"
        assert f'version={example}, name="m_v{example}", …)' in warning.hint
        asked = f"Clients that ask for version {example} ask for m_v{example} then"
        assert (asked in warning.hint) == ("Triton serves" in told)


def test_the_oldest_of_several_versions_is_taken_where_it_is_the_one_that_is_served(project: Project) -> None:
    policy = 'backend: "python" version_policy { specific { versions: [ 1 ] } }'
    write(project.root / "hand", {"m/config.pbtxt": policy, "m/1/model.py": CODE, "m/2/model.py": f"{CODE}# 2"})
    project.write({"serving.py": import_repository(project.root / "hand", project.root / "serving.py").source})
    build([project.root / "serving.py"], project.output)
    assert [path.read_text() for path in (project.output / "m").glob("*/model.py")] == [CODE]


def test_a_version_that_an_ensemble_names_becomes_a_model_of_its_own(project: Project) -> None:
    """A build writes one version of each model; the ensemble answers as before."""
    tensors = """
        max_batch_size: 8
        input { name: "x" data_type: TYPE_FP32 dims: [ 3 ] }
        output { name: "y" data_type: TYPE_FP32 dims: [ 3 ] }
        """
    maps = 'input_map { key: "x" value: "%s" } output_map { key: "y" value: "%s" }'
    steps = [
        f'step {{ model_name: "clf" model_version: {version} {maps % tensors_of_step} }}'
        for version, tensors_of_step in {1: ("x", "a"), -1: ("a", "b"), 3: ("b", "y")}.items()
    ]
    files = {
        "clf/config.pbtxt": f'backend: "python" version_policy {{ all {{ }} }} {tensors}',
        **{f"clf/{number}/model.py": f"{CODE}# {number}" for number in (1, 2, 3)},
        "clf_v1/config.pbtxt": f'backend: "python" {tensors}',
        "clf_v1/1/model.py": CODE,
        "both/config.pbtxt": f'platform: "ensemble" {tensors} ensemble_scheduling {{ {" ".join(steps)} }}',
    }
    write(project.root / "hand", files)
    imported = import_repository(project.root / "hand", project.root / "serving.py")
    assert sorted(imported.models) == ["both", "clf", "clf_v1", "clf_v1_2"]
    project.write({"serving.py": imported.source})
    build([project.root / "serving.py"], project.output)
    built = {path.parent.relative_to(project.output): path.read_text() for path in project.output.glob("*/*/model.py")}
    assert built == {
        Path("clf/3"): f"{CODE}# 3",
        Path("clf_v1/1"): CODE,
        Path("clf_v1_2/1"): f"{CODE}# 1",
    }
    taken = read_config(project.output / "both" / "config.pbtxt").ensemble_scheduling.step
    assert [(step.model_name, step.model_version) for step in taken] == [("clf_v1_2", -1), ("clf", -1), ("clf", 3)]
    kept = read_config(project.output / "clf" / "config.pbtxt")
    assert kept == read_config(project.root / "hand" / "clf" / "config.pbtxt")


@pytest.mark.parametrize("versions", ["[ 1, 2 ]", "[ 2, 9 ]"])
def test_a_policy_that_picks_versions_that_are_not_built_is_left_out(project: Project, versions: str) -> None:
    policy = f'backend: "python" version_policy {{ specific {{ versions: {versions} }} }}'
    write(project.root / "hand", {"m/config.pbtxt": policy, "m/1/model.py": CODE, "m/2/model.py": CODE})
    source = import_repository(project.root / "hand", project.root / "serving.py").source
    assert "version=2" in source
    assert "policy" not in source
    project.write({"serving.py": source})
    assert build([project.root / "serving.py"], project.output).warnings == ()
    assert project.versions() == {"m": 2}
