"""Blobs of images that are analysed at the same time: pulled once, gone with the last of them."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from services.scanner.analysis.blobs import Blobs
from services.scanner.analysis.manifest import Descriptor
from services.scanner.records import AnalysisFailed
from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import PermanentFailure
from shared.domain.reference import ImageReference
from shared.domain.rules import RegistryRule, Rules
from shared.runtime.clock import SystemClock
from tests.fakes.registry import FakeRegistry, answer
from tests.functional.scanner.conftest import Client, Open, waiting_for
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image, tar_of
from tests.waiting import eventually

IMAGE = debian_image(BASE_FILES, NETBASE)
(DIGEST, BODY), *_ = IMAGE.blobs.items()
BLOB = Descriptor(DIGEST, len(BODY))


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


class Slow:
    """A blob of which half is sent until it is told to go on."""

    def __init__(self) -> None:
        self.on = asyncio.Event()
        self.asked = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        response = web.StreamResponse()
        response.content_length = len(BODY)
        await response.prepare(request)
        await response.write(BODY[: len(BODY) // 2])
        await self.on.wait()
        await response.write(BODY[len(BODY) // 2 :])
        return response


@pytest.fixture
async def blobs(registry: FakeRegistry, tmp_path: Path) -> AsyncIterator[Blobs]:
    rules = Rules(registries=(RegistryRule(host=registry.host, insecure=True),))
    async with RegistryClient(rules=lambda: rules, clock=SystemClock()) as content:
        yield Blobs(content=content, folder=tmp_path)
    assert files(tmp_path) == []


@pytest.fixture
def reference(registry: FakeRegistry) -> ImageReference:
    return registry.put(IMAGE, "team/app:1.0")


def holding(
    blobs: Blobs, reference: ImageReference, blob: Descriptor = BLOB
) -> tuple[asyncio.Task[bytes], asyncio.Event]:
    """Somebody who needs the blob, and lets go of it when told to; what he read."""
    done = asyncio.Event()

    async def hold() -> bytes:
        async with blobs.held(reference, blob) as path:
            found = path.read_bytes()
            await done.wait()
            assert path.read_bytes() == found
            return found

    return asyncio.create_task(hold()), done


async def test_many_who_need_a_blob_pull_it_once_and_the_last_removes_it(
    blobs: Blobs, registry: FakeRegistry, reference: ImageReference, tmp_path: Path
) -> None:
    many = [holding(blobs, reference) for _ in range(5)]
    await eventually(lambda: any(not path.suffix for path in files(tmp_path)))
    for task, done in many:
        assert len(files(tmp_path)) == 1
        done.set()
        assert await task == BODY
    assert len(registry.asked("blobs")) == 1
    assert files(tmp_path) == []


async def test_who_comes_when_it_is_gone_pulls_it_again(
    blobs: Blobs, registry: FakeRegistry, reference: ImageReference
) -> None:
    for _ in range(2):
        async with blobs.held(reference, BLOB) as path:
            assert path.read_bytes() == BODY
    assert len(registry.asked("blobs")) == 2


async def test_half_a_blob_is_never_seen_and_who_is_cancelled_takes_nothing_from_the_others(
    blobs: Blobs, registry: FakeRegistry, reference: ImageReference
) -> None:
    slow = Slow()
    registry.fault("blobs", slow)
    first, _ = holding(blobs, reference)
    second, done = holding(blobs, reference)
    await eventually(lambda: slow.asked == 1)
    first.cancel()
    await asyncio.wait({first})
    assert first.cancelled()

    slow.on.set()
    done.set()
    assert await second == BODY
    assert slow.asked == 1


async def test_when_all_are_cancelled_the_pull_ends_and_nothing_is_left(
    blobs: Blobs, registry: FakeRegistry, reference: ImageReference, tmp_path: Path
) -> None:
    slow = Slow()
    registry.fault("blobs", slow)
    tasks = [holding(blobs, reference)[0] for _ in range(2)]
    await eventually(lambda: slow.asked == 1)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert files(tmp_path) == []


async def test_who_may_not_pull_it_takes_nothing_from_who_may(
    blobs: Blobs, registry: FakeRegistry, reference: ImageReference
) -> None:
    mine = registry.put(IMAGE, "other/app:1.0")
    refuse, deny = asyncio.Event(), answer(403)

    async def only_the_other(request: web.Request) -> web.StreamResponse:
        if "/team/" not in request.path:
            return web.Response(body=BODY)
        await refuse.wait()
        return await deny(request)

    registry.fault("blobs", only_the_other)
    first, _ = holding(blobs, reference)
    await eventually(lambda: len(registry.asked("/team/")) == 1)
    second, done = holding(blobs, mine)
    refuse.set()
    with pytest.raises(PermanentFailure):
        await first
    done.set()
    assert await second == BODY


async def test_another_body_is_refused_for_all(
    blobs: Blobs, registry: FakeRegistry, reference: ImageReference
) -> None:
    registry.replace_body(DIGEST, bytes(len(BODY)))
    tasks = [holding(blobs, reference)[0] for _ in range(2)]
    for task in tasks:
        with pytest.raises(PermanentFailure, match="something else under this digest"):
            await task


@pytest.mark.parametrize("size", [len(BODY) - 1, len(BODY) + 1])
async def test_a_manifest_that_lies_about_a_size_fails_alone(
    blobs: Blobs, reference: ImageReference, size: int
) -> None:
    lying, _ = holding(blobs, reference, Descriptor(DIGEST, size))
    honest, done = holding(blobs, reference)
    done.set()
    assert await honest == BODY
    with pytest.raises((AnalysisFailed, PermanentFailure)):
        await lying


async def test_a_folder_that_cannot_be_written_is_told(
    registry: FakeRegistry, reference: ImageReference, tmp_path: Path
) -> None:
    rules = Rules(registries=(RegistryRule(host=registry.host, insecure=True),))
    async with RegistryClient(rules=lambda: rules, clock=SystemClock()) as content:
        gone = Blobs(content=content, folder=tmp_path / "gone")
        with pytest.raises(AnalysisFailed, match="cannot be written to the scanner's folder"):
            async with gone.held(reference, BLOB):
                pass


async def test_images_that_share_a_layer_pull_it_once(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Callable[[str], str], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    path = fake_syft(waiting_for(go, "exit 1"))
    scanner: Client = await open_scanner(path=path, imagegate_scanner_analyses=3)
    shared = tar_of({"usr/share/base": b"x" * 100_000})
    images = [
        debian_image(BASE_FILES, layers=[shared, tar_of({"n": bytes([number])})])
        for number in range(3)
    ]
    for number, image in enumerate(images):
        reference = registry.put(image, f"team/app-{number}:1.0")
        await scanner.submit(reference, image.digest)
    running = scanner.folder / "scratch"
    await eventually(lambda: len(list(running.glob("*/home"))) == 3, within=60)
    go.touch()
    for image in images:
        await scanner.finished(image.digest)

    pulled = [seen.path.rpartition("/")[2] for seen in registry.asked("/blobs/")]
    assert sorted(pulled) == sorted({digest for image in images for digest in image.blobs})
    assert files(running) == []


async def test_who_is_cancelled_while_the_file_is_opened_leaves_none_open(
    blobs: Blobs, reference: ImageReference, tmp_path: Path
) -> None:
    part = tmp_path / f"{DIGEST.removeprefix('sha256:')}-0.part"
    gate = tmp_path.with_name(f"{tmp_path.name}.gate")
    os.mkfifo(part)  # to open it takes until somebody reads it
    os.link(part, gate)
    task, _ = holding(blobs, reference)
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.sleep(0.1)
    reader = os.open(gate, os.O_RDONLY | os.O_NONBLOCK)
    await asyncio.wait({task})
    await asyncio.to_thread(int)  # the thread that opened it has let go of it
    gc.collect()  # a file that nobody closed would warn, and fail the test
    os.close(reader)
    gate.unlink()
    assert task.cancelled()
