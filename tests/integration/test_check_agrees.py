"""The checker beside the real server: generated configurations, and what `--verify` makes of repositories."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from agreement import compare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import ECHO, TENSORS, write_model
from typer.testing import CliRunner

from tritonforge.check import check_repository
from tritonforge.cli import app
from tritonforge.server.verify import verify

BATCH = 150
CUSTOM = f'backend: "custom" max_batch_size: 8 {TENSORS}'


def ensemble(member: str) -> str:
    """Configure an ensemble of one step."""
    maps = 'input_map { key: "x" value: "x" } output_map { key: "y" value: "y" }'
    step = f'step {{ model_name: "{member}" model_version: -1 {maps} }}'
    return f'platform: "ensemble" max_batch_size: 8 {TENSORS} ensemble_scheduling {{ {step} }}'


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 10_000_000))
def test_the_checker_accepts_and_refuses_what_triton_does(first: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Not one of the configurations that Triton accepts may be refused; of the others 99 % must be."""
    agreement = compare(tmp_path_factory.mktemp("generated"), range(first, first + BATCH))
    told = "\n".join(agreement.partings)
    assert agreement.accepted_by_both == agreement.accepted > 0, told
    assert agreement.refused_by_both >= 0.99 * agreement.refused > 0, told
    assert agreement.same_field >= 0.95 * agreement.refused_by_both, told


def test_verify_agrees_on_good_and_bad(tmp_path: Path) -> None:
    """Models without their files or backends are asked about all the same: nothing is run."""
    write_model(tmp_path, "good", None, config=CUSTOM)
    write_model(tmp_path, "bad", None, config=CUSTOM.replace("8", "-8"))
    write_model(tmp_path, "both", None, config=ensemble("good"))
    write_model(tmp_path, "broken", None, config=ensemble("bad"))
    report = check_repository(tmp_path)
    comparison = verify(tmp_path, report)
    assert report.refused == {"bad", "broken"}
    assert {name for name, verdict in comparison.verdicts.items() if verdict.accepted} == {"good", "both"}
    assert comparison.disagreements == ()


def test_verify_shows_tritons_words(tmp_path: Path) -> None:
    write_model(tmp_path, "bad", None, config=CUSTOM.replace("8", "-8"))
    result = CliRunner().invoke(app, ["check", str(tmp_path), "--verify"])
    assert result.exit_code == 1
    assert "\n  triton: 'max_batch_size' must be non-negative value for bad\n" in result.output
    assert result.output.endswith("1 model, 1 error, 0 warnings; Triton accepts 0 of 1, 0 disagreements\n")


def test_a_disagreement_is_reported_as_such(tmp_path: Path) -> None:
    """Here the checker is told less than Triton: the file that it knew has changed since."""
    folder = write_model(tmp_path, "model", None, config=CUSTOM)
    report = check_repository(tmp_path)
    (folder.parent / "config.pbtxt").write_text(CUSTOM.replace("8", "-8"))
    (finding,) = verify(tmp_path, report).disagreements
    assert (finding.code, finding.model, finding.severity) == ("TF697", "model", "error")
    assert finding.message == "Triton refuses it: 'max_batch_size' must be non-negative value for model"


def test_a_disagreement_the_other_way_is_reported_too(tmp_path: Path) -> None:
    """Here the file has been mended since the checker refused it."""
    folder = write_model(tmp_path, "model", None, config=CUSTOM.replace("8", "-8"))
    report = check_repository(tmp_path)
    (folder.parent / "config.pbtxt").write_text(CUSTOM)
    (finding,) = verify(tmp_path, report).disagreements
    assert (finding.code, finding.model, finding.severity) == ("TF698", "model", "warning")
    assert finding.message == "Triton accepts it, in spite of TF612"


def test_triton_ends_on_ensembles_in_a_circle(tmp_path: Path) -> None:
    """It does where another ensemble is made of one. The checker finds the circle, and what the server does is told."""
    write_model(tmp_path, "made_of_one", None, config=ensemble("one"))
    write_model(tmp_path, "one", None, config=ensemble("two"))
    write_model(tmp_path, "two", None, config=ensemble("one"))
    report = check_repository(tmp_path)
    assert [finding.code for finding in report.findings] == ["TF678", "TF676", "TF676"]
    (finding,) = verify(tmp_path, report).disagreements
    assert (finding.code, finding.severity, finding.hint) == ("TF697", "warning", "mend the errors above first")


