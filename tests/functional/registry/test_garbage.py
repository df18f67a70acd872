"""Servers that speak no HTTP, or something close to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared.adapters.registry.limits import Timeouts
from shared.domain.errors import StepFailure
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.images import OCI_MANIFEST
from tests.fakes.registry import collect
from tests.functional.registry.conftest import OpenClient

DIGEST = f"sha256:{'a' * 64}"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: " + OCI_MANIFEST.encode() + b"\r\n"


@asynccontextmanager
async def server_that_says(said: bytes) -> AsyncIterator[str]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 999999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 10\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Docker-Content-Digest: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: \xff\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="//[x"\r\nContent-Length: 0\r\n\r\n',
        b"HTTP/1.1 307 Go\r\nLocation: http://\xff\xfe:99999/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 307 Go\r\nLocation: //[\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nRetry-After: \xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
    ],
)
@pytest.mark.parametrize("call", ["resolve", "manifest", "blob"])
async def test_garbage_is_one_of_our_errors(
    open_client: OpenClient, said: bytes, call: str
) -> None:
    async with server_that_says(said) as host:
        rules = Rules(registries=(RegistryRule(host=host, insecure=True),))
        timeouts = Timeouts(head=1, manifest=1, token=1, idle=1, blob=1)
        client = await open_client(rules, timeouts=timeouts)
        reference = parse_reference(f"{host}/team/app:1")
        questions: dict[str, Callable[[], Awaitable[object]]] = {
            "resolve": lambda: client.resolve(reference),
            "manifest": lambda: client.manifest(reference, DIGEST),
            "blob": lambda: collect(client.blob(reference, DIGEST, max_bytes=100)),
        }
        with pytest.raises(StepFailure):
            await questions[call]()
