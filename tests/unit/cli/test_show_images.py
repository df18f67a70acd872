import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from services.cli.show.images import dockerfile_of, show_images, write_layouts

IMAGES = {image.name: image for image in show_images()}


def layout(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """(config, files of the only layer) of an image of the show, each blob's digest checked."""
    root = folder / IMAGES[name].repository

    def blob(descriptor: dict[str, Any]) -> bytes:
        content: bytes = (root / "blobs/sha256" / descriptor["digest"][7:]).read_bytes()
        assert descriptor["digest"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert descriptor["size"] == len(content)
        return content

    (entry,) = json.loads((root / "index.json").read_bytes())["manifests"]
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "1.0"}
    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    (layer,) = manifest["layers"]
    tar = gzip.decompress(blob(layer))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(tar).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        files = {
            member.name: opened.read()
            for member in archive.getmembers()
            if (opened := archive.extractfile(member)) is not None
        }
    return config, files


def test_the_same_images_have_the_same_bytes_wherever_they_are_made(tmp_path: Path) -> None:
    first = write_layouts(tmp_path / "a", show_images())
    second = write_layouts(tmp_path / "b", show_images())
    assert first == second
    written = {path.relative_to(tmp_path / "a"): path for path in (tmp_path / "a").rglob("*")}
    for name, path in written.items():
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_every_pushed_image_has_a_digest_of_its_own(tmp_path: Path) -> None:
    digests = write_layouts(tmp_path, show_images())
    assert set(digests) == {image.reference for image in IMAGES.values() if image.pushed}
    assert len(set(digests.values())) == len(digests)
    assert "team/nobody:1.0" not in digests


def test_an_image_is_a_few_kilobytes(tmp_path: Path) -> None:
    write_layouts(tmp_path, show_images())
    for image in IMAGES.values():
        files = (tmp_path / image.repository).rglob("*")
        assert sum(path.stat().st_size for path in files if path.is_file()) < 8_192


@pytest.mark.parametrize(
    ("name", "user", "package"),
    [
        ("good", "65532", "base-files\nStatus: install ok installed\nVersion: 12.4+deb12u12"),
        ("ssh", "65532", "openssh-server\nStatus: install ok installed\nSource: openssh"),
        ("root", None, "tzdata"),
        ("expat", "65532", "libexpat1\nStatus: install ok installed\nSource: expat\nVersion: 2.5"),
        ("untagged", "65532", "netbase"),
    ],
)
def test_a_layer_holds_the_package_database_of_a_debian_12(
    tmp_path: Path, name: str, user: str | None, package: str
) -> None:
    write_layouts(tmp_path, show_images())
    config, files = layout(tmp_path, name)
    assert b"bookworm" in files["etc/os-release"]
    assert f"Package: {package}" in files["var/lib/dpkg/status"].decode()
    assert config["config"].get("User") == user
    users = [entry["created_by"].rpartition(" USER ")[2] for entry in config["history"][1:]]
    assert users == ([user] if user else [])


def test_every_package_of_the_data_is_whole() -> None:
    folder = Path(__file__).parents[3] / "services" / "cli" / "show" / "data"
    stanzas = (folder / "packages.control").read_text().strip().split("\n\n")
    for stanza in stanzas:
        fields = dict(line.split(": ", 1) for line in stanza.splitlines())
        assert {"Package", "Status", "Version", "Architecture"} <= fields.keys()
        assert fields.keys() <= {"Package", "Status", "Version", "Architecture", "Source"}
    names = {stanza.split("\n")[0].removeprefix("Package: ") for stanza in stanzas}
    assert {name for image in IMAGES.values() for name in image.packages} <= names


def test_only_the_untagged_image_has_a_dockerfile() -> None:
    assert dockerfile_of(IMAGES["untagged"]).startswith(b"FROM debian\n")
    assert [image.name for image in IMAGES.values() if image.dockerfile] == ["untagged"]
    assert dockerfile_of(IMAGES["good"]) == b""
