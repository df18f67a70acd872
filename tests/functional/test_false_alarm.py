"""The false alarm that docs/operations.md names, CVE-2023-45853 of Debian's zlib1g, from records to
pod: it stops, and either of the ways that the docs give lets it run, and nothing else."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from services.worker.settings import WorkerSettings
from shared.domain.exceptions import exception_key
from shared.domain.signing import Kind
from shared.runtime.clock import SystemClock
from tests.fakes.exceptions import exception
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry
from tests.fakes.sealing import PlainSealer
from tests.functional.scanner.conftest import Client, opened_scanner
from tests.functional.scanner.feeding import about, feed
from tests.functional.scanner.images import BASE_FILES, OPENSSH, debian_image
from tests.house import House, house
from tests.unit.scanner.samples import baseline
from tests.waiting import eventually

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
ZLIB = "Package: zlib1g\nSource: zlib\nVersion: 1:1.2.13.dfsg-1\n"
CVE = "CVE-2023-45853"
ALARM = f"{CVE}+zlib1g"
GOOD = debian_image(BASE_FILES, ZLIB)
BAD = debian_image(BASE_FILES, ZLIB, OPENSSH)
PATIENCE = 60.0


class Site:
    """A webhook and a worker, over the built-in scanner with the real Syft."""

    def __init__(self, home: House, scanner: Client, registry: FakeRegistry) -> None:
        self.home = home
        self.scanner = scanner
        self.registry = registry

    def image(self, content: Content, name: str) -> str:
        return f"{self.registry.put(content, name)}@{content.digest}"

    async def stops(self, image: str) -> str:
        """What a person reads."""
        answer = await self.home.settled(image, within=PATIENCE)
        assert answer.code == 403
        return answer.message

    async def runs(self, image: str) -> bool:
        return (await self.home.review(image)).allowed


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    feeds = folder / "feeds"
    await feed(feeds, about("zlib", CVE))
    async with (
        FakeRegistry() as registry,
        opened_scanner(registry, folder, imagegate_scanner_feed=feeds) as scanner,
        house(
            folder,
            registries=[registry.host],
            worker_settings=WorkerSettings(imagegate_policy_every=1.0),
            anchore_url=scanner.url,
        ) as home,
    ):
        yield Site(home, scanner, registry)


def docs_item() -> dict[str, Any]:
    """The whitelist's item, as the docs write it."""
    (written,) = re.findall(r"a whitelist in the policy, `(\{.*?\})`", DOCS.read_text())
    item: dict[str, Any] = json.loads(written)
    return item


async def test_a_whitelist_of_the_policy_lets_it_run(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        good, bad = at.image(GOOD, "team/good:1"), at.image(BAD, "team/bad:1")
        assert CVE in await at.stops(good)
        await at.stops(bad)
        policy = baseline()
        policy["whitelists"] = [
            {"id": "alarms", "name": "False alarms", "version": "1_0", "items": [docs_item()]}
        ]
        for mapping in policy["mappings"]:
            mapping["whitelist_ids"] = ["alarms"]
        status, record = await at.scanner.call("POST", "/v1/policies", json=policy)
        assert status == 200, record
        path = f"/v1/policies/{policy['id']}"
        assert (await at.scanner.call("PUT", path, json=record | {"active": True}))[0] == 200
        await eventually(lambda: at.runs(good), within=PATIENCE)
        assert "openssh-server" in await at.stops(bad)


async def test_an_exception_for_the_finding_lets_it_run(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        good, bad = at.image(GOOD, "team/good:1"), at.image(BAD, "team/bad:1")
        assert CVE in await at.stops(good)
        await at.stops(bad)
        clock = SystemClock()
        for name in ("good", "bad"):
            repository = f"{at.registry.host}/team/{name}"
            one = exception(name, now=clock.now(), image=repository, findings=(ALARM,))
            sealed = PlainSealer().seal(
                one,
                kind=Kind.EXCEPTION,
                key=exception_key(one.id),
                order=one.made_at,
                ends=one.expires,
            )
            await at.home.backends.exceptions.put(sealed, exception_id=one.id, ends=one.expires)
        await eventually(lambda: at.runs(good), within=PATIENCE)
        assert "openssh-server" in await at.stops(bad)
