"""A small registry: the read half of the OCI distribution API over OCI layouts in a folder.

Each folder with an `index.json` is the repository of its path; a tag is the annotation
`org.opencontainers.image.ref.name`. Everything is looked up in a catalogue that is read once,
so that nothing a caller sends becomes part of a path.
"""

import json
import re
from pathlib import Path

import msgspec
from aiohttp import web

from services.cli.show.images import INDEX, MANIFEST, REF_NAME

MAX_MANIFEST = 4 * 1024 * 1024

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Stored(msgspec.Struct, frozen=True):
    """A manifest in a layout."""

    media_type: str
    digest: str
    content: bytes


class Repository(msgspec.Struct, frozen=True):
    """What one layout holds."""

    folder: Path
    tags: dict[str, str]
    manifests: dict[str, Stored]

    def blob(self, digest: str) -> Path | None:
        """Where a blob of this digest is."""
        path = _blob_path(self.folder, digest)
        return path if path.is_file() else None


def read_catalogue(folder: Path) -> dict[str, Repository]:
    """The repositories under `folder` by name. Raises ValueError for a broken layout."""
    return {
        str(index.parent.relative_to(folder)): _read_layout(index.parent)
        for index in sorted(folder.rglob("index.json"))
    }


def registry_app(catalogue: dict[str, Repository]) -> web.Application:
    """An application that serves `catalogue` to any caller, read-only."""

    async def base(_: web.Request) -> web.Response:
        return web.json_response({}, headers={"Docker-Distribution-Api-Version": "registry/2.0"})

    async def manifest(request: web.Request) -> web.StreamResponse:
        name, reference = request.match_info["name"], request.match_info["reference"]
        repository = catalogue.get(name)
        if repository is None:
            return _error(404, "NAME_UNKNOWN", f"repository {name} is not known")
        found = repository.manifests.get(repository.tags.get(reference, reference))
        if found is None:
            return _error(404, "MANIFEST_UNKNOWN", f"{name} has no manifest {reference}")
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        return web.Response(body=found.content, headers=headers)

    async def blob(request: web.Request) -> web.StreamResponse:
        name, digest = request.match_info["name"], request.match_info["digest"]
        repository = catalogue.get(name)
        if repository is None:
            return _error(404, "NAME_UNKNOWN", f"repository {name} is not known")
        if not _DIGEST.fullmatch(digest):
            return _error(400, "DIGEST_INVALID", "a digest is sha256: and 64 hex digits")
        path = repository.blob(digest)
        if path is None:
            return _error(404, "BLOB_UNKNOWN", f"{name} has no blob {digest}")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        return web.FileResponse(path, headers=headers)

    app = web.Application(client_max_size=1024)
    app.router.add_get("/v2/", base)
    app.router.add_get("/v2/{name:.+}/manifests/{reference}", manifest)
    app.router.add_get("/v2/{name:.+}/blobs/{digest}", blob)
    return app


def _read_layout(folder: Path) -> Repository:
    tags: dict[str, str] = {}
    manifests: dict[str, Stored] = {}
    waiting = json.loads((folder / "index.json").read_bytes())["manifests"]
    while waiting:
        entry = waiting.pop()
        stored = _read_manifest(folder, entry["digest"], entry["mediaType"])
        manifests[stored.digest] = stored
        if REF_NAME in entry.get("annotations", {}):
            tags[entry["annotations"][REF_NAME]] = stored.digest
        if stored.media_type == INDEX:
            waiting += json.loads(stored.content)["manifests"]
    return Repository(folder=folder, tags=tags, manifests=manifests)


def _read_manifest(folder: Path, digest: str, media_type: str) -> Stored:
    if not _DIGEST.fullmatch(digest) or media_type not in (MANIFEST, INDEX):
        raise ValueError(f"{folder}/index.json: cannot serve {digest!r} of type {media_type!r}")
    path = _blob_path(folder, digest)
    if path.stat().st_size > MAX_MANIFEST:
        raise ValueError(f"{path} is larger than a manifest may be")
    return Stored(media_type=media_type, digest=digest, content=path.read_bytes())


def _blob_path(folder: Path, digest: str) -> Path:
    return folder / "blobs" / "sha256" / digest.removeprefix("sha256:")


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response(
        {"errors": [{"code": code, "message": message, "detail": {}}]}, status=status
    )
