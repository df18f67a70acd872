"""The images of the show: real OCI layouts of a few kB, made from committed package data.

A layer holds what a scanner reads of a Debian system: `etc/os-release` and the package
database `var/lib/dpkg/status` (docs/design/scanner-facts.md). The same input gives the same
bytes: no time, no owner, no order of a file system gets into them.
"""

import gzip
import hashlib
import io
import json
import tarfile
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"
EPOCH = "1970-01-01T00:00:00Z"

_DATA = files("services.cli.show") / "data"


class ShowImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One image of the show, how it is made, and the final answer that its pod must get."""

    name: str
    reference: str
    """`path:tag`, without a host."""
    about: str
    allowed: bool
    user: str = ""
    packages: tuple[str, ...] = ()
    dockerfile: str = ""
    """A file of the show's data, sent to the scanner before the image is asked about."""
    pushed: bool = True
    warmed: bool = False
    """Nobody asks about it until its push event has had it judged."""
    asker: Literal["controller", "person"] = "controller"
    code: int = 200
    says: tuple[str, ...] = ()

    @property
    def repository(self) -> str:
        """The path without the tag."""
        return self.reference.partition(":")[0]

    @property
    def tag(self) -> str:
        """The tag alone."""
        return self.reference.partition(":")[2]


def show_images() -> tuple[ShowImage, ...]:
    """The images in the order of the show."""
    text = (_DATA / "images.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=tuple[ShowImage, ...])


def dockerfile_of(image: ShowImage) -> bytes:
    """The Dockerfile that goes with the image; empty where there is none."""
    return (_DATA / image.dockerfile).read_bytes() if image.dockerfile else b""


def write_layouts(folder: Path, images: tuple[ShowImage, ...]) -> dict[str, str]:
    """Write each pushed image as an OCI layout `folder/<repository>`; digests by reference."""
    stanzas = _stanzas()
    return {
        image.reference: _write_layout(folder / image.repository, image, stanzas)
        for image in images
        if image.pushed
    }


def _stanzas() -> dict[str, str]:
    text = (_DATA / "packages.control").read_text("utf-8")
    stanzas = [stanza.strip() for stanza in text.split("\n\n")]
    return {stanza.split("\n", 1)[0].removeprefix("Package: "): stanza for stanza in stanzas}


def _write_layout(folder: Path, image: ShowImage, stanzas: dict[str, str]) -> str:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    status = "".join(f"{stanzas[name]}\n\n" for name in sorted(image.packages))
    tar = _tar(
        {
            "etc/os-release": (_DATA / "os-release").read_bytes(),
            "var/lib/dpkg/status": status.encode(),
        }
    )
    layer = gzip.compress(tar, mtime=0)
    config = _json(_config(image, diff_id=_digest(tar)))
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [_descriptor(LAYER, layer)],
        }
    )
    for blob in (layer, config, manifest):
        (blobs / _digest(blob).removeprefix("sha256:")).write_bytes(blob)
    entry = _descriptor(MANIFEST, manifest) | {"annotations": {REF_NAME: image.tag}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (folder / "index.json").write_bytes(_json(index))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    return _digest(manifest)


def _config(image: ShowImage, *, diff_id: str) -> dict[str, object]:
    # The title keeps two images with the same packages apart: a digest has one Dockerfile.
    run = {"Cmd": ["/bin/true"], "Labels": {"org.opencontainers.image.title": image.name}}
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": EPOCH,
        "config": ({"User": image.user} if image.user else {}) | run,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": _history(image),
    }


def _history(image: ShowImage) -> list[dict[str, object]]:
    # A real Anchore judges the user by the last USER line that it guesses from the history.
    history: list[dict[str, object]] = [
        {"created": EPOCH, "created_by": "/bin/sh -c #(nop) ADD file:rootfs.tar in / "}
    ]
    if image.user:
        user = f"/bin/sh -c #(nop)  USER {image.user}"
        history.append({"created": EPOCH, "created_by": user, "empty_layer": True})
    return history


def _tar(content: dict[str, bytes]) -> bytes:
    folders = {str(parent) for name in content for parent in Path(name).parents} - {"."}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(folders | content.keys()):
            entry = tarfile.TarInfo(name)  # its defaults: no time, owner 0, no owner's name
            if name in content:
                entry.size = len(content[name])
                tar.addfile(entry, io.BytesIO(content[name]))
            else:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
    return out.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"
