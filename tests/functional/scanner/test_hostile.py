"""Images and programs that mean harm: bounded, reported, and nothing left behind."""

import asyncio
import os
import tarfile
from asyncio.subprocess import DEVNULL
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.images import Content, digest_of
from tests.fakes.registry import FakeRegistry, answer, endless, hang
from tests.functional.scanner.conftest import Client, Open
from tests.functional.scanner.images import (
    BASE_FILES,
    NETBASE,
    debian_image,
    dpkg_status,
    image_of,
    member,
    tar_of,
    tar_of_members,
)

MIB = 1024**2
GOOD = debian_image(BASE_FILES, NETBASE)


def left(scanner: Client) -> list[Path]:
    return list((scanner.folder / "scratch").iterdir())


def found(folder: Path, name: str) -> list[Path]:
    return list(folder.rglob(name))


def processes(mark: str) -> list[int]:
    """Processes whose command line names `mark`."""
    running = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    running.append(int(entry.name))
            except OSError:
                continue
    return running


async def test_an_image_over_the_limit_is_refused_before_anything_of_it_is_pulled(
    open_scanner: Open, registry: FakeRegistry
) -> None:
    scanner = await open_scanner(imagegate_scanner_max_image=MIB)
    image = debian_image(BASE_FILES, files={"noise": os.urandom(2 * MIB)})

    reason = await scanner.failed(registry, image)
    assert f"over the limit of {MIB}: raise IMAGEGATE_SCANNER_MAX_IMAGE" in reason
    assert registry.asked("blobs") == []
    assert left(scanner) == []


async def test_a_layer_that_is_larger_than_it_says_is_cut_off(
    scanner: Client, registry: FakeRegistry
) -> None:
    registry.fault("blobs", endless(content_type="application/octet-stream"))

    reason = await scanner.failed(registry, GOOD)
    assert "could not be pulled" in reason
    assert left(scanner) == []


async def test_a_layer_that_is_another_than_its_digest_says_is_refused(
    scanner: Client, registry: FakeRegistry
) -> None:
    registry.put(GOOD, "team/app:1.0")
    for digest, body in GOOD.blobs.items():
        registry.replace_body(digest, bytes(len(body)))
    reference = registry.put(GOOD, "team/app:1.0")
    for digest, body in GOOD.blobs.items():
        registry.replace_body(digest, bytes(len(body)))

    await scanner.submit(reference, GOOD.digest)
    await scanner.finished(GOOD.digest)
    assert "something else under this digest" in await scanner.reason(reference)


async def test_a_layer_bomb_is_stopped_at_the_disk_it_may_use(
    open_scanner: Open, registry: FakeRegistry
) -> None:
    scanner = await open_scanner(imagegate_scanner_max_disk=32 * MIB)
    bombs = [tar_of({f"zeros{number}": bytes(24 * MIB)}) for number in range(3)]
    image = debian_image(BASE_FILES, layers=bombs)
    assert sum(map(len, image.blobs.values())) < MIB

    reason = await scanner.failed(registry, image)
    assert "takes more than 33554432 bytes: raise IMAGEGATE_SCANNER_MAX_DISK" in reason
    assert left(scanner) == []


async def test_one_file_over_the_disk_is_stopped_too(
    open_scanner: Open, registry: FakeRegistry
) -> None:
    scanner = await open_scanner(imagegate_scanner_max_disk=16 * MIB)
    image = debian_image(BASE_FILES, layers=[tar_of({"zeros": bytes(64 * MIB)})])

    reason = await scanner.failed(registry, image)
    assert "takes more than 16777216 bytes: raise IMAGEGATE_SCANNER_MAX_DISK" in reason
    assert left(scanner) == []


async def test_a_registry_that_hangs_ends_the_analysis(
    open_scanner: Open, registry: FakeRegistry
) -> None:
    scanner = await open_scanner(imagegate_scanner_pull_seconds=1.0)
    registry.fault("blobs", hang)

    reason = await scanner.failed(registry, GOOD)
    assert "could not be pulled in 1 s" in reason
    assert left(scanner) == []


async def test_a_registry_that_hangs_is_not_accessible(
    open_scanner: Open, registry: FakeRegistry
) -> None:
    scanner = await open_scanner(imagegate_scanner_registry_seconds=0.5)
    reference = registry.put(GOOD, "team/app:1.0")
    registry.fault("manifests", hang)

    status, body = await scanner.submit(reference)
    assert (status, body["detail"]["error_codes"]) == (400, ["REGISTRY_NOT_ACCESSIBLE"])


async def test_a_syft_that_hangs_is_killed_with_all_it_started(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any
) -> None:
    mark = f"4711.{os.getpid()}"  # others may run this test on the same machine
    path = fake_syft(f"sleep {mark} & sleep {mark}")
    scanner = await open_scanner(path=path, imagegate_scanner_analysis_seconds=1.0)

    reason = await scanner.failed(registry, GOOD)
    assert "syft did not end in 1 s: raise IMAGEGATE_SCANNER_ANALYSIS_SECONDS" in reason
    assert processes(mark) == []
    assert left(scanner) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no such thing >&2; exit 3", "syft failed (exit code 3): no such thing"),
        ("kill -SEGV $$", "syft failed (killed by signal 11)"),
        ("echo '{'", "results could not be read: syft's output cannot be read"),
        ("true", "results could not be read: syft's output cannot be read"),
        ("head -c 100000000 /dev/zero", "syft wrote more than"),
        ("head -c 100000000 /dev/zero >&2; exit 1", "syft failed (exit code 1)"),
    ],
)
async def test_a_syft_that_fails_is_told(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any, script: str, said: str
) -> None:
    scanner = await open_scanner(path=fake_syft(script))

    assert said in await scanner.failed(registry, GOOD)
    assert left(scanner) == []


