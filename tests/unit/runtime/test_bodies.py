"""Bodies are read whole or not at all, in bounded time; answers are what HTTP says they are."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from shared.runtime.http import BodyLimits, BodyRefused, read_body, serve
from shared.runtime.reply import json_reply
from tests.waiting import PATIENCE

HURRIED = 0.2
"""Seconds for a body that never comes to its end."""
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"


async def echo(http: web.BaseRequest, *, seconds: float = PATIENCE) -> web.StreamResponse:
    """Sends back what was sent, or why it was not read."""
    try:
        limits = BodyLimits(100, seconds=seconds, setting="A_SETTING")
        return json_reply(http, await read_body(http, limits))
    except BodyRefused as error:
        response = web.Response(status=error.status, text=str(error))
        response.force_close()
        return response


async def hurried(http: web.BaseRequest) -> web.StreamResponse:
    return await echo(http, seconds=HURRIED)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serve(echo) as bound:
        yield bound.port


@asynccontextmanager
async def sending(port: int, *pieces: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """One connection on which these bytes were sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE):
            yield reader
    finally:
        writer.close()


async def answer_in(reader: asyncio.StreamReader) -> bytes:
    """The next answer, all of it."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    return head + await reader.readexactly(int(length))


async def sent(port: int, *pieces: bytes) -> bytes:
    """What comes back for these bytes."""
    async with sending(port, *pieces) as reader:
        return await answer_in(reader)


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [with_length(b"hello")],
        [with_length(b"hello")[:-3], b"l", b"lo"],
        [CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"],
        [CHUNKED + b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"],
        [HEAD + b"Content-Encoding: identity\r\n" + with_length(b"hello")[len(HEAD) :]],
    ],
)
async def test_a_body_is_read_however_it_comes(port: int, pieces: list[bytes]) -> None:
    answer = await sent(port, *pieces)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: ")
    assert answer.endswith(b"Content-Length: 5\r\n\r\nhello")


async def test_a_request_without_a_body_has_an_empty_one(port: int) -> None:
    assert (await sent(port, HEAD + b"\r\n")).endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([with_length(b"a" * 101)], b"413"),
        ([HEAD + b"Content-Length: 1000000000\r\n\r\n"], b"413"),
        ([CHUNKED + b"65\r\n" + b"a" * 101 + b"\r\n0\r\n\r\n"], b"413"),
        ([CHUNKED] + [b"32\r\n" + b"a" * 50 + b"\r\n"] * 3, b"413"),
        ([with_length(b"hello")[:-1]], b"408"),
        ([CHUNKED + b"5\r\nhello\r\n"], b"408"),
        ([CHUNKED + b"5\r\nhello", b"no end\r\n"], b"408"),
        ([HEAD + b"Content-Encoding: gzip\r\n" + with_length(b"hello")[len(HEAD) :]], b"415"),
        ([HEAD + b"Content-Encoding: br\r\nContent-Length: 100000\r\n\r\n"], b"415"),
    ],
)
async def test_a_body_that_is_not_taken_is_refused_and_its_connection_closed(
    pieces: list[bytes], says: bytes
) -> None:
    async with (
        serve(hurried if says == b"408" else echo) as bound,
        sending(bound.port, *pieces) as reader,
    ):
        answer = await answer_in(reader)
        assert await reader.read() == b""
    assert answer.startswith(b"HTTP/1.1 " + says)
    assert b"Connection: close" in answer
    if says == b"413":
        assert answer.endswith(b"the body is larger than 100 bytes (A_SETTING)")


async def test_a_packed_body_is_not_unpacked(port: int) -> None:
    packed = gzip.compress(b"hello")
    assert (await sent(port, with_length(packed))).endswith(packed)


async def test_requests_in_one_go_are_answered_in_their_order(port: int) -> None:
    bodies = [b"%d" % number for number in range(9)]
    async with sending(port, b"".join(with_length(body) for body in bodies)) as reader:
        assert [(await answer_in(reader))[-1:] for _ in bodies] == bodies


@pytest.mark.parametrize(
    ("head", "connection"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", b"close"),
        (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\n", b"keep-alive"),
        (b"POST / HTTP/1.0\r\n", b""),
    ],
)
async def test_a_connection_is_kept_or_closed_as_the_client_wants(
    port: int, head: bytes, connection: bytes
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Content-Length: 5\r\n\r\nhello")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(5) == b"hello"
    assert (b"Connection: " + connection in answer) == bool(connection)
    if connection != b"keep-alive":
        assert await reader.read() == b""
    writer.close()


async def test_a_head_that_never_ends_is_given_up() -> None:
    async with serve(echo, keepalive=0.3) as bound:
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(HEAD)
        ending = asyncio.create_task(reader.read())
        async with asyncio.timeout(PATIENCE):
            while not ending.done():
                writer.write(b"X-More: 1\r\n")
                await asyncio.sleep(0.05)
        # To a line that comes when it was given up already the answer is a reset.
        with suppress(ConnectionError):
            assert await ending == b""
        writer.close()
