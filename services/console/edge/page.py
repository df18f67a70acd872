"""The page's files over HTTP; they hold no data, and anybody may have them."""

from collections.abc import Mapping

from aiohttp import web

from services.console.files import INDEX, StaticFile


class Page:
    """Answers with what stands in `files`, and with nothing else."""

    def __init__(self, files: Mapping[str, StaticFile]) -> None:
        self._files = files

    async def index(self, request: web.Request) -> web.Response:
        return self._send(request, INDEX)

    async def file(self, request: web.Request) -> web.Response:
        return self._send(request, request.match_info["name"])

    def _send(self, request: web.Request, name: str) -> web.Response:
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == file.etag:
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = file.content_type
        return web.Response(body=file.body, headers=headers)
