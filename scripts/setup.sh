#!/usr/bin/env bash
# Make the virtual environment $1 (default .venv) with tritonforge, editable, and all that its tests and examples need.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv="${1:-.venv}"

if ! "$venv/bin/python" scripts/check_python.py >/dev/null 2>&1; then
    python="$(scripts/find_python.sh)"
    echo "Making $venv with $python"
    if "$python" -c "import ensurepip" 2>/dev/null; then
        "$python" -m venv --clear "$venv"
    else # Debian's python3 with python3-pip but without python3-venv
        "$python" -m venv --clear --without-pip "$venv"
        site="$("$python" -c "import os, pip; print(os.path.dirname(os.path.dirname(pip.__file__)))")"
        PYTHONPATH="$site" "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --ignore-installed pip
    fi
fi

# Where a CPU build of torch is found (2.13.0+cpu), that is taken. Elsewhere Linux gets the default build with its CUDA
# libraries, some gigabytes: point PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS at a CPU build to avoid them.
# Nothing is compiled ahead: Python does it as modules are first imported, and most never are.
"$venv/bin/python" scripts/install_packages.py --constraint constraints.txt --editable ".[dev]"
