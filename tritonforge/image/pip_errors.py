"""Why pip failed, told from what it wrote, and how to mend that."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["explain_pip"]

_UNREACHED = re.compile(r"Could not fetch URL \S+: (?!404 ).*(?= - skipping)")
"""What pip logs of a page of an index that it can't have; one without the page answers with 404."""
_REFUSED = re.compile(r"Could not fetch URL \S+: 40[13] ")
_ASKS = re.compile(r"^(?:\S+ )?User for (?P<index>\S+): ", re.MULTILINE)
_OBJECT = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>: ")
_USAGE = re.compile(r"\AUsage:.*?\n\n(?=\S)", re.DOTALL)
"""What pip says before its error where an argument is none of its own."""
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
_TRACEBACK = "ERROR: Exception:"
"""What pip says before the traceback of an error that it has no words for."""

_NOT_TRUSTED = re.compile("CERTIFICATE_VERIFY_FAILED|Could not find a suitable TLS CA certificate bundle")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that go before pip's own --cert (23.2); the first that is set counts."""


def explain_pip(output: str, errors: str, environment: Mapping[str, str]) -> str:
    """Give pip's own words for what it failed of, without credentials, and a hint, if there is one."""
    said = "\n  ".join(_errors(errors)) or re.sub(r"\n+", "\n  ", _USAGE.sub("", errors.strip()))
    if asks := _ASKS.search(output):
        said = f"the index at {asks['index']} asks for a name and a password"
    unreached = _UNREACHED.search(output)
    if unreached:
        said = f"{_OBJECT.sub('', unreached[0])}\n  {said}"
    said = _CREDENTIALS.sub("****@", said)
    hint = _hint(said, environment, reached=unreached is None)
    return f"{said}\n  hint: {hint}" if hint else said


def _errors(errors: str) -> list[str]:
    """Give the lines that are errors; of a traceback the last one."""
    lines = errors.strip().splitlines()
    return [lines[-1] if line == _TRACEBACK else line for line in lines if line.startswith("ERROR")]


def _hint(said: str, environment: Mapping[str, str], *, reached: bool) -> str:
    """Say what to do about an index that isn't reached, or a package that has no wheel, as its sources aren't taken."""
    if _NOT_TRUSTED.search(said):
        if name := next((name for name in _BUNDLES if environment.get(name)), ""):
            order = "which goes before --pip-arg=--cert=… and pip's own settings"
            mend = "name a file that has the authority, or unset it"
            return f"the variable {name} is set ({environment[name]}), {order}: {mend}"
        return (
            "give pip the authority that the index's certificate is of: --pip-arg=--cert=ca.pem, or by the variable "
            "REQUESTS_CA_BUNDLE, which goes before that"
        )
    if _REFUSED.search(said) or "asks for a name" in said:
        return (
            "the index takes those whom it knows: give it a name and a password in ~/.netrc, or by the variable "
            "PIP_INDEX_URL=https://NAME:PASSWORD@…"
        )
    if not reached:
        return (
            "look at the network, its proxy, and the index that pip has (`pip config list`), or name another with "
            "--pip-arg=--index-url=…"
        )
    if "No matching distribution found" not in said:
        return ""
    return (
        "only wheels are taken: for a package that has none, build one (`pip wheel`) and add its folder with "
        "--pip-arg=--find-links=…"
    )
