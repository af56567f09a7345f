"""Serve a build of the examples with a real Triton server, and hold its answers against eager ones and known labels.

    python examples/run.py model_repository

Every held-out row is asked over HTTP and over gRPC. Exits 1 where a served answer differs from the eager one.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tritonforge.client import Client
from tritonforge.errors import TritonForgeError
from tritonforge.server import Server

HERE = Path(__file__).resolve().parent
ROWS_PER_REQUEST = 64
ROWS_SHOWN = 6
MISTAKES_SHOWN = 2
RELATIVE_TOLERANCE = 1e-6

Array = NDArray[Any]
Outputs = dict[str, Array]


@dataclass(frozen=True)
class Example:
    """A folder, which names its module and pipeline; the input, the output with the label, and the labels' names."""

    name: str
    input: str
    label: str
    classes: tuple[str, ...]


EXAMPLES = (
    Example("breast_cancer", input="features", label="label", classes=("malignant", "benign")),
    Example("digits", input="image", label="digit", classes=tuple("0123456789")),
)


def main() -> int:
    """Run all examples; give the exit status."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    console = Console(soft_wrap=True)
    try:
        with Server.embedded(sys.argv[1], http_port=0, grpc_port=0, metrics_port=0) as server:
            urls = {"HTTP": server.http_url, "gRPC": server.grpc_url}
            equal = [run(example, urls, console) for example in EXAMPLES]
    except TritonForgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(equal) else 1


def run(example: Example, urls: dict[str, str], console: Console) -> bool:
    """Ask for every held-out row, show some and the accuracy; say whether all served answers equal the eager ones."""
    sys.path.insert(0, str(HERE / example.name))
    pipeline = getattr(importlib.import_module(example.name), example.name)
    with np.load(HERE / example.name / "holdout.npz") as holdout:
        rows, known = holdout[example.input], holdout[example.label]
    answers = {"eager": outputs(pipeline(**{example.input: rows}))}
    for protocol, url in urls.items():
        answers[protocol] = ask(url, pipeline, example.input, rows)

    console.print(table(example, answers, known))
    equal = True
    for source, answer in answers.items():
        accuracy = float(np.mean(answer[example.label] == known))
        faults = differences(answer, answers["eager"])
        equal = equal and not faults
        verdict = "" if source == "eager" else f"   {'; '.join(faults) or 'equal to eager'}"
        console.print(f"  {source:>5}: accuracy {accuracy:.4f} on {len(known)} held-out rows{verdict}")
    return equal


def outputs(result: Any) -> Outputs:
    """Name the outputs of a pipeline's result."""
    return {name: np.asarray(value) for name, value in result._asdict().items()}


def ask(url: str, pipeline: Any, input_name: str, rows: Array) -> Outputs:
    """Call the served pipeline on all rows, as many at once as it takes."""
    with Client(url) as client:
        parts = []
        for start in range(0, len(rows), ROWS_PER_REQUEST):
            inputs: dict[str, Any] = {input_name: rows[start : start + ROWS_PER_REQUEST]}
            parts.append(outputs(client.call(pipeline, **inputs)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def differences(answer: Outputs, eager: Outputs) -> list[str]:
    """Say how an answer differs from the eager one: integers have to be the same, floats within 1e-6 of their value."""
    faults = []
    for name, wanted in eager.items():
        found = answer[name]
        if found.dtype != wanted.dtype or found.shape != wanted.shape:
            faults.append(f"{name} is {found.dtype}{found.shape}, eagerly {wanted.dtype}{wanted.shape}")
        elif wanted.dtype.kind != "f" and not np.array_equal(found, wanted):
            faults.append(f"{name} differs in {int(np.sum(found != wanted))} places")
        elif wanted.dtype.kind == "f" and not np.allclose(found, wanted, rtol=RELATIVE_TOLERANCE, atol=0):
            faults.append(
                f"{name} differs by up to {float(np.max(np.abs(found - wanted) / np.abs(wanted))):.1e} of its value"
            )
    return faults


def table(example: Example, answers: dict[str, Outputs], known: Array) -> Table:
    """Lay out rows from all over and the first mistakes: what each way of asking answers, beside the known label."""
    view = Table("row", *answers, "probability", "known", title=example.name, title_justify="left")
    spread = np.linspace(0, len(known) - 1, ROWS_SHOWN).astype(int)
    mistakes = np.flatnonzero(answers["HTTP"][example.label] != known)[:MISTAKES_SHOWN]
    for row in np.union1d(spread, mistakes):
        said = [int(answer[example.label][row]) for answer in answers.values()]
        right = all(label == known[row] for label in said)
        probability = answers["HTTP"]["probability"][row, said[-1]]
        cells = [example.classes[label] for label in said]
        view.add_row(
            str(row), *cells, f"{probability:.4f}", example.classes[known[row]], style=None if right else "red"
        )
    return view


if __name__ == "__main__":
    sys.exit(main())
