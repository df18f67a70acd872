"""Manifests: one image, or refused with a reason."""

import json
from typing import Any

import pytest

from services.scanner.analysis.manifest import is_index, read_manifest
from services.scanner.records import AnalysisFailed
from tests.fakes.images import DOCKER_INDEX, OCI_INDEX, OCI_MANIFEST, index_of, tiny_image

IMAGE = tiny_image()


def manifest(**changes: Any) -> bytes:
    return json.dumps(json.loads(IMAGE.manifest) | changes).encode()


@pytest.mark.parametrize("docker", [False, True])
def test_an_image_is_read(docker: bool) -> None:
    image = tiny_image(docker=docker)

    found = read_manifest(image.media_type, image.manifest)
    assert len(found.layers) == 1
    assert {blob.digest for blob in found.blobs} == set(image.blobs)
    assert f"sha256:{found.image_id}" == found.config.digest


def test_a_blob_that_is_named_twice_counts_once() -> None:
    layer = json.loads(IMAGE.manifest)["layers"][0]

    found = read_manifest(OCI_MANIFEST, manifest(layers=[layer] * 100))
    assert (len(found.layers), len(found.blobs)) == (100, 2)


@pytest.mark.parametrize("docker", [False, True])
def test_an_index_is_refused_with_what_to_do(docker: bool) -> None:
    index = index_of((IMAGE, "linux/amd64"), docker=docker)

    with pytest.raises(AnalysisFailed, match="submit the digest of a platform's manifest"):
        read_manifest(index.media_type, index.manifest)


def test_an_index_in_a_manifests_clothes_is_an_index() -> None:
    assert is_index(OCI_MANIFEST, manifest(manifests=[]))
    assert is_index(OCI_INDEX, b"{")
    assert is_index(DOCKER_INDEX, b"{}")
    assert not is_index(OCI_MANIFEST, IMAGE.manifest)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b'"\xff"', "cannot be read"),
        (manifest(config=None), "names no config"),
        (manifest(layers=None), "no layers"),
        (manifest(mediaType="application/vnd.docker.distribution.manifest.v1+json"), "no image"),
        (manifest(layers=[{"digest": "sha256:../../etc/passwd", "size": 1}]), "no SHA-256"),
        (manifest(layers=[{"digest": "sha512:" + "a" * 128, "size": 1}]), "no SHA-256"),
        (manifest(layers=[{"digest": "sha256:" + "a" * 64, "size": -1}]), "cannot be read"),
        (manifest(layers=[{"digest": "sha256:" + "a" * 64, "size": 1}] * 513), "over 512"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(body: bytes, said: str) -> None:
    with pytest.raises(AnalysisFailed, match=said):
        read_manifest(OCI_MANIFEST, body)
