"""`tritonforge infer`: one call from the shell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from tritonforge.cli.call_options import Header, KeyFile, connection_options
from tritonforge.cli.tls_options import Ca, Certificate, Key, ServerName, in_options, tls_of

if TYPE_CHECKING:
    from tritonforge.client import ConnectionOptions, Result

__all__ = ["infer"]

_GRPC = "name the server's gRPC port with --url grpc://127.0.0.1:8001"


class Format(str, Enum):
    """How a result is printed."""

    table = "table"
    json = "json"


def infer(
    model: Annotated[str, typer.Argument(help="The model's name on the server.", show_default=False)],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=VALUE",
            help="An input: NAME=JSON; NAME=@FILE (.npy, .npz, .csv, .json, .txt; .bin, .jpg, .png, … for the bytes of "
            "a BYTES input); or @FILE.npz, @FILE.json for several.",
        ),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter",
            "-p",
            metavar="NAME=VALUE",
            help="A parameter of the request. VALUE: a number, a boolean or a quoted text of JSON, else the text.",
        ),
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="TRITONFORGE_URL", help="http://host:port or grpc://host:port; https, grpcs for TLS.")
    ] = "http://127.0.0.1:8000",
    format: Annotated[Format, typer.Option(help="What is printed.")] = Format.table,
    output_file: Annotated[
        Path | None, typer.Option(help="Write the outputs of one response to this .npz file too.", dir_okay=False)
    ] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="The limit of the whole call.")] = 30.0,
    version: Annotated[str, typer.Option(help="The model's version; the server chooses where none is given.")] = "",
    key_file: KeyFile = None,
    header: Header = None,
    ca: Ca = None,
    certificate: Certificate = None,
    key: Key = None,
    server_name: ServerName = "",
) -> None:
    """Call a model once and print its outputs; of a decoupled model each response as it comes (grpc:// only).

    Values become the model's datatypes: whole numbers are kept exactly or refused, other numbers (FP64 in a file too)
    become the nearest one of the model's type. A single row gets its batch dimension.

    Mistakes in inputs and parameters are said before anything is sent, and exit with 2; errors of the server's exit
    with 1.
    """
    options = connection_options(key_file, header, tls_of(url, ca, certificate, key, server_name))
    given = (inputs or [], parameters or [])
    for result in _responses(model, *given, url, timeout, version, options, single=output_file is not None):
        if output_file is not None:
            _write(result, output_file)
        _show(result, format)


def _responses(
    model: str,
    inputs: list[str],
    parameters: list[str],
    url: str,
    timeout: float,
    version: str,
    options: ConnectionOptions,
    *,
    single: bool,
) -> Iterator[Result]:
    """Give the responses as they come: one, but of a decoupled model any number, which `single` refuses."""
    from tritonforge.cli.infer_parameters import read_parameters
    from tritonforge.cli.infer_values import BadInput, make_arrays, read_sources
    from tritonforge.cli.life_options import who_runs
    from tritonforge.client import (
        Client,
        ClientError,
        DeadlineExceeded,
        InvalidRequest,
        ServerUnavailable,
    )

    try:
        sources = read_sources(inputs)
        sent = read_parameters(parameters)
        with Client(url, timeout_s=timeout, options=options) as client:
            deadline = time.monotonic() + timeout
            signature = client.describe(model, version=version).signature
            try:
                arrays = make_arrays(sources, signature)
            except BadInput as error:
                _fail(f"{error}\n  signature: {model}{signature}", code=2)
            left_s = max(deadline - time.monotonic(), 1e-3)
            if not signature.decoupled:
                yield client.infer(model, arrays, version=version, timeout_s=left_s, parameters=sent)
                return
            if not url.startswith(("grpc://", "grpcs://")):
                _fail(f"{model} streams its responses, which goes over gRPC only: {_GRPC}", code=2)
            if single:
                _fail(f"{model} streams its responses; --output-file takes one: print them with --format json", code=2)
            yield from client.stream(model, arrays, version=version, timeout_s=left_s, parameters=sent)
    except InvalidRequest as error:
        _fail(in_options(str(error)), code=1 if error.code else 2)  # with a code the server, or the model, has said so
    except DeadlineExceeded as error:
        _fail(f"{error.target}: no answer within {timeout:g} s", code=1)
    except ServerUnavailable as error:
        _fail(f"{in_options(str(error))}{'' if error.code else who_runs(url)}", code=1)
    except ClientError as error:
        _fail(str(error), code=1)
    except ValueError as error:  # of the inputs, the parameters, the URL, the timeout or the version
        _fail(str(error), code=2)


def _write(result: Result, path: Path) -> None:
    from tritonforge.cli.infer_output import write_npz

    try:
        write_npz(result, path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        _fail(f"{path}: {reason}", code=1)


def _show(result: Result, format: Format) -> None:
    from tritonforge.cli import infer_output

    if format is Format.json:
        typer.echo(infer_output.to_json(result))
        return
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(infer_output.to_table(result))
    else:
        typer.echo(infer_output.to_text(result))


def _fail(message: str, *, code: int) -> NoReturn:
    typer.secho(f"error: {message}", err=True)
    raise typer.Exit(code)
