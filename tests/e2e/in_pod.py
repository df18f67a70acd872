"""Runs `imagegate` as in a pod: names of Services lead to where their pods are on this machine.

What CoreDNS and kube-proxy are in a cluster. `IN_POD_NAMES` is a JSON file, `HOST:PORT` -> port on
the loopback address; it is read anew for each name, since pods come and go.
"""

import asyncio
import json
import os
import socket
from pathlib import Path
from typing import Any

import uvloop

from services.cli.__main__ import main

NAMES = "IN_POD_NAMES"
LOOPBACK = "127.0.0.1"
HERE = (None, "", "localhost", LOOPBACK, "::1")

_asked_of_the_system = socket.getaddrinfo


def _place(host: Any, port: Any) -> tuple[Any, Any]:
    """Where it is. Raises gaierror: no such name."""
    name = host.decode() if isinstance(host, bytes) else host
    known: dict[str, int] = json.loads(Path(os.environ[NAMES]).read_text())
    if name in HERE:
        # Some ask for the address alone, and go there by the port that they know.
        return host, known.get(f"{LOOPBACK}:{port}", port)
    here = known.get(f"{name}:{port}")
    if here is None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return LOOPBACK, here


def _getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
    return _asked_of_the_system(*_place(host, port), *rest, **more)


def _go_by_name(loop: type[asyncio.AbstractEventLoop]) -> None:
    """Have loops of this class go where names lead: uvloop looks them up in C."""
    look_up: Any = loop.getaddrinfo
    connect: Any = loop.create_connection

    async def getaddrinfo(self: Any, host: Any, port: Any, **more: Any) -> Any:
        return await look_up(self, *_place(host, port), **more)

    async def create_connection(
        self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **more: Any
    ) -> Any:
        if more.get("ssl") and host and not more.get("server_hostname"):
            more["server_hostname"] = host
        place = _place(host, port) if host else (host, port)
        return await connect(self, protocol_factory, *place, **more)

    for instead in (getaddrinfo, create_connection):
        setattr(loop, instead.__name__, instead)


if __name__ == "__main__":
    socket.getaddrinfo = _getaddrinfo
    # Of services, and of commands.
    _go_by_name(uvloop.Loop)
    _go_by_name(asyncio.SelectorEventLoop)
    main()
