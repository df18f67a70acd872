"""Layers that hide, pretend or climb, through the real server and the real Syft: the facts are
what a node would have, or the analysis fails by name, or it is said that nothing can be said."""

import asyncio
import gzip
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.fakes.images import Content, digest_of, encode
from tests.fakes.registry import FakeRegistry
from tests.fakes.tars import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    END,
    FIFO,
    FOLDER,
    HARD_LINK,
    SYMLINK,
    Part,
    files,
    global_header,
    layer,
    old_sparse,
    written,
)
from tests.functional.scanner.conftest import Client, Open
from tests.functional.scanner.images import (
    BASE_FILES,
    NETBASE,
    OPENSSH,
    OS_RELEASE,
    debian_image,
    dpkg_status,
    image_of,
)
from tests.functional.scanner.test_hostile import found, left
from tests.functional.scanner.test_layers import made_of

MIB = 1024**2
STATUS = "var/lib/dpkg/status"
GOOD = dpkg_status(BASE_FILES, NETBASE)
BAD = dpkg_status(BASE_FILES, OPENSSH)
RELEASE = Part("etc/os-release", OS_RELEASE)
BASE = layer(RELEASE, Part(STATUS, BAD))
APK = b"P:musl\nV:1.2.4-r2\nA:x86_64\no:musl\nt:1\nc:abc\n\n"
ALPINE = b'ID=alpine\nVERSION_ID="3.20.3"\n'
SSH = {"base-files", "openssh-server"}


Cases = Mapping[str, list[bytes]]

HIDING: Cases = {
    "a removed file": [BASE, files({"var/lib/dpkg/.wh.status": b""})],
    "an opaque folder": [BASE, files({"var/lib/dpkg/.wh..wh..opq": b""})],
}
"""Nothing is left of the package database."""

REPLACING: Cases = {
    "a removed folder": [BASE, files({"var/.wh.lib": b"", STATUS: GOOD})],
    "an opaque folder": [BASE, files({"var/lib/dpkg/.wh..wh..opq": b"", STATUS: GOOD})],
    "two of a name": [layer(RELEASE, Part(STATUS, BAD), Part(f"./{STATUS}", GOOD))],
    "a name that climbs": [BASE, files({f"../../../{STATUS}": GOOD})],
}
"""The package database is GOOD."""

PRETENDING: Cases = {
    "nothing": [BASE],
    "other names": [BASE, files({"var/lib/dpkg/.wh.status.": b"", ".wh.var ": b""})],
    "two of a name": [layer(RELEASE, Part(STATUS, GOOD), Part(f"a/../{STATUS}", BAD))],
    "capitals": [BASE, files({"var/lib/dpkg/STATUS": GOOD, "var/lib/DPKG/status": GOOD})],
    "PAX path": [layer(RELEASE, Part("x" * 120, BAD, pax={"path": STATUS}))],
    "PAX for all": [global_header({"path": "elsewhere"}) + BASE],
    "behind the end": [BASE + written(Part(STATUS, GOOD)) + END],
    "rubbish behind the end": [BASE + b"rubbish" * 1000],
    "no UTF-8": [BASE, layer(Part("\udcff\udcfe", b"x"), form=tarfile.GNU_FORMAT)],
    "deep and long": [BASE, files({"d/" * 1500 + "x": b"", "n" * 255: b""})],
    "nested": [BASE, files({"a.tar": layer(Part(STATUS, GOOD)), "a.tgz": gzip.compress(BASE)})],
    "a folder with a size": [layer(RELEASE, Part("lib", kind=FOLDER, size=99), Part(STATUS, BAD))],
    "a link": [layer(RELEASE, Part("opt/s", BAD), Part(STATUS, kind=SYMLINK, link="/opt/s"))],
    "a link to a folder": [
        layer(RELEASE, Part("o/status", BAD), Part("var/lib/dpkg", kind=SYMLINK, link="/o"))
    ],
    "devices and links": [
        BASE,
        layer(
            Part("dev/disk", kind=BLOCK_DEVICE),
            Part("dev/null", kind=CHARACTER),
            Part("run/fifo", kind=FIFO),
            Part("bin/su", b"#!", mode=0o4755),
            Part("loop", kind=SYMLINK, link="loop"),
            Part("circle/back", kind=SYMLINK, link="../circle"),
        ),
    ],
}
"""The package database is BAD, whatever else is there."""


