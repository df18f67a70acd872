"""Frames as the library can read them.

A message's properties are whatever its sender wrote: the broker hands them on unread. One that
the library cannot decode (a text that is no UTF-8, a time after the year 9999) makes it hang
up. In a lane the message comes again with the next connection, until its deliveries are used up;
among the dead letters it would keep everybody from all of them, for good. What a message says
stands in its body: such properties are left out, and it is handled like any other.
"""

import asyncio
from typing import cast

from pamqp.constants import FRAME_HEADER, FRAME_HEADER_SIZE
from pamqp.header import ContentHeader

_FIXED = 12
"""Bytes of a content header before its properties: class, weight and the size of the body."""


def readable(reader: asyncio.StreamReader) -> asyncio.StreamReader:
    """The same stream, for the library's reader of frames."""
    return cast(asyncio.StreamReader, _Readable(reader))


class _Readable:
    """Knows a frame by how the library reads it: its type, the rest of its head, its payload."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._head = b""

    def at_eof(self) -> bool:
        return self._reader.at_eof()

    async def read(self, size: int = -1) -> bytes:
        return await self._reader.read(size)

    async def readexactly(self, size: int) -> bytes:
        data = await self._reader.readexactly(size)
        if len(self._head) < FRAME_HEADER_SIZE:
            self._head += data
            return data
        head, self._head = self._head, b""
        return _cleaned(data) if head[0] == FRAME_HEADER else data


def _cleaned(payload: bytes) -> bytes:
    """A content header and its frame's end, of the same length, without what is not readable."""
    try:
        ContentHeader().unmarshal(payload[:-1])
    except Exception:  # Whatever a decoder may raise over bytes that a stranger chose.
        nothing = bytes(len(payload) - _FIXED - 1)
        return payload[:_FIXED] + nothing + payload[-1:]
    return payload
