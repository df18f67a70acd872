"""Runs a command under limits: `confine.py NAME=NUMBER... -- COMMAND ...`.

A program of its own, started as `python -I -S confine.py`: limits that are set between fork and
exec of a threaded process may deadlock it, and limits set from outside come after the start.
It imports nothing of imagegate and costs some ten milliseconds. NAME is `as` (address space),
`fsize` (each file written), `nofile` or `cpu` (seconds); there are no core dumps. Where the
system can, the command dies with the process that started it.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Set the limits, then become the command."""
    split = arguments.index("--")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for argument in arguments[:split]:
        name, _, number = argument.partition("=")
        which = getattr(resource, f"RLIMIT_{name.upper()}")
        _, hard = resource.getrlimit(which)
        limit = int(number) if hard == resource.RLIM_INFINITY else min(int(number), hard)
        resource.setrlimit(which, (limit, limit))
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    command = arguments[split + 1 :]
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