async def known(scanner: Client, registry: FakeRegistry, image: Content) -> tuple[set[str], str]:
    """The distribution's packages, and what is said against believing them."""
    await scanner.analysed(registry, image, f"{image.digest[7:]}/app:1.0")
    status, body = await scanner.get(f"/v1/images/{image.digest}/content/os")
    assert status == 200, body
    names = {one["package"] for one in body["content"]}
    status, body = await scanner.get(f"/v1/images/{image.digest}/vuln/all")
    assert status == 200, body
    return names, "; ".join(body["imagegate_unknown"]["contradictions"])


@pytest.mark.parametrize(
    ("cases", "names"),
    [(HIDING, set()), (REPLACING, {"base-files", "netbase"}), (PRETENDING, SSH)],
    ids=["hiding", "replacing", "pretending"],
)
async def test_the_packages_are_those_that_a_node_has(
    real_scanner: Client, registry: FakeRegistry, cases: Cases, names: set[str]
) -> None:
    found = await asyncio.gather(
        *(known(real_scanner, registry, image_of(layers)) for layers in cases.values())
    )
    assert dict(zip(cases, found, strict=True)) == dict.fromkeys(cases, (names, ""))
    assert left(real_scanner) == []


CONTRADICTIONS: Mapping[str, list[bytes]] = {
    "Packages were read from /x,": [
        layer(RELEASE, Part("x", BAD), Part(STATUS, kind=HARD_LINK, link="x"))
    ],
    "alpine 3.20.3 but holds the package database of dpkg": [
        layer(Part(STATUS, BAD), Part("etc/os-release", ALPINE))
    ],
    "the package databases of apk and dpkg": [BASE, files({"lib/apk/db/installed": APK})],
    "it has no /etc/os-release": [BASE, files({"etc/.wh.os-release": b""})],
    "12.4+deb12u15, which is of another release": [
        BASE,
        files({"etc/os-release": OS_RELEASE.replace(b"12", b"11")}),
    ],
    "in /usr/lib/os-release alpine 3.20.3": [BASE, files({"usr/lib/os-release": ALPINE})],
    "does not say what distribution it is": [
        BASE,
        layer(Part("etc/os-release", kind=SYMLINK, link="../../../../etc/os-release")),
    ],
    "/srv/root/var/lib/dpkg/status, which is no": [BASE, files({f"srv/root/{STATUS}": GOOD})],
    "/VAR/lib/dpkg/status, which is no": [BASE, files({"VAR/lib/dpkg/status": GOOD})],
    "writes through a link of another layer": [
        layer(
            RELEASE,
            Part("var", kind=SYMLINK, link="/data"),
            Part("data/lib/dpkg/status", GOOD),
        ),
        files({STATUS: BAD}),
    ],
    "No package could be read": [layer(RELEASE, Part(STATUS, b"Package rubbish"))],
    "stored as a sparse file": [old_sparse(STATUS, size=1000) + layer(RELEASE)],
}
"""What is said, and the image it is said of."""


