"""Estimators held against the graphs that are made of them, before a server is."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tritonforge.define.arrays import Array
from tritonforge.define.onnx_sessions import open_session
from tritonforge.define.sklearn_answers import Answer, answers
from tritonforge.define.sklearn_mends import CLASS, mend_of_answers, mend_of_loading, mend_of_rows
from tritonforge.define.sklearn_probes import Probe, probes
from tritonforge.errors import Diagnostic, DiagnosticError, Severity, Where
from tritonforge.ir import TensorSpec

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["Check"]

_SHOWN = 4

_PLACE = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : \w+ : |Exception during initialization: |/\S+:\d+ [^()]*\([^()]*\)\S* "
)


@dataclass(frozen=True, slots=True)
class _Difference:
    """A row on which the graph answers otherwise than the estimator."""

    probe: Probe
    output: str
    found: Array
    expected: Array


@dataclass(frozen=True, slots=True)
class Check:
    """Holds a graph against the estimator that it is made of; `where` is the definition's line."""

    estimator: Any
    inputs: Sequence[TensorSpec]
    examples: Iterable[Mapping[str, Any]]
    where: Where

    def __call__(self, content: bytes, outputs: Sequence[str], *, batched: bool) -> Iterator[Diagnostic]:
        """Open the graph as a server would, run it and the estimator, and give a warning of rare differences.

        Where the estimator itself refuses the rows, nothing is known.

        Raises:
            DiagnosticError: the graph can't be loaded, doesn't run on what the estimator takes, or answers otherwise.
        """
        session = self._session(content)
        if not batched:
            return
        odd: list[_Difference] = []
        for probe in probes(self.estimator, self.inputs, self.examples):
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # of names of features, of values beyond what it was fitted on
                expected = answers(self.estimator, self.inputs, probe, len(outputs))
            if not expected:
                continue
            try:
                difference = self._difference(session, probe, dict(zip(outputs, expected, strict=False)))
            except DiagnosticError as error:
                if any(one.severity == "error" for one in error.diagnostics):
                    raise
                yield from error.diagnostics
                continue
            if difference is not None and not probe.odd:
                words = f"the graph that skl2onnx makes of it answers otherwise: {self._told(difference)}"
                raise DiagnosticError([self._found("TF308", words, mend_of_answers(self.estimator, self.inputs))])
            odd += [] if difference is None else [difference]
        if odd:
            kinds = ", ".join(one.probe.odd for one in odd)
            which = kinds if any(one.probe.given for one in odd) else f"texts with {kinds}"
            words = f"the graph that skl2onnx makes of it answers otherwise on {which}: {self._told(odd[0])}"
            yield Diagnostic(
                "TF308", self.where, words, mend_of_answers(self.estimator, self.inputs), severity="warning"
            )

    def _session(self, content: bytes) -> onnxruntime.InferenceSession:
        try:
            return open_session(content)
        except Exception as error:  # onnxruntime has classes of its own, without a common base
            reason = f"ONNX Runtime can't load the graph that skl2onnx makes of it: {_words(error)}"
            raise DiagnosticError([self._found("TF304", reason, mend_of_loading(str(error)))]) from error

    def _difference(
        self, session: onnxruntime.InferenceSession, probe: Probe, expected: Mapping[str, Answer | None]
    ) -> _Difference | None:
        found = dict(zip(expected, self._run(session, probe, expected), strict=True))
        self._require_declared(session, found)
        self._require_rows(probe, found)
        for name, answer in expected.items():
            if answer is None:
                continue
            row = answer.first_difference(found[name])
            if row is not None:
                rows = found[name].reshape(len(probe), -1)
                return _Difference(probe.row(row), name, rows[row], answer.rows[row])
        return None

    def _require_declared(self, session: onnxruntime.InferenceSession, found: Mapping[str, Array]) -> None:
        """Raise DiagnosticError where an output has another size than the graph itself says: no server gives it."""
        for output in session.get_outputs():
            array = found.get(output.name)
            if array is None or array.ndim != len(output.shape):
                continue
            if any(isinstance(dim, int) and dim != size for dim, size in zip(output.shape, array.shape, strict=True)):
                declared, given = ([*shape][1:] for shape in (output.shape, array.shape))
                words = f'the graph that skl2onnx makes of it says that "{output.name}" is {declared} a row'
                raise DiagnosticError([self._found("TF304", f"{words}, and gives {given}", CLASS)])

    def _require_rows(self, probe: Probe, found: Mapping[str, Array]) -> None:
        """Raise DiagnosticError where an output has other rows than the inputs: stacked requests would fail."""
        for name, array in found.items():
            if array.shape[:1] != (len(probe),):
                count = array.shape[0] if array.ndim else 1
                words = f'the graph that skl2onnx makes of it gives {count} rows of "{name}" for {len(probe)} rows'
                raise DiagnosticError([self._found("TF308", words, mend_of_rows(self.inputs))])

    def _run(
        self, session: onnxruntime.InferenceSession, probe: Probe, expected: Mapping[str, Answer | None]
    ) -> list[Array]:
        """Run the graph.

        Raises:
            DiagnosticError: it fails; a warning where only some of the rows that were guessed are at fault.
        """
        try:
            return _outputs(session, probe, expected)
        except Exception as error:
            row, rare = self._failing_row(session, probe, expected)
            name = type(self.estimator).__name__
            reason = f"the graph that skl2onnx makes of it fails where {name} itself runs, on {_shown_inputs(row)}"
            severity: Severity = "warning" if rare else "error"
            found = Diagnostic("TF304", self.where, f"{reason}: {_words(error)}", CLASS, severity)
            raise DiagnosticError([found]) from error

    def _failing_row(
        self, session: onnxruntime.InferenceSession, probe: Probe, expected: Mapping[str, Answer | None]
    ) -> tuple[Probe, bool]:
        """Find a row on which the graph fails, and whether that is a rare one."""
        failing = []
        for row in (probe.row(number) for number in range(len(probe))):
            try:
                _outputs(session, row, expected)
            except Exception:
                failing.append(row)
        beyond = len(failing) < len(probe) or any(
            answer is not None and not answer.finite for answer in expected.values()
        )
        rare = bool(probe.odd) or (probe.guessed and beyond)
        return (failing or [probe])[0], rare

    def _told(self, difference: _Difference) -> str:
        name = type(self.estimator).__name__
        answer = f"{difference.output} is {_shown(difference.found)}, where {name} gives {_shown(difference.expected)}"
        return f"for {_shown_inputs(difference.probe)} {answer}"

    def _found(self, code: str, message: str, hint: str) -> Diagnostic:
        return Diagnostic(code, self.where, message, hint)


def _outputs(session: onnxruntime.InferenceSession, probe: Probe, names: Iterable[str]) -> list[Array]:
    return [np.asarray(one) for one in session.run(list(names), dict(probe.inputs))]


def _words(error: Exception) -> str:
    """Give the first line of what ONNX Runtime says, without the places of its own sources."""
    text = str(error).strip()
    return _PLACE.sub("", text.splitlines()[0]).strip() if text else type(error).__name__


def _shown_inputs(probe: Probe) -> str:
    if len(probe.inputs) == 1:
        return _shown(next(iter(probe.inputs.values())).ravel())
    return ", ".join(f"{name} {_shown(array.ravel())}" for name, array in probe.inputs.items())


def _shown(row: Array) -> str:
    spelled: Callable[[Any], str] = _number if row.dtype.kind in "biuf" else _text
    values = [spelled(value) for value in row[:_SHOWN].tolist()]
    if len(row) == 1:
        return values[0]
    return f"[{' '.join(values)}{' …' if len(row) > _SHOWN else ''}]"


def _number(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)
