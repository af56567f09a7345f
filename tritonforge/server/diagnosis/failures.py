"""Why models didn't load: from the server's index and log to diagnostics at the user's own files and lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.asking.health import ModelState
from tritonforge.server.asking.stubs import DeadStub
from tritonforge.server.diagnosis.definition import definition_of
from tritonforge.server.diagnosis.hints import INSTALL, hint_for, hint_for_end
from tritonforge.server.diagnosis.log import Failure, loading_models, printed_by, read_failures
from tritonforge.server.diagnosis.python_error import Frame, crash_frames, parse_error
from tritonforge.server.diagnosis.sources import Sources
from tritonforge.server.repository.folder import config_text

__all__ = ["explain_dead_stubs", "explain_failures"]

_DEPENDS = re.compile(r"depends on '(?P<model>[^']+)' which has no loaded version")
_POSITION = re.compile(r"^(?P<line>\d+):\d+: (?P<text>.*)$")
_UNHEALTHY = re.compile(r"Stub process '.*' is not healthy\.?")
_WARMUP = re.compile(
    r"failed to run warmup sample '(?P<sample>[^']*)': (?P<text>.*?)"
    r"(?:  \((?P<file>[^():\n]+):(?P<line>\d+) in (?P<function>[^()\n]+)\))?[;\s]*$",
    re.DOTALL,
)
"""Our runtime ends an error's text with its place; Triton puts one error after another, with `;`."""
_NO_MODULE = re.compile(r"No module named '(?P<module>[\w.]+)'")
_MISSING_FILE = re.compile(r"Python model file not found in '(?P<file>[^']+)'")
_ENVIRONMENT = "EXECUTION_ENV_PATH"
"""The parameter that names a model's own environment."""

_LAST_LINES, _WIDEST = 5, 300
"""How many lines are told of what a process printed before it died, and how many characters of each."""


def explain_failures(
    states: Iterable[ModelState], log: str, sources: Sources, *, ready: bool, wanted: Collection[str] | None = None
) -> list[Diagnostic]:
    """Explain each model that isn't served, by name; none if all are. `wanted` are those that should be; None for all.

    The index has the loads that failed; the log also has the models that never came to one: unreadable configurations,
    ensembles. `ready` is the server's own word that nothing is amiss; it says so of a model too that it couldn't even
    read (seen in 24.10). Then a folder without a model in it, such as a stray `.git`, is no failure.
    """
    states = list(states)
    failures = {(state.name, state.version): _from_state(state) for state in states if state.reason and _failed(state)}
    logged = {(failure.model, failure.version): failure for failure in read_failures(log)}
    unseen = {state.name for state in states if not state.state and (wanted is None or state.name in wanted)}
    absent = {name for name in unseen if not ready or _has_model(sources.folder(name))}
    failures = {key: failure for key, failure in logged.items() if not ready or key[0] in absent} | failures
    for name in absent - {model for model, _ in failures}:
        failures[name, ""] = Failure(name, "the server didn't load it, and gave no reason")
    counts = Counter(model for model, _ in failures)
    return [_explain(failures[key], sources, log, versioned=counts[key[0]] > 1) for key in sorted(failures)]


def explain_dead_stubs(dead: Sequence[DeadStub], log: str, sources: Sources, *, alive: set[str]) -> list[Diagnostic]:
    """Explain the processes of Python models that died while loading; `alive` are the models that still have one.

    One that died too soon to be seen is put down to the only model that it can be.
    """
    if missing := _MISSING_FILE.search(log):
        model = next((name for name in loading_models(log) if f"/{name}/" in missing["file"]), "")
        where = Where(file=str(sources.folder(model)) if model else missing["file"], subject=model)
        return [Diagnostic("TF523", where, "a Python model has no model.py in its version folder", "put one there")]
    suspects = [name for name in loading_models(log) if name not in alive]
    diagnostics = []
    for stub in dead:
        model = stub.model or (suspects[0] if len(suspects) == 1 else "")
        subject = model or f"one of {', '.join(suspects)}"
        diagnostics.append(_explain_death(Failure(model, stub.cause), log, sources, subject=subject))
    return diagnostics


def _has_model(folder: Path) -> bool:
    """Tell whether a folder of the repository was meant to be a model."""
    return (folder / "config.pbtxt").exists() or any(entry.name.isdecimal() for entry in folder.glob("*/"))


def _failed(state: ModelState) -> bool:
    """Tell a failure from a version that was unloaded on purpose."""
    return state.state == "UNAVAILABLE" and state.reason != "unloaded"


def _from_state(state: ModelState) -> Failure:
    return Failure(state.name, state.reason, state.version)


