"""ANCHORE_URL from the built-in scanner to an Anchore and back, as docs/operations.md says: what
the one said counts until the other has judged, nobody waits, then the other's word counts."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from services.worker.settings import WorkerSettings
from shared.adapters.memory.queue import MemoryQueue
from shared.runtime.clock import SystemClock
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import opened_scanner
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.house import House, house, memory_backends
from tests.waiting import eventually

GOOD = debian_image(BASE_FILES, NETBASE)
ROOT = debian_image(BASE_FILES, NETBASE, config={"User": "root"})
PATIENCE = 60.0
EACH_SECOND = WorkerSettings(imagegate_policy_every=1.0)


async def test_verdicts_go_over_to_another_server_and_back_and_nobody_waits(
    tmp_path: Path,
) -> None:
    backends = memory_backends()
    async with FakeRegistry() as registry, opened_scanner(registry, tmp_path / "own") as own:
        good = f"{registry.put(GOOD, 'team/good:1')}@{GOOD.digest}"
        root = f"{registry.put(ROOT, 'team/root:1')}@{ROOT.digest}"

        def home(url: str = "") -> AbstractAsyncContextManager[House]:
            queue = MemoryQueue(clock=SystemClock())  # a worker that ends has drained its own
            return house(
                tmp_path,
                backends=msgspec.structs.replace(backends, queue=queue),
                registries=[registry.host],
                worker_settings=EACH_SECOND,
                anchore_url=url,
            )

        async with home(own.url) as at:
            assert (await at.settled(good, within=PATIENCE)).allowed
            assert (await at.settled(root, within=PATIENCE)).code == 403
        async with home() as at:
            at.anchore.store.decide(GOOD.digest, "stop")
            await says(at, {good: False, root: True})
        async with home(own.url) as at:
            await says(at, {good: True, root: False})


async def says(at: House, allowed: dict[str, bool]) -> None:
    """The server's own word at last, and never that it is pending."""

    async def all_said() -> bool:
        answers = {image: await at.review(image) for image in allowed}
        assert all(answer.code != 429 for answer in answers.values())
        return {image: answer.allowed for image, answer in answers.items()} == allowed

    await eventually(all_said, within=PATIENCE)
