"""Install packages with uv, from where pip is told to get them; with pip, which takes far longer, where uv can't.

Usage: install_packages.py ARGUMENT…, which are `pip install`'s. It runs under the Python that gets the packages, and
puts uv beside them. uv reads no setting of pip's: those that say from where packages come are handed to it, and where
one is set that it has not, pip installs.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
UV = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable)

VARIABLES = {
    "cert": ("SSL_CERT_FILE", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
}
"""For settings of pip uv's variables, and what stands between several values there: pip has white space."""
CONSTRAINT = "constraint"
WITHOUT_EFFECT = {
    "break-system-packages",
    "cache-dir",
    "compile",
    "disable-pip-version-check",
    "no-cache-dir",
    "no-color",
    "no-compile",
    "no-input",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "root-user-action",
    "verbose",
}
"""Settings of pip that don't change what a virtual environment gets."""


def main(arguments: list[str]) -> int:
    """Install; give the exit code of what did."""
    try:
        told = settings(printed(*PIP, "config", "list"))
        variables = variables_of_uv(told)
        run(*PIP, "install", "--quiet", "--no-compile", "--only-binary", "uv", *constraints(arguments), "uv")
        also = [word for path in told.get(CONSTRAINT, "").split() for word in ("--constraint", path)]
        run(*UV, *arguments, *also, environment=os.environ | variables)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"uv can't install here: {error}\npip does, which takes longer", file=sys.stderr)
        return subprocess.run([*PIP, "install", "--quiet", "--no-compile", *arguments], check=False).returncode
    return 0


def settings(shown: str) -> dict[str, str]:
    """Read `pip config list`: an option's value by its name: that of a variable, else of installs, else of all."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in shown.splitlines():
        name, _, value = line.partition("=")
        scope, _, option = name.rpartition(".")
        if scope in found:
            found[scope][option] = str(ast.literal_eval(value))
    return found["global"] | found["install"] | found[":env:"]


def variables_of_uv(told: Mapping[str, str]) -> dict[str, str]:
    """Say to uv what pip is told.

    Raises:
        ValueError: it has no such setting.
    """
    if unknown := sorted(told.keys() - VARIABLES.keys() - WITHOUT_EFFECT - {CONSTRAINT}):
        raise ValueError(f"it has nothing like pip's {', '.join(unknown)}")
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does it: the newest version that any index has
    for option in told.keys() & VARIABLES.keys():
        name, between = VARIABLES[option]
        variables[name] = between.join(told[option].split())
    return variables


def constraints(arguments: list[str]) -> list[str]:
    """Find the constraints among pip's arguments."""
    return [word for at, name in enumerate(arguments) if name == "--constraint" for word in arguments[at : at + 2]]


def printed(*command: str) -> str:
    """Give what a command prints.

    Raises:
        CalledProcessError: it fails.
    """
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a command, which tells by itself what is wrong.

    Raises:
        CalledProcessError: it fails.
    """
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
