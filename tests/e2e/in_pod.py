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


class _ByName:
    """A loop that goes where names lead."""

    async def getaddrinfo(self, host: Any, port: Any, **more: Any) -> Any:
        above: Any = super()
        return await above.getaddrinfo(*_place(host, port), **more)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **more: Any
    ) -> Any:
        if more.get("ssl") and host and not more.get("server_hostname"):
            more["server_hostname"] = host
        place = _place(host, port) if host else (host, port)
        above: Any = super()
        return await above.create_connection(protocol_factory, *place, **more)


class _Loop(_ByName, uvloop.Loop):  # type: ignore[misc]
    """Of services; it looks names up in C."""


class _CommandLoop(_ByName, asyncio.SelectorEventLoop):
    """Of commands."""


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return _CommandLoop()


if __name__ == "__main__":
    socket.getaddrinfo = _getaddrinfo
    uvloop.Loop = _Loop  # type: ignore[misc]
    asyncio.set_event_loop_policy(_Policy())
    main()
