"""The page's files, in memory: what a path from outside names is only ever a key of a table."""

import re
from hashlib import sha256
from importlib.resources import files

import msgspec

INDEX = "index.html"
TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.(?P<suffix>[a-z0-9]+)", re.ASCII)


class StaticFile(msgspec.Struct, frozen=True):
    """One file of the page."""

    body: bytes
    content_type: str
    etag: str
    """Quoted, as the header wants it."""


def read_files() -> dict[str, StaticFile]:
    """Every file of the page by its name; raises ValueError for one that cannot be served."""
    found: dict[str, StaticFile] = {}
    for path in (files("services.console") / "page").iterdir():
        named = _NAME.fullmatch(path.name)
        if named is None or named["suffix"] not in TYPES:
            raise ValueError(f"{path.name} cannot be served: is it a file of the page?")
        body = path.read_bytes()
        etag = f'"{sha256(body).hexdigest()[:32]}"'
        found[path.name] = StaticFile(body, TYPES[named["suffix"]], etag)
    return found