async def test_a_syft_that_wants_too_much_memory_gets_none(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any
) -> None:
    path = fake_syft("exec python3 -c 'bytearray(8 * 1024**3)'")
    scanner = await open_scanner(path=f"{path}:{os.defpath}")

    assert "MemoryError" in await scanner.failed(registry, GOOD)


async def test_syft_sees_nothing_of_our_environment(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any
) -> None:
    scanner = await open_scanner(path=fake_syft("env | cut -d= -f1 | sort >&2; exit 1"))

    reason = await scanner.failed(registry, GOOD)
    of_shell_and_python = {"PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}
    names = set(reason.partition(": ")[2].split()) - of_shell_and_python
    assert names == {"HOME", "PATH", "SYFT_CHECK_FOR_APP_UPDATE", "TMPDIR"}


async def test_syft_gains_no_rights_and_has_no_network_where_it_can_be_kept_away(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any
) -> None:
    look = "grep -h NoNewPrivs /proc/self/status; tail -n +3 /proc/net/dev | cut -d: -f1"
    scanner = await open_scanner(path=fake_syft(f"({look}) >&2; exit 1"))

    said = (await scanner.failed(registry, GOOD)).partition(": ")[2].split()
    assert said[:2] == ["NoNewPrivs:", "1"]
    probe = await asyncio.create_subprocess_exec("unshare", "-Un", "true", stderr=DEVNULL)
    if await probe.wait() == 0:
        assert said[2:] == ["lo"]


async def test_the_reason_tells_no_path_of_this_machine(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any
) -> None:
    scanner = await open_scanner(path=fake_syft('echo "cannot read $2" >&2; exit 1'))

    assert str(scanner.folder) not in await scanner.failed(registry, GOOD)


async def test_names_and_links_that_lead_out_of_a_layer_reach_nothing(
    real_scanner: Client, registry: FakeRegistry, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "status").write_bytes(dpkg_status("Package: stolen\nVersion: 1\n"))
    climbing = "../" * 12 + str(outside)
    wicked = [
        tar_of(
            {
                f"{climbing}/written": b"x",
                f"{outside}/absolute": b"x",
                "var/lib/../../../../escaped": b"x",
            }
        ),
        tar_of_members(
            member("var/lib/dpkg", tarfile.SYMTYPE, str(outside)),
            member("etc/os-release", tarfile.SYMTYPE, "/etc/hostname"),
            member("dev/disk", tarfile.BLKTYPE),
            member("hard", tarfile.LNKTYPE, "/etc/passwd"),
            member("loop", tarfile.SYMTYPE, "loop"),
        ),
    ]
    image = debian_image(BASE_FILES, layers=wicked)
    reference = registry.put(image, "team/app:1.0")

    await real_scanner.submit(reference, image.digest)
    record = await real_scanner.finished(image.digest)
    assert {path.name for path in outside.iterdir()} == {"status"}
    assert left(real_scanner) == []
    assert found(tmp_path, "escaped") == []
    if record["analysis_status"] == "analyzed":
        rows = await real_scanner.rows(reference, image.digest)
        assert "stolen" not in str(rows)
        assert "vulnerability_data_unavailable" in {row[2] for row in rows}


async def test_a_config_that_is_none_fails_the_analysis(
    scanner: Client, registry: FakeRegistry
) -> None:
    image = image_of([tar_of({"a": b""})], config={"User": 0})

    assert "the image's config cannot be read" in await scanner.failed(registry, image)


async def test_a_manifest_that_climbs_out_is_refused(
    scanner: Client, registry: FakeRegistry
) -> None:
    body = GOOD.manifest.replace(b"sha256:", b"sha256:../../", 1)
    image = Content(GOOD.media_type, body, GOOD.blobs)
    reference = registry.put(image, "team/app:1.0")

    status, answered = await scanner.submit(reference, digest_of(body))
    if status == 200:
        await scanner.finished(digest_of(body))
        answered = await scanner.reason(reference)
    assert "sha256" in str(answered).lower()
    assert left(scanner) == []


async def test_layers_that_lack_a_blob_are_told(scanner: Client, registry: FakeRegistry) -> None:
    registry.fault("blobs", answer(404, "BLOB_UNKNOWN"))

    assert "could not be pulled" in await scanner.failed(registry, GOOD)
    assert left(scanner) == []


async def test_while_analyses_run_the_loop_answers(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any
) -> None:
    scanner = await open_scanner(path=fake_syft("sleep 1; exit 1"))
    reference = registry.put(GOOD, "team/app:1.0")
    await scanner.submit(reference, GOOD.digest)

    async with asyncio.timeout(10):
        for _ in range(50):
            assert (await scanner.get("/health"))[0] == 200
    await scanner.finished(GOOD.digest)