def _explain(failure: Failure, sources: Sources, log: str, *, versioned: bool) -> Diagnostic:
    """Explain one model's failure."""
    subject = f"{failure.model} version {failure.version}" if versioned else failure.model
    folder = Where(file=str(sources.folder(failure.model)), subject=subject)
    if failure.syntax:
        return _explain_syntax(failure, sources, subject)
    if depends := _DEPENDS.search(failure.reason):
        message = f"not loaded, as its step {depends['model']} failed to load"
        return Diagnostic("TF522", folder, message)
    error = parse_error(failure.reason)
    if not failure.version:
        return Diagnostic("TF521", folder, f"not accepted: {_indent(error.text)}", hint_for(error.text))
    if _UNHEALTHY.fullmatch(error.text):
        return _explain_death(replace(failure, reason="died"), log, sources, subject=subject)
    where, trace = _place(error.frames, failure.model, sources, failure.version)
    if warmup := _WARMUP.search(failure.reason):
        return _explain_warmup(warmup, failure.model, sources, subject)
    code = "TF524" if "backend library" in error.text else "TF520"
    return Diagnostic(
        code,
        where.at(subject),
        f"failed to load: {_indent(error.text)}{trace}",
        _hint(error.text, where, failure.model, sources),
    )


def _explain_death(failure: Failure, log: str, sources: Sources, *, subject: str) -> Diagnostic:
    """Explain the end of a model's process: by the line that crashed, or its definition and what it printed last."""
    where, told = _place(crash_frames(log), failure.model, sources, failure.version)
    if not where.line and failure.model:
        where = definition_of(failure.model, sources)
        if printed := printed_by(failure.model, log)[-_LAST_LINES:]:
            told = "\n  ".join(["; its last words:", *(line[:_WIDEST] for line in printed)])
    message = f"failed to load: the process that runs its Python {failure.reason}{told}"
    return Diagnostic("TF523", where.at(subject), message, hint_for_end(log) or _death_hint(failure.reason))


def _hint(text: str, where: Where, model: str, sources: Sources) -> str:
    """Say how to mend an error; a module of the user's own must travel, where any other has to be installed."""
    if missing := _NO_MODULE.search(text):
        name = missing["module"]
        importing = Path(where.file).name if where.file.endswith(".py") else "the file of its definition"
        if file := sources.own_module(name, model):
            return (
                f"{name} is yours ({Where(file)}): write `import {name}` in {importing}, so that it travels, and build"
            )
        if file := sources.own_module(name.partition(".")[0], model):
            return f"{name.partition('.')[0]} is yours ({Where(file)}), and has no module {name} in it"
    return _installing(hint_for(text), model, sources)


def _installing(hint: str, model: str, sources: Sources) -> str:
    """Have a package that is missing put into the model's own environment, if it has one; other hints stay."""
    if not hint.startswith(INSTALL) or _ENVIRONMENT not in config_text(sources.folder(model)):
        return hint
    package = hint.rpartition(" ")[2]
    if model in sources.models:
        return f"its environment lacks it: add {package} to the requirements file that environment= names, and build"
    return f"its environment lacks it: put {package} into the one that {_ENVIRONMENT} names"


def _explain_syntax(failure: Failure, sources: Sources, subject: str) -> Diagnostic:
    """Explain a config.pbtxt that protobuf can't read, at its line."""
    found = _POSITION.match(failure.syntax)
    line, text = (int(found["line"]), found["text"]) if found else (0, failure.syntax)
    where = Where(str(sources.folder(failure.model) / "config.pbtxt"), line, subject)
    return Diagnostic("TF521", where, f"can't be read: {text.replace('inference.', '')}", hint_for(text))


def _explain_warmup(found: re.Match[str], model: str, sources: Sources, subject: str) -> Diagnostic:
    """Explain a warm-up request that the model fails on, at the line that does."""
    frames = (Frame(found["file"], int(found["line"]), found["function"]),) if found["file"] else ()
    where, _ = _place(frames, model, sources)
    text = _indent(found["text"].strip())
    message = f'failed to load: it fails on its warm-up request "{found["sample"]}": {text}'
    hint = _installing(hint_for(text), model, sources) or "mend the model, or give its warmup= what a client would send"
    return Diagnostic("TF520", where.at(subject), message, hint)


def _place(frames: Sequence[Frame], model: str, sources: Sources, version: str = "") -> tuple[Where, str]:
    """Find the innermost frame in the user's own files, and write the others of theirs as lines to follow."""
    own: list[tuple[str, Frame]] = []
    for frame in frames:
        file = sources.original(frame.file, model) or (
            sources.named(frame.file, model, version=version) if "/" not in frame.file else ""
        )
        if file:
            own.append((file, frame))
    if not own:
        return Where(file=str(sources.folder(model)) if model else ""), ""
    file, innermost = own[0]
    lines = [
        f"\n  at {Where(file, frame.line)}{f' in {frame.function}' if frame.function else ''}" for file, frame in own
    ]
    return Where(file, innermost.line), "".join(lines) if len(own) > 1 else ""


def _indent(text: str) -> str:
    """Set the further lines of an error in, as those of a hint are."""
    return text.replace("\n", "\n  ")


def _death_hint(cause: str) -> str:
    if cause.endswith("code 127"):
        return "a shared library is missing; the server's log names it (--verbose)"
    if cause.endswith("SIGKILL"):
        return "it may have needed more memory than there is; see dmesg"
    return "look for what ends the process: a crash in native code, os._exit, too little memory; the log may tell (-v)"
