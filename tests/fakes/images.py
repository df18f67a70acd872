"""Tiny images and indexes, byte for byte the same every time."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Content(msgspec.Struct, frozen=True):
    """An image, or an index with its children: everything that a registry holds of it."""

    media_type: str
    manifest: bytes
    blobs: dict[str, bytes] = {}
    children: tuple["Content", ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def tiny_image(
    *,
    files: Mapping[str, bytes] | None = None,
    config: Mapping[str, object] | None = None,
    platform: str = "linux/amd64",
    docker: bool = False,
) -> Content:
    """One config and one layer; `config` is what `docker inspect` shows under `Config`."""
    tar = _tar(files or {"etc/hello": b"hello\n"})
    layer = gzip.compress(tar, mtime=0)
    system, _, machine = platform.partition("/")
    document = {
        "architecture": machine,
        "config": dict(config or {}),
        "created": "2026-01-01T00:00:00Z",
        "os": system,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar)]},
    }
    written = encode(document)
    media_type, of_config, of_layer = (
        (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
        if docker
        else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(of_config, written),
        "layers": [descriptor(of_layer, layer)],
    }
    blobs = {digest_of(written): written, digest_of(layer): layer}
    return Content(media_type, encode(manifest), blobs)


def index_of(
    *entries: tuple[Content, str | None],
    docker: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> Content:
    """An index of (content, `os/architecture[/variant]` or None for no platform); each entry has
    the annotations."""
    media_type = DOCKER_INDEX if docker else OCI_INDEX
    listed = []
    for content, platform in entries:
        entry = descriptor(content.media_type, content.manifest)
        if platform is not None:
            names = ("os", "architecture", "variant")
            entry["platform"] = dict(zip(names, platform.split("/"), strict=False))
        if annotations:
            entry["annotations"] = dict(annotations)
        listed.append(entry)
    body = {"schemaVersion": 2, "mediaType": media_type, "manifests": listed}
    return Content(media_type, encode(body), {}, tuple(content for content, _ in entries))


def artifact(
    config: str, *layers: str, artifact_type: str | None = None, body: bytes = b"not a layer"
) -> Content:
    """What has an image's manifest and is none: each layer is `body`, of the type given."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(config, b"{}"),
        "layers": [descriptor(layer, body) for layer in layers],
    }
    if artifact_type is not None:
        manifest["artifactType"] = artifact_type
    return Content(OCI_MANIFEST, encode(manifest), {digest_of(b"{}"): b"{}", digest_of(body): body})


def helm_chart() -> Content:
    """As `helm push` makes it."""
    return artifact(
        "application/vnd.cncf.helm.config.v1+json",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
    )


def signature() -> Content:
    """As `cosign sign` makes it: with the configuration of an image."""
    return artifact(OCI_CONFIG, "application/vnd.dev.cosign.simplesigning.v1+json")


def bill_of_materials() -> Content:
    """As `oras attach` makes it: OCI 1.1, with the empty configuration."""
    return artifact(
        "application/vnd.oci.empty.v1+json",
        "application/spdx+json",
        artifact_type="application/spdx+json",
    )


def descriptor(media_type: str, body: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(body), "size": len(body)}


def encode(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def write_layout(folder: Path, content: Content, *, name: str = "latest") -> None:
    """An OCI image layout of one named image or index (`skopeo copy oci:FOLDER:NAME ...`)."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entry = descriptor(content.media_type, content.manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    (folder / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [entry]}))
    for body in _bodies(content):
        (blobs / digest_of(body).removeprefix("sha256:")).write_bytes(body)


def _bodies(content: Content) -> list[bytes]:
    nested = [body for child in content.children for body in _bodies(child)]
    return [content.manifest, *content.blobs.values(), *nested]


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()
