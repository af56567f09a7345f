#!/usr/bin/env bash
# Print the path of a Python that can carry tritonforge: $PYTHON if it is set, else the best one that this machine has.
set -euo pipefail

check="$(dirname "${BASH_SOURCE[0]}")/check_python.py"

candidates() {
    if [ -n "${PYTHON:-}" ]; then
        command -v "$PYTHON" || echo "$PYTHON"
        return
    fi
    local version
    for version in 3.11 3.12 3.10; do # 3.11 is what the tests run on most
        type -aP "python$version" || true
        find "${PYENV_ROOT:-$HOME/.pyenv}/versions" -path "*/$version.*/bin/python" 2>/dev/null | sort -rV || true
    done
    type -aP python3 || true
}

reasons=""
while IFS= read -r python; do
    # A pyenv shim exists for versions that are not selected, and fails.
    if ! "$python" -c "" >/dev/null 2>&1; then
        reasons+="  $python: does not start"$'\n'
    elif answer="$("$python" "$check" 2>&1)"; then
        echo "$answer"
        exit 0
    else
        reasons+="  $(tail -n 1 <<<"$answer")"$'\n'
    fi
done < <(candidates)

{
    echo "No Python here can run tritonforge with its embedded Triton server. Looked at:"
    sort -u <<<"${reasons:-  nothing: there is no python3 on PATH}" | sed '/^$/d'
    echo "It takes CPython 3.10, 3.11 or 3.12 with its shared library, on Linux x86-64 with glibc 2.35 or newer:"
    echo "  Debian, Ubuntu:  apt install python3 python3-venv libpython3.11   (3.10 on Ubuntu 22.04, 3.12 on 24.04)"
    echo "  pyenv:           PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.11"
    echo "Then run make again, or name one: make PYTHON=/path/to/python3 ..."
} >&2
exit 1