def test_a_folder_named_config_pbtxt_costs_no_other_verdicts(tmp_path: Path) -> None:
    """Triton 24.10 ends on it, so it isn't shown to the server."""
    write_model(tmp_path, "good", None, config=CUSTOM)
    write_model(tmp_path, "bad", None, config=CUSTOM.replace("8", "-8"))
    (tmp_path / "folder" / "config.pbtxt").mkdir(parents=True)
    comparison = verify(tmp_path, check_repository(tmp_path))
    assert comparison.disagreements == ()
    assert comparison.words("good") == "accepted"
    assert comparison.words("bad") == "'max_batch_size' must be non-negative value for bad"
    assert comparison.words("folder") is None


def test_links_that_lead_nowhere_cost_no_other_verdicts(tmp_path: Path) -> None:
    """Beside one, Triton 24.10 lists no models; in a model's folder it refuses that model."""
    write_model(tmp_path, "m", None, config=CUSTOM)
    write_model(tmp_path, "torn", None, config=CUSTOM)
    (tmp_path / "gone").symlink_to("/nope/x")
    (tmp_path / "torn" / "2").symlink_to("2")
    report = check_repository(tmp_path)
    comparison = verify(tmp_path, report)
    assert (comparison.words("m"), comparison.disagreements) == ("accepted", ())
    assert comparison.verdicts["torn"].words.startswith("failed to stat file ")
    assert [finding.path for finding in report.errors] == ["gone", "torn/2"]


def test_strings_of_warmup_samples_are_judged_as_triton_and_its_backends_do(tmp_path: Path) -> None:
    """A last string that is cut off passes Triton's core (24.10), which alone is asked: that is no disagreement."""
    rows = {"whole": b"\1\0\0\0a" * 2, "one": b"\1\0\0\0a", "three": b"\1\0\0\0a" * 3, "cut": b"\1\0\0\0a\2\0\0\0b"}
    tensors = (
        'input { name: "x" data_type: TYPE_STRING dims: [ 2 ] } output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }'
    )
    given = 'inputs { key: "x" value { data_type: TYPE_STRING dims: [ 2 ] input_data_file: "row" } }'
    for name, row in rows.items():
        config = f'backend: "python" max_batch_size: 4 {tensors} model_warmup {{ batch_size: 2 {given} }}'
        write_model(tmp_path, name, ECHO, config=config)
        (tmp_path / name / "warmup").mkdir()
        (tmp_path / name / "warmup" / "row").write_bytes(row)
    report = check_repository(tmp_path)
    comparison = verify(tmp_path, report)
    assert (report.refused, comparison.disagreements) == ({"one", "three", "cut"}, ())
    assert {name for name in rows if comparison.words(name) == "accepted"} == {"whole", "cut"}


def test_the_others_are_judged_where_triton_ends_on_one(tmp_path: Path) -> None:
    write_model(tmp_path, "good", None, config=CUSTOM)
    write_model(tmp_path, "tagged", None, config=CUSTOM + 'metric_tags { key: "my team" value: "a" }')
    comparison = verify(tmp_path, check_repository(tmp_path))
    assert [(each.code, each.severity) for each in comparison.disagreements] == [("TF697", "warning")]
    assert (comparison.words("good"), comparison.words("tagged")) == ("accepted", None)


def test_a_refusal_for_want_of_a_gpu_is_explained(tmp_path: Path) -> None:
    """Where there is no GPU, Triton refuses the model; that says nothing of its configuration."""
    write_model(tmp_path, "gpu", None, config=CUSTOM + "instance_group { kind: KIND_GPU gpus: [ 4096 ] }")
    comparison = verify(tmp_path, check_repository(tmp_path))
    assert comparison.disagreements == ()
    (finding,) = comparison.explained
    assert (finding.code, finding.model, finding.severity) == ("TF696", "gpu", "warning")
    result = CliRunner().invoke(app, ["check", str(tmp_path), "--verify"])
    assert result.exit_code == 0
    assert "hint: this machine lacks what it asks for  [TF696]" in result.output


def test_json_has_tritons_words(tmp_path: Path) -> None:
    write_model(tmp_path, "bad", None, config=CUSTOM.replace("8", "-8"))
    result = CliRunner().invoke(app, ["check", str(tmp_path), "--verify", "--format", "json"])
    (finding,) = json.loads(result.output)
    assert finding["triton"] == "'max_batch_size' must be non-negative value for bad"
