"""A JSON answer for a hot path.

aiohttp gathers headers in a dictionary and writes them from there, which costs more than reading a
review. Here the head is made once a second, since it tells the date.
"""

import time
from email.utils import formatdate
from functools import lru_cache

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter


def json_reply(http: web.BaseRequest, body: bytes, *, last: bool = False) -> web.StreamResponse:
    """200 with this body; `last`: the connection ends with it."""
    # What makes a connection end, or an old client keep it, is told in headers of its own.
    if http.keep_alive and http.version == HttpVersion11 and not last:
        return _Reply(body)
    response = web.Response(body=body, content_type="application/json")
    if last:
        response.force_close()
    return response


class _Reply(web.StreamResponse):
    """Writes itself in one go, and leaves the connection as it is."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._content = body

    @property
    def keep_alive(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is not None:
            head, content = _head(int(time.time())), self._content
            transport.write(b"%b%d\r\n\r\n%b" % (head, len(content), content))
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        pass


@lru_cache(maxsize=1)
def _head(second: int) -> bytes:
    """All of it but the length."""
    date = formatdate(second, usegmt=True)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: {date}\r\nContent-Length: "
    return head.encode()
