"""Runs a command under limits: `confine.py NAME=NUMBER... -- COMMAND ...`.

A program of its own, started as `python -I -S confine.py`: limits that are set between fork and
exec of a threaded process may deadlock it, and limits set from outside come after the start.
It imports nothing of imagegate and costs some ten milliseconds. NAME is `as` (address space),
`fsize` (each file written), `nofile` or `cpu` (seconds); there are no core dumps. `net=0` leaves
the command no network. Where the system can, it gets no rights by setuid, and dies with the
process that started it.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main(arguments: list[str]) -> None:
    """Set the limits, then become the command."""
    split = arguments.index("--")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None)
    for argument in arguments[:split]:
        name, _, number = argument.partition("=")
        if name == "net":
            _leave_network(libc)
            continue
        which = getattr(resource, f"RLIMIT_{name.upper()}")
        _, hard = resource.getrlimit(which)
        limit = int(number) if hard == resource.RLIM_INFINITY else min(int(number), hard)
        resource.setrlimit(which, (limit, limit))
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    command = arguments[split + 1 :]
    os.execv(command[0], command)


def _leave_network(libc: ctypes.CDLL) -> None:
    """A network namespace without interfaces, which takes a user namespace where we are nobody
    special. Many clusters allow containers neither: then the network is what it was."""
    if hasattr(libc, "unshare"):
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


if __name__ == "__main__":
    main(sys.argv[1:])
