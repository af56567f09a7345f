"""The whole check of a repository."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tritonforge.check.across import check_ensembles
from tritonforge.check.advice import advise, check_shared_memory
from tritonforge.check.complete import complete
from tritonforge.check.files import check_files, check_is_model
from tritonforge.check.finding import Finding, Found, error
from tritonforge.check.folders import CONFIG, ModelFolder, read_folders
from tritonforge.check.model import Model
from tritonforge.check.onnx_sequences import names_tensors
from tritonforge.check.onnx_signature import check_onnx
from tritonforge.check.rules import RULES
from tritonforge.check.text import check_releases, check_text
from tritonforge.manifest import MANIFEST, InvalidManifest, find_edits, read_manifest
from tritonforge.pbtxt.document import Document, Problem, read_document
from tritonforge.repository_files import dead_links, read_text

__all__ = ["DEFAULT_TARGET", "Report", "check_repository"]

DEFAULT_TARGET = "24.10"


@dataclass(frozen=True)
class Report:
    """What was found, by model and line, and what there is: the names of all models, and of the backends they use.

    `refused` are the models with errors; `completed` those whose tensors are told by a file and not by config.pbtxt;
    `ensembles` has the models of each ensemble.
    """

    findings: tuple[Finding, ...]
    models: tuple[str, ...]
    refused: frozenset[str]
    backends: frozenset[str]
    completed: frozenset[str]
    ensembles: Mapping[str, tuple[str, ...]]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that Triton refuses, or that can't work."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def check_repository(
    repository: Path, *, target: str = DEFAULT_TARGET, cores: int | None = None, graphs: Collection[str] | None = None
) -> Report:
    """Check every model of a repository, each by itself and then together.

    `target` is the Triton release (`YY.MM`) it is for; `cores` those of the machine that will serve it, by default
    this one's. Of models that aren't among `graphs`, where these are given, ONNX files are read only where a sequence
    batcher has states or controls.

    Raises:
        OSError: the repository can't be read.
    """
    findings: list[Finding] = []
    models: dict[str, Model] = {}
    refused: dict[str, set[str]] = {}
    is_model = (repository / CONFIG).is_file()
    folders = [] if is_model else read_folders(repository)
    for folder in folders:
        model = _read(folder, target)
        reads_graph = graphs is None or folder.name in graphs
        own = list(_check_one(model, cores or os.cpu_count() or 1, reads_graph=reads_graph))
        findings += own
        wrong = {finding.field for finding in own if finding.severity == "error"}
        if wrong:
            refused[folder.name] = wrong
        if not model.document.problems:
            models[folder.name] = model
    for model, found in check_ensembles(models, refused):
        findings.append(_place(model, found))
    findings += [*(() if is_model else _check_links(repository)), *_check_manifest(repository)]
    for found in check_shared_memory(models.values()) if folders else [_nothing(repository, is_model=is_model)]:
        findings.append(Finding("", "", 0, "", found.code, found.severity, found.message, found.hint))
    return _report(findings, folders, models, refused)


def _report(
    findings: Iterable[Finding], folders: Iterable[ModelFolder], models: Mapping[str, Model], refused: Iterable[str]
) -> Report:
    single = {name: model for name, model in models.items() if not model.is_ensemble}
    written = {name: model.document.message for name, model in single.items()}
    return Report(
        findings=tuple(sorted(findings, key=lambda finding: (finding.model, finding.path, finding.line))),
        models=tuple(folder.name for folder in folders),
        refused=frozenset(refused),
        backends=frozenset(model.config.backend for model in single.values() if model.config.backend),
        completed=frozenset(name for name, message in written.items() if not (message.input and message.output)),
        ensembles={
            name: tuple(step.model_name for step in model.config.ensemble_scheduling.step)
            for name, model in models.items()
            if model.is_ensemble
        },
    )


def _read(folder: ModelFolder, target: str) -> Model:
    """Read a model's configuration, and complete it."""
    document, has_config = Document(), CONFIG in folder.files
    if has_config:
        try:
            document = read_document(read_text(folder.path / CONFIG))
        except (OSError, UnicodeDecodeError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else failure
            document = Document(problems=(Problem("syntax", 0, "", f"it can't be read: {reason}"),))
    config = type(document.message)()
    config.CopyFrom(document.message)
    if not document.problems:
        complete(config, folder)
    return Model(folder, document, config, target, has_config)


def _check_one(model: Model, cores: int, *, reads_graph: bool) -> Iterator[Finding]:
    """Check one model by itself; what can't be read is not looked into further."""
    problems = [_place(model, found, line) for found, line in check_text(model)]
    if problems:
        yield from problems
        return
    no_model = list(check_is_model(model))
    yield from (_place(model, found) for found in no_model)
    if any(found.severity == "error" for found in no_model):
        return
    for found in _all(model, cores, reads_graph=reads_graph):
        yield _place(model, found)


def _all(model: Model, cores: int, *, reads_graph: bool) -> Iterator[Found]:
    yield from check_releases(model)
    compared = list(check_onnx(model)) if reads_graph or names_tensors(model.config) else []
    yield from compared
    wrong = {found.field for found in compared}
    for rule in RULES:
        yield from (found for found in rule(model) if not _follows(found, wrong))
    yield from check_files(model)
    yield from advise(model, cores=cores)


def _follows(found: Found, wrong: Collection[str]) -> bool:
    """Say whether an initial value disagrees with a state that is itself not as its graph has it."""
    state, inside, field = found.field.partition("initial_state[0].")
    return bool(inside) and state + field.partition("[")[0] in wrong


def _check_links(repository: Path) -> Iterator[Finding]:
    for name in dead_links(repository):
        message = "the link leads nowhere, and Triton 24.10 doesn't list any model beside it"
        hint = "remove it, or put there what it leads to; `tritonforge up` leaves it out"
        yield Finding("", name, 0, "", "TF683", "error", message, hint)


def _check_manifest(repository: Path) -> Iterator[Finding]:
    """Warn of a manifest that our own commands refuse, and of models that aren't what it says; Triton reads none."""
    try:
        for edit in find_edits(repository):
            model = edit.where.subject
            yield Finding(model, model, 0, "", edit.code, "warning", edit.message, edit.hint)
        yield from _lost_samples(repository)
    except InvalidManifest as refused:
        for fault in refused.diagnostics:
            message = f"{fault.message}; Triton doesn't read it, but `tritonforge up` and `image` refuse the repository"
            yield Finding("", MANIFEST, 0, "", fault.code, "warning", message, fault.hint)


def _lost_samples(repository: Path) -> Iterator[Finding]:
    for name, entry in sorted(read_manifest(repository).get("models", {}).items()):
        file = entry.get("golden", {}).get("file", "")
        if file and (repository / name).is_dir() and not (repository / file).is_file():
            message = f"its golden samples are missing: {file}; Triton doesn't read them, but `tritonforge verify` does"
            yield Finding(name, file, 0, "", "TF516", "warning", message, "put the file back, or build again")


def _nothing(repository: Path, *, is_model: bool) -> Found:
    if is_model:
        return error("TF683", "", "the folder is itself a model", f"give its parent, {repository.absolute().parent}")
    return error("TF683", "", "the repository holds no model", "each folder in it is a model; build one into it")


def _place(model: Model, found: Found, line: int | None = None) -> Finding:
    """Find the file and line of what was found."""
    path = found.file or (f"{model.name}/{CONFIG}" if model.has_config else model.name)
    if line is None:
        line = found.line if found.file or not model.has_config else model.document.line(found.field)
    return Finding(model.name, path, line, found.field, found.code, found.severity, found.message, found.hint)
