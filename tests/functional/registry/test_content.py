"""Manifests and blobs: nothing is handed on that is not its digest."""

import asyncio
import hashlib
from contextlib import aclosing

import pytest

from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.reference import ImageReference
from tests.fakes.images import DOCKER_MANIFEST, OCI_MANIFEST, Content, encode, tiny_image
from tests.fakes.registry import FakeRegistry, answer, collect, cut, endless, hang

OCTETS = "application/octet-stream"


@pytest.fixture
def image() -> Content:
    return tiny_image(files={"etc/os-release": b"ID=debian\n"})


@pytest.fixture
def reference(registry: FakeRegistry, image: Content) -> ImageReference:
    return registry.put(image, "team/app:1.0")


async def test_a_manifest_comes_with_its_media_type(
    client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    assert await client.manifest(reference, image.digest) == (OCI_MANIFEST, image.manifest)


async def test_config_and_layers_are_streamed(
    client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    for digest, body in image.blobs.items():
        assert await collect(client.blob(reference, digest, max_bytes=len(body))) == body


async def test_a_large_blob_comes_in_pieces(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference
) -> None:
    body = bytes(1_000_000)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    registry.replace_body(digest, body)
    pieces = [piece async for piece in client.blob(reference, digest, max_bytes=len(body))]
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 65_536


async def test_a_blob_that_is_not_its_digest_is_untrusted_at_its_end(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    digest, body = next(iter(image.blobs.items()))
    registry.replace_body(digest, body[:-1] + b"?")
    with pytest.raises(PermanentFailure, match="something else under this digest") as caught:
        await collect(client.blob(reference, digest, max_bytes=len(body)))
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_a_blob_of_more_bytes_than_asked_for_is_untrusted(
    client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    digest, body = next(iter(image.blobs.items()))
    with pytest.raises(PermanentFailure, match=f"more than {len(body) - 1} bytes") as caught:
        await collect(client.blob(reference, digest, max_bytes=len(body) - 1))
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_a_blob_without_end_is_left_at_its_limit(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    registry.fault("blobs", endless(content_type=OCTETS))
    async with asyncio.timeout(10):
        with pytest.raises(PermanentFailure, match="more than 300000 bytes"):
            await collect(client.blob(reference, image.digest, max_bytes=300_000))


async def test_a_body_that_breaks_off_is_transient(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    registry.fault("blobs", cut(bytes(100_000), content_type=OCTETS))
    registry.fault("manifests", cut(image.manifest, content_type=image.media_type))
    with pytest.raises(TransientFailure, match="broke off"):
        await collect(client.blob(reference, image.digest, max_bytes=100_000))
    with pytest.raises(TransientFailure, match="broke off"):
        await client.manifest(reference, image.digest)


async def test_a_blob_that_hangs_is_transient(
    registry: FakeRegistry, hurried: RegistryClient, reference: ImageReference, image: Content
) -> None:
    registry.fault("blobs", hang)
    async with asyncio.timeout(10):
        with pytest.raises(TransientFailure, match="in time"):
            await collect(hurried.blob(reference, image.digest, max_bytes=1))


async def test_a_blob_can_be_left_in_the_middle(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    registry.fault("blobs", endless(content_type=OCTETS))
    async with aclosing(client.blob(reference, image.digest, max_bytes=10**9)) as chunks:
        assert await anext(chunks)
    registry.heal()
    assert (await client.resolve(reference)).digest == image.digest


async def test_a_blob_that_is_not_there_is_not_found(
    client: RegistryClient, reference: ImageReference
) -> None:
    with pytest.raises(PermanentFailure, match=r"404 \(BLOB_UNKNOWN\)") as caught:
        await collect(client.blob(reference, f"sha256:{'0' * 64}", max_bytes=1))
    assert caught.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("digest", ["latest", "sha256:ab", "sha256:../../v2/other/blobs/x", ""])
async def test_a_digest_that_is_none_is_never_asked_for(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, digest: str
) -> None:
    with pytest.raises(PermanentFailure, match="digest is not sha256"):
        await collect(client.blob(reference, digest, max_bytes=1))
    with pytest.raises(PermanentFailure, match="digest is not sha256"):
        await client.manifest(reference, digest)
    assert registry.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"schemaVersion": 2}',
        b'{"config": {}, "layers": [], "manifests": []}',
        b'{"config": {}, "layers": [], "Manifests": []}',
        b'{"config": {}, "layers": [], "manife\xc5\xbfts": []}',
        b'{"config": {}, "layers": [], "layers": [1]}',
        b'{"config": {}, "layers": {}}',
        b'{"config": {}, "layers": [], "mediaType": "application/json"}',
        b'{"config": {}, "layers": [], "mediaType": null}',
        b"\xff\xfe{\x00}\x00",
        b'{"config": ' + b"[" * 100_000 + b"]" * 100_000 + b', "layers": []}',
        encode({"config": {}, "layers": [{}] * 513}),
    ],
)
async def test_a_manifest_with_two_meanings_or_none_is_untrusted(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, body: bytes
) -> None:
    bad = Content(OCI_MANIFEST, body)
    registry.put(bad, "team/app:bad")
    with pytest.raises(PermanentFailure) as caught:
        await client.manifest(reference, bad.digest)
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_a_manifest_of_another_media_type_than_its_body_names_is_untrusted(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    registry.replace_body(image.digest, image.manifest, media_type=DOCKER_MANIFEST)
    with pytest.raises(PermanentFailure, match="is not the"):
        await client.manifest(reference, image.digest)


async def test_a_packed_body_is_not_unpacked(
    registry: FakeRegistry, client: RegistryClient, reference: ImageReference, image: Content
) -> None:
    registry.fault("manifests", answer(200, Content_Type=OCI_MANIFEST, Content_Encoding="gzip"))
    with pytest.raises(PermanentFailure, match="something else under this digest"):
        await client.manifest(reference, image.digest)
    assert registry.requests[0].headers["Accept-Encoding"] == "identity"
