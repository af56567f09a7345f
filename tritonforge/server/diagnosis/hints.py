"""How to mend what keeps a model from loading, told from the error's text."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from difflib import get_close_matches

from tritonforge.package_names import package_of
from tritonforge.server.installed.backends import PYTHON_BACKENDS

__all__ = ["INSTALL", "SHARED_MEMORY_FULL", "hint_for", "hint_for_end"]

SHARED_MEMORY_FULL = "/dev/shm is full; in a container: docker run --shm-size=1g, or up --docker shm_size=1g"

_LOCK_TIMEOUT = re.compile(r"boost::interprocess::lock_exception")
"""How the Python backend (24.10), or a model's process, ends that waits too long for a lock of the other's."""
_OVERLOADED = (
    "the machine is overloaded: a process of the Python backend waited too long for another; start again, with fewer "
    "servers or instances at once"
)
_HELD_BY_CRASHED = (
    r"a model's Python process had crashed before (\g<signal>), and may have held the lock that was waited for; start "
    "again, and if it comes back, look for the native code that crashes: the log has where it was"
)
_CRASHED = re.compile(r"Fatal Python error: (?P<signal>Segmentation fault|Bus error|Illegal instruction)")
"""What a model's process writes that crashes; one that holds a lock then leaves the server to wait for it."""

INSTALL = "install what it imports for the Python that runs the models: "
"""Before pip's command, which the package's name ends."""

_RELEASE = "24.10"


def hint_for(text: str) -> str:
    """Give the way to mend an error; "" where only its text can tell."""
    return next((make(found) for pattern, make in _HINTS if (found := pattern.search(text))), "")


def hint_for_end(log: str) -> str:
    """Give the way to mend what ended a server, or a model's process, told from its log; "" where nothing tells."""
    waited = _LOCK_TIMEOUT.search(log)
    if waited is None:
        return ""
    crashed = _CRASHED.search(log, 0, waited.start())
    return _OVERLOADED if crashed is None else crashed.expand(_HELD_BY_CRASHED)


def _missing_module(found: re.Match[str]) -> str:
    module = found["module"].partition(".")[0]
    return f"{INSTALL}{sys.executable} -m pip install {package_of(module)}"


def _missing_file_of_version(found: re.Match[str]) -> str:
    file = f"{found['module'].replace('.', '/')}.py"
    return f"{file} has to be a file in the model's folder: modules there are named by the version's folder"


def _missing_backend(found: re.Match[str]) -> str:
    if near := get_close_matches(found["backend"].lower(), PYTHON_BACKENDS, n=1, cutoff=0.75):
        return f'did you mean backend: "{near[0]}"?'
    there = f"{', '.join(PYTHON_BACKENDS[:-1])} and {PYTHON_BACKENDS[-1]}"
    return f"the embedded server has the backends {there}; serve others with NVIDIA's image"


def _unknown_field(found: re.Match[str]) -> str:
    from tritonforge.pbtxt.releases import SINCE  # brings protobuf's schema along, which a start doesn't need

    since = SINCE.get(f"{found['message']}.{found['field']}")
    if since:
        return f"Triton reads {found['field']} since {since}, and this server is {_RELEASE}: leave the field out here"
    return f"check how it is spelled; Triton {_RELEASE} knows no such field there"


def _say(text: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found.expand(text)


_HINTS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_LOCK_TIMEOUT, _say(_OVERLOADED)),
    (re.compile(r"No module named '(?P<module>\d+\.[\w.]+)'"), _missing_file_of_version),
    (re.compile(r"No module named '(?P<module>[\w.]+)'"), _missing_module),
    (re.compile(r"ImportError: (?P<module>\w+) (?:support )?(?:is )?(?:required|not installed)"), _missing_module),
    (
        re.compile(r"numpy\.dtype size changed|compiled (?:using|against) NumPy|numpy\._core|NumPy 2"),
        _say(
            "a package here was built for NumPy 2; the embedded server needs NumPy < 2: install an older release of it"
        ),
    ),
    (
        re.compile(r"(?P<file>lib[\w.+-]+\.so[\w.]*): cannot open shared object file"),
        _say(r"install the system's package that holds \g<file>, or put its folder on LD_LIBRARY_PATH"),
    ),
    (
        re.compile(r"FileNotFoundError: .*?'(?P<file>[^']+)'"),
        _say(r'models run in another folder: name the file by asset("…"), so that it travels, or by an absolute path'),
    ),
    (
        re.compile(r"has no attribute 'TritonPythonModel'"),
        _say("a Python model's model.py must define a class named TritonPythonModel"),
    ),
    (
        re.compile(r'"(?:inference\.)?(?P<message>[\w.]+)" has no field named "(?P<field>\w+)"'),
        _unknown_field,
    ),
    (
        re.compile(r'Unknown enumeration value of "TYPE_\w*"'),
        _say("the types are TYPE_BOOL, _UINT8 … _UINT64, _INT8 … _INT64, _FP16, _BF16, _FP32, _FP64 and _STRING"),
    ),
    (re.compile(r"unable to find backend library for backend '(?P<backend>[^']+)'"), _missing_backend),
    (
        re.compile(r"(?:unexpected number of|expected \d+) string elements|incomplete string (?:data|length)"),
        _say("a warm-up file has the strings of one row, each as its length (4 bytes, little-endian) and its bytes"),
    ),
    (
        re.compile(r"failed to stat file \S*/(?P<name>\S+)"),
        _say(r"the link \g<name> in the model's folder leads nowhere: remove it, or put there what it leads to"),
    ),
    (
        re.compile(r"UnicodeEncodeError: 'ascii' codec"),
        _say("models run with the locale C: name the model in ASCII, and give `open` and the like an encoding"),
    ),
    (
        re.compile(r"Could not determine backend for model"),
        _say("write a config.pbtxt with a backend, or move the folder out of the repository if it is no model"),
    ),
    (
        re.compile(r"at least one version must be available"),
        _say("add a version folder, such as 1, or move the folder out of the repository if it is no model"),
    ),
    (
        re.compile(r"directory name must equal model name"),
        _say("rename the folder, or leave `name` out of its config.pbtxt"),
    ),
    (
        re.compile(r"CUDA out of memory|MemoryError|Cannot allocate memory"),
        _say("it needs more memory than there is: fewer instances, or a smaller model"),
    ),
    (
        re.compile(r'Resource count for "(?P<name>[^"]+)" is limited to .* minimum required count is (?P<count>\d+)'),
        _say(r'give the server what its models share: rate_limit_resources = ["\g<name>:\g<count>"]'),
    ),
    (
        re.compile(r"No space left on device|[Ff]ailed to (?:initialize|increase) .*shared memory"),
        _say(SHARED_MEMORY_FULL),
    ),
)
