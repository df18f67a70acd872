"""Layers are what the config says: nodes find what they unpacked before by the config's word."""

import gzip
import json

import pytest

from tests.fakes.images import OCI_LAYER, Content, descriptor, digest_of, encode
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client
from tests.functional.scanner.images import BASE_FILES, NETBASE, OPENSSH, debian_image

GOOD = debian_image(BASE_FILES, NETBASE)
BAD = debian_image(BASE_FILES, OPENSSH)
PLAIN = "application/vnd.oci.image.layer.v1.tar"
ZSTD = b"\x28\xb5\x2f\xfd" + bytes(64)


def config_of(content: Content) -> bytes:
    return content.blobs[json.loads(content.manifest)["config"]["digest"]]


def layer_of(content: Content) -> bytes:
    return content.blobs[json.loads(content.manifest)["layers"][0]["digest"]]


def made_of(config: bytes, *layers: bytes, media_type: str = OCI_LAYER) -> Content:
    manifest = json.loads(GOOD.manifest)
    manifest["config"] = descriptor(manifest["config"]["mediaType"], config)
    manifest["layers"] = [descriptor(media_type, layer) for layer in layers]
    blobs = {digest_of(body): body for body in (config, *layers)}
    return Content(GOOD.media_type, encode(manifest), blobs)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (made_of(config_of(BAD), layer_of(GOOD)), "unpacks to something else"),
        (made_of(config_of(GOOD), layer_of(GOOD), layer_of(GOOD)), "1 layers and its manifest 2"),
        (made_of(config_of(GOOD), layer_of(GOOD), media_type=PLAIN), "layer 1 of the image"),
        (made_of(config_of(GOOD), layer_of(GOOD) + b"more"), ""),
        (made_of(config_of(GOOD), layer_of(GOOD)[:-9]), ""),
        (made_of(config_of(GOOD), ZSTD), ""),
        (made_of(encode({"config": {"User": "app"}}), layer_of(GOOD)), ""),
    ],
)
async def test_an_image_whose_layers_are_not_what_its_config_says_fails_its_analysis(
    scanner: Client, registry: FakeRegistry, image: Content, words: str
) -> None:
    """Or a node that has the other image's layers would run those."""
    assert words in await scanner.failed(registry, image)


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
async def test_layers_may_be_packed_or_not(
    scanner: Client, registry: FakeRegistry, pack: type[bytes]
) -> None:
    tar = gzip.decompress(layer_of(GOOD))
    media_type = PLAIN if pack is bytes else OCI_LAYER
    image = made_of(config_of(GOOD), pack(tar), media_type=media_type)
    await scanner.submit(registry.put(image, "team/app:1"), image.digest)
    assert (await scanner.finished(image.digest))["analysis_status"] == "analyzed"


async def test_a_layer_of_several_gzip_members_is_read_whole(
    scanner: Client, registry: FakeRegistry
) -> None:
    tar = gzip.decompress(layer_of(GOOD))
    image = made_of(config_of(GOOD), gzip.compress(tar[:100]) + gzip.compress(tar[100:]))
    await scanner.submit(registry.put(image, "team/app:1"), image.digest)
    assert (await scanner.finished(image.digest))["analysis_status"] == "analyzed"
