import asyncio
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services.cli.show.images import INDEX, MANIFEST, show_images, write_layouts
from services.cli.show.registry import read_catalogue, registry_app
from shared.runtime.http import serve


@pytest.fixture
def digests(tmp_path: Path) -> dict[str, str]:
    return write_layouts(tmp_path, show_images())


@pytest.fixture
async def session(tmp_path: Path, digests: dict[str, str]) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serve(registry_app(read_catalogue(tmp_path))) as bound,
        aiohttp.ClientSession(bound.url) as session,
    ):
        yield session


async def test_a_head_by_tag_names_the_digest(
    session: aiohttp.ClientSession, digests: dict[str, str]
) -> None:
    async with session.head("/v2/team/good/manifests/1.0") as answer:
        assert answer.status == 200
        assert answer.headers["Docker-Content-Digest"] == digests["team/good:1.0"]
        assert answer.headers["Content-Type"] == MANIFEST
        assert int(answer.headers["Content-Length"]) > 100
        assert await answer.read() == b""


async def test_manifest_config_and_layer_are_what_their_digests_say(
    session: aiohttp.ClientSession, digests: dict[str, str]
) -> None:
    digest = digests["team/expat:1.0"]
    async with session.get(f"/v2/team/expat/manifests/{digest}") as answer:
        body = await answer.read()
        assert answer.headers["Docker-Content-Digest"] == digest
    assert f"sha256:{hashlib.sha256(body).hexdigest()}" == digest
    manifest = json.loads(body)
    for descriptor in (manifest["config"], *manifest["layers"]):
        async with session.get(f"/v2/team/expat/blobs/{descriptor['digest']}") as answer:
            blob = await answer.read()
            assert answer.status == 200
        assert f"sha256:{hashlib.sha256(blob).hexdigest()}" == descriptor["digest"]
        assert len(blob) == descriptor["size"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v2/team/nobody/manifests/1.0", 404, "NAME_UNKNOWN"),
        ("/v2/team/good/manifests/2.0", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/team/good/manifests/sha256:{'0' * 64}", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/team/good/blobs/sha256:{'0' * 64}", 404, "BLOB_UNKNOWN"),
        (f"/v2/team/nobody/blobs/sha256:{'0' * 64}", 404, "NAME_UNKNOWN"),
        ("/v2/team/good/blobs/..%2f..%2findex.json", 400, "DIGEST_INVALID"),
        ("/v2/..%2f..%2fetc/manifests/1.0", 404, "NAME_UNKNOWN"),
    ],
)
async def test_what_is_not_there_is_said_as_registries_say_it(
    session: aiohttp.ClientSession, path: str, status: int, code: str
) -> None:
    async with session.get(path) as answer:
        body = await answer.json()
        assert (answer.status, body["errors"][0]["code"]) == (status, code)


async def test_nothing_can_be_pushed(session: aiohttp.ClientSession) -> None:
    async with session.put("/v2/team/good/manifests/1.0", data=b"{}") as answer:
        assert answer.status == 405
    async with session.get("/v2/") as answer:
        assert answer.status == 200
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


async def test_the_manifests_of_an_index_are_served_too(tmp_path: Path) -> None:
    digests = write_layouts(tmp_path, show_images())
    good = tmp_path / "team" / "good"
    (entry,) = json.loads((good / "index.json").read_bytes())["manifests"]
    del entry["annotations"]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    digest = f"sha256:{hashlib.sha256(index).hexdigest()}"
    (good / "blobs" / "sha256" / digest[7:]).write_bytes(index)
    outer = {
        "mediaType": INDEX,
        "digest": digest,
        "size": len(index),
        "annotations": {"org.opencontainers.image.ref.name": "multi"},
    }
    (good / "index.json").write_text(json.dumps({"manifests": [outer]}))
    catalogue = read_catalogue(tmp_path)
    assert catalogue["team/good"].tags == {"multi": digest}
    assert set(catalogue["team/good"].manifests) == {digest, digests["team/good:1.0"]}


@pytest.mark.parametrize("digest", ["sha256:../../index.json", "md5:abc"])
def test_a_layout_that_names_no_digest_is_refused(tmp_path: Path, digest: str) -> None:
    entry = {"mediaType": MANIFEST, "digest": digest, "size": 1}
    (tmp_path / "index.json").write_text(json.dumps({"manifests": [entry]}))
    with pytest.raises(ValueError, match="cannot serve"):
        read_catalogue(tmp_path)


async def test_skopeo_copies_an_image_out_of_it(tmp_path: Path, digests: dict[str, str]) -> None:
    async with serve(registry_app(read_catalogue(tmp_path))) as bound:
        source = f"docker://127.0.0.1:{bound.port}/team/ssh:1.0"
        target = f"oci:{tmp_path / 'copy'}:1.0"
        done = await _run("skopeo", "copy", "--src-tls-verify=false", "--quiet", source, target)
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads((tmp_path / "copy" / "index.json").read_bytes())["manifests"]
    assert entry["digest"] == digests["team/ssh:1.0"]


async def _run(*command: str) -> subprocess.CompletedProcess[bytes]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return subprocess.CompletedProcess(command, process.returncode or 0, out, err)