async def test_an_image_that_contradicts_itself_is_not_believed(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    async def check(said: str, image: Content) -> None:
        _, contradictions = await known(real_scanner, registry, image)
        assert said in contradictions
        reference = registry.put(image, f"{image.digest[7:]}/app:1.0")
        rows = await real_scanner.rows(reference, image.digest)
        assert ("vulnerability_data_unavailable", "stop") in {(row[2], row[4]) for row in rows}

    await asyncio.gather(*(check(said, image_of(all_)) for said, all_ in CONTRADICTIONS.items()))


def config_of(*tars: bytes, **more: Any) -> bytes:
    return encode({"rootfs": {"diff_ids": [digest_of(tar) for tar in tars]}, **more})


MARKED = Part("etc", kind=FOLDER, pax={"SCHILY.xattr.trusted.overlay.opaque": "y"})
PACKED = gzip.compress(BASE)
REFUSED: Mapping[str, Content] = {
    "unknown type": image_of([layer(Part("a", kind=b"V"))]),
    "a block of zeros": image_of([written(RELEASE) + bytes(BLOCK) + written(Part(STATUS, BAD))]),
    "ends in the middle of a file": image_of([BASE[: 3 * BLOCK + 9]]),
    "over 255 bytes": image_of([files({"n" * 256: b""})]),
    "over 4096 bytes": image_of([files({"d/" * 2100: b""})]),
    "layer 2 of the image": image_of([BASE, layer(Part("a", b""), Part("a/b", b""))]),
    "IMAGEGATE_SCANNER_MAX_DISK": image_of([BASE, old_sparse("huge", size=2**50)]),
    "marks of overlayfs": image_of([BASE, layer(MARKED)]),
    "end-of-stream": made_of(config_of(BASE), PACKED[:-9]),
    "cannot be unpacked: Not a gzipped file": made_of(config_of(BASE), PACKED + b"rubbish"),
    "unpacks to something else": made_of(config_of(BASE), PACKED + gzip.compress(b"x")),
    "a history of more": made_of(config_of(BASE, history=[{}] * 1_000_000), PACKED),
}
"""What is said, and the image it is said of."""


async def test_what_no_node_runs_as_it_was_scanned_fails_by_name(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    said = await asyncio.gather(
        *(
            real_scanner.failed(registry, image, f"team/app-{number}:1.0")
            for number, image in enumerate(REFUSED.values())
        )
    )
    for expected, reason in zip(REFUSED, said, strict=True):
        assert expected in reason
    assert left(real_scanner) == []


async def test_a_bomb_is_stopped_before_syft_sees_it(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    path = fake_syft(f"touch {seen}; exit 1")
    scanner = await open_scanner(path=path, imagegate_scanner_max_disk=32 * MIB)

    reason = await scanner.failed(registry, image_of([files({"zeros": bytes(200 * MIB)})]))
    assert "takes more than 33554432 bytes: raise IMAGEGATE_SCANNER_MAX_DISK" in reason
    assert not seen.exists()


async def test_files_without_number_are_counted_before_syft_sees_them(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    path = fake_syft(f"touch {seen}; exit 1")
    scanner = await open_scanner(path=path, imagegate_scanner_max_files=20_000)
    many = layer(*(Part(f"f{number}") for number in range(20_001)))

    reason = await scanner.failed(registry, image_of([many]))
    assert "more than 20000 files: raise IMAGEGATE_SCANNER_MAX_FILES" in reason
    assert not seen.exists()


async def test_layers_packed_with_zstd_are_analysed(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    pack = zstandard.ZstdCompressor().compress
    skipped = (0x184D2A5E).to_bytes(4, "little") + (4).to_bytes(4, "little") + b"meta"
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    image = made_of(
        config_of(BASE), pack(BASE[:BLOCK]) + pack(BASE[BLOCK:]) + skipped, media_type=kind
    )

    assert await known(real_scanner, registry, image) == (SSH, "")


async def test_nothing_is_written_or_read_outside(
    real_scanner: Client, registry: FakeRegistry, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "status").write_bytes(dpkg_status("Package: stolen\nVersion: 1\n"))
    (outside / "os-release").write_bytes(ALPINE)
    climbing = "../" * 12 + str(outside)
    wicked = layer(
        Part(f"{climbing}/written", b"x"),
        Part(f"{outside}/absolute", b"x"),
        Part("up", kind=SYMLINK, link=climbing),
        Part("up/through", b"x"),
        Part(STATUS, kind=HARD_LINK, link=f"{climbing}/status"),
        Part("etc/os-release", kind=SYMLINK, link=f"{climbing}/os-release"),
    )

    names, _ = await known(real_scanner, registry, image_of([wicked]))
    assert names == set()
    assert {path.name for path in outside.iterdir()} == {"status", "os-release"}
    assert found(tmp_path, "through") == found(tmp_path, "absolute") == []


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("app", "User app (root) found as effective user"),
        ("gone", "/etc/passwd of the image has no user 'gone'"),
        ("web", None),
    ],
)
async def test_a_users_name_is_looked_up_in_the_final_passwd(
    real_scanner: Client, registry: FakeRegistry, user: str, said: str | None
) -> None:
    lower = files({"etc/passwd": b"app:x:1000:1000::/:\nweb:x:0:0::/:\ngone:x:1:1::/:\n"})
    upper = files({"etc/passwd": b"app:x:0:0::/:\nweb:x:33:33::/:\n"})
    image = debian_image(BASE_FILES, NETBASE, layers=[lower, upper], config={"User": user})
    reference = await real_scanner.analysed(registry, image)

    rows = await real_scanner.rows(reference, image.digest)
    users = [str(row[3]) for row in rows if row[2] == "effective_user"]
    assert [said in one for one in users] == [True] if said else users == []
