"""Start a program some of whose arguments nobody sees: `ps` shows a stand-in, as /proc/PID/cmdline has that.

tritonserver takes the key of its restricted APIs from the command line alone (24.10), which every user of the machine
can read. So the key travels in the environment, which only the same user can, and between the program's exec and its
first instruction (PTRACE_TRACEME) the pointer to the argument is turned to it. Linux on x86-64, standard library alone.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping, Sequence

__all__ = ["conceal", "reveal", "trace_me"]

_PTRACE_TRACEME, _PTRACE_PEEKUSER, _PTRACE_DETACH = 0, 3, 17
_STACK_POINTER = 19 * 8
"""The place of rsp in struct user_regs_struct."""

_VARIABLE = "TRITONFORGE_HIDDEN_ARGUMENT_"
_STAND_IN = "***"


def conceal(
    command: Sequence[str], environment: Mapping[str, str], secret: str
) -> tuple[list[str], dict[str, str], dict[int, str]]:
    """Take arguments that hold a secret out of a command line and into the environment.

    Gives both, and the variable of each such argument by its place.
    """
    hidden = {place: f"{_VARIABLE}{place}" for place, argument in enumerate(command) if secret and secret in argument}
    shown = [argument.replace(secret, _STAND_IN) if secret else argument for argument in command]
    variables = {variable: command[place] for place, variable in hidden.items()}
    return shown, {**environment, **variables}, hidden


def trace_me() -> None:
    """Have this process stop at its exec, for its parent; to be called between fork and exec.

    Raises:
        OSError: the system forbids it.
    """
    if ctypes.CDLL(None, use_errno=True).ptrace(_PTRACE_TRACEME, 0, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace is forbidden")


def reveal(pid: int, hidden: Mapping[int, str]) -> None:
    """Give a child that has stopped at its exec its arguments, and let it run.

    Raises:
        OSError: the child's memory can't be written to; it is then still stopped.
    """
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        raise ChildProcessError(f"process {pid} ended before it ran")
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.restype, ptrace.argtypes = ctypes.c_long, [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    stack = ptrace(_PTRACE_PEEKUSER, pid, _STACK_POINTER, None) & (2**64 - 1)
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        (count,) = struct.unpack("Q", os.pread(memory, 8, stack))
        arguments = stack + 8
        values = _values(memory, arguments + 8 * (count + 1), set(hidden.values()))
        for place, variable in hidden.items():
            os.pwrite(memory, struct.pack("Q", values[variable]), arguments + 8 * place)
    finally:
        os.close(memory)
        ptrace(_PTRACE_DETACH, pid, None, None)


def _values(memory: int, environment: int, wanted: set[str]) -> dict[str, int]:
    """Find where the values of some variables begin, from the array of pointers that ends with a null."""
    found: dict[str, int] = {}
    while (address := struct.unpack("Q", os.pread(memory, 8, environment))[0]) != 0:
        name = os.pread(memory, 64, address).partition(b"=")[0].decode(errors="replace")
        if name in wanted:
            found[name] = address + len(name) + 1
        environment += 8
    return found
