"""Small OCI images with a Debian package database, as the scanner reads them."""

import gzip
import io
import tarfile
from collections.abc import Mapping, Sequence

from tests.fakes.images import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Content, descriptor, digest_of
from tests.fakes.images import encode as as_json

OS_RELEASE = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'

BASE_FILES = "Package: base-files\nVersion: 12.4+deb12u15\n"
NETBASE = "Package: netbase\nVersion: 6.4\n"
OPENSSH = "Package: openssh-server\nSource: openssh\nVersion: 1:9.2p1-2+deb12u10\n"
EXPAT = "Package: libexpat1\nSource: expat\nVersion: 2.5.0-1\n"
BASH = "Package: bash\nVersion: 5.2.15-2+b7\nSource: bash (5.2.15-2)\n"

NONROOT = {"User": "65532"}


def dpkg_status(*stanzas: str) -> bytes:
    return "".join(
        f"{stanza}Status: install ok installed\nArchitecture: amd64\n\n" for stanza in stanzas
    ).encode()


def debian_image(
    *stanzas: str,
    config: Mapping[str, object] = NONROOT,
    history: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
    layers: Sequence[bytes] = (),
    os_release: bytes = OS_RELEASE,
) -> Content:
    """One layer with a package database, then `layers` (tar archives)."""
    database = {"var/lib/dpkg/status": dpkg_status(*stanzas)} if stanzas else {}
    system = {"etc/os-release": os_release} if os_release else {}
    return image_of(
        [tar_of(database | system | dict(files or {})), *layers], config=config, history=history
    )


def image_of(
    tars: Sequence[bytes], *, config: Mapping[str, object] = NONROOT, history: Sequence[str] = ()
) -> Content:
    """An image of these layers."""
    packed = [gzip.compress(tar, mtime=0) for tar in tars]
    document = as_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": dict(config),
            "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]},
            "history": [{"created_by": line} for line in history],
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(OCI_CONFIG, document),
        "layers": [descriptor(OCI_LAYER, layer) for layer in packed],
    }
    blobs = {digest_of(body): body for body in (document, *packed)}
    return Content(OCI_MANIFEST, as_json(manifest), blobs)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar archive; names may be anything."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tar_of_members(*members: tarfile.TarInfo) -> bytes:
    """Links, devices and other members without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            tar.addfile(member)
    return buffer.getvalue()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found
