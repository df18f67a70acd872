"""A registry, the scanner over real HTTP, and a client that knows Engine's API."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.scanner.settings import ScannerSettings
from services.scanner.wiring import run_scanner
from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.limits import Timeouts
from shared.domain.reference import ImageReference
from shared.domain.rules import RegistryRule, Rules
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry

DONE = ("analyzed", "analysis_failed")
STATUS = {"path": "/var/lib/dpkg/status", "layerID": "@LAYER@"}
LISTING = json.dumps(
    {
        "artifacts": [
            {
                "name": name,
                "version": version,
                "type": "deb",
                "locations": [STATUS | {"annotations": {"evidence": "primary"}}],
            }
            for name, version in (("base-files", "12.4+deb12u15"), ("netbase", "6.4"))
        ],
        "distro": {"id": "debian", "versionID": "12"},
        "source": {"metadata": {"imageSize": 1024}},
    }
)
LISTED = (
    """layer=$(grep -aohr 'ids": ."sha256:[0-9a-f]*' "${1#oci-dir:}" | grep -o 'sha256.*')\n"""
    f"""echo '{LISTING}' | sed "s/@LAYER@/$layer/g" """
)
"""Syft about the image GOOD of test_images.py; its one layer is that of whatever it is asked."""


def waiting_for(go: Path, then: str) -> str:
    """A script of a syft that does nothing until there is the file `go`."""
    return f"while [ ! -e {go} ]; do sleep 0.05; done; {then}"


class Client:
    """Engine's API as a person with curl sees it: (status, body)."""

    def __init__(self, url: str, session: aiohttp.ClientSession, folder: Path) -> None:
        self.url = url
        self.session = session
        self.folder = folder
        """The scanner's state."""

    async def call(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        async with self.session.request(method, f"{self.url}{path}", **how) as response:
            if "json" in response.content_type:
                return response.status, await response.json()
            return response.status, await response.text()

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        return await self.call("GET", path, params=query)

    async def submit(
        self,
        reference: ImageReference,
        digest: str | None = None,
        *,
        force: bool = False,
        dockerfile: bytes | None = None,
    ) -> tuple[int, Any]:
        body = {"tag": reference.tagged}
        if digest:
            body["digest"] = digest
        if dockerfile is not None:
            body["dockerfile"] = base64.b64encode(dockerfile).decode()
        query = {"force": "true"} if force else {}
        return await self.call("POST", "/v1/images", json=body, params=query)

    async def finished(self, digest: str) -> dict[str, Any]:
        """The image's record once its analysis is over."""
        async with asyncio.timeout(100):
            while True:
                status, body = await self.get(f"/v1/images/{digest}")
                assert status == 200, body
                if body[0]["analysis_status"] in DONE:
                    record: dict[str, Any] = body[0]
                    return record
                await asyncio.sleep(0.05)

    async def analysed(
        self, registry: FakeRegistry, content: Content, name: str = "team/app:1.0", **how: Any
    ) -> ImageReference:
        """Push, submit and have it analysed."""
        reference = registry.put(content, name)
        status, body = await self.submit(reference, content.digest, **how)
        assert status == 200, body
        record = await self.finished(content.digest)
        assert record["analysis_status"] == "analyzed", await self.reason(reference)
        return reference

    async def reason(self, reference: ImageReference) -> str:
        """Why its analysis failed."""
        status, body = await self.get(
            "/v1/events",
            resource_type="image_tag",
            resource_id=reference.tagged,
            level="error",
        )
        assert status == 200
        return str(body["results"][0]["event"]["details"]["msg"]) if body["results"] else ""

    async def failed(
        self, registry: FakeRegistry, content: Content, name: str = "team/app:1.0"
    ) -> str:
        """Push, submit, and the reason of its failure."""
        reference = registry.put(content, name)
        status, body = await self.submit(reference, content.digest)
        assert status == 200, body
        record = await self.finished(content.digest)
        assert record["analysis_status"] == "analysis_failed"
        return await self.reason(reference)

    async def check(self, reference: ImageReference, digest: str, **query: str) -> tuple[int, Any]:
        return await self.get(f"/v1/images/{digest}/check", **({"tag": reference.tagged} | query))

    async def entry(self, reference: ImageReference, digest: str, **query: str) -> dict[str, Any]:
        """The one evaluation of a check that was answered."""
        status, body = await self.check(reference, digest, **query)
        assert status == 200, body
        found: dict[str, Any] = body[0][digest][reference.tagged][0]
        return found

    async def rows(self, reference: ImageReference, digest: str) -> list[list[Any]]:
        """Trigger id, gate, trigger, output, action of each finding."""
        entry = await self.entry(reference, digest)
        parts = entry["detail"]["result"]["result"].values()
        (table,) = (part["result"] for part in parts if isinstance(part, dict))
        return [row[2:7] for row in table["rows"]]


Open = Callable[..., Awaitable[Client]]

PATIENT = Timeouts(connect=30, head=30, manifest=30, index=30, token=30, idle=30)
"""For a registry on a busy machine: how long one is waited for is not what is asked here."""


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as opened:
        yield opened


@asynccontextmanager
async def opened_scanner(
    registry: FakeRegistry, folder: Path, *, clock: Clock | None = None, **changes: Any
) -> AsyncIterator[Client]:
    """A scanner on a free port whose rules name `registry`."""
    rules = Rules(registries=(RegistryRule(host=registry.host, insecure=True),))
    settings = ScannerSettings(imagegate_state=folder, imagegate_scanner_port=0, **changes)
    async with AsyncExitStack() as stack:
        images = await stack.enter_async_context(
            RegistryClient(rules=lambda: rules, clock=SystemClock(), timeouts=PATIENT)
        )
        running = await stack.enter_async_context(
            run_scanner(settings, registry=images, clock=clock)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Client(running.url, session, settings.folder)


@pytest.fixture
async def open_scanner(registry: FakeRegistry, tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def opened(**changes: Any) -> Client:
            return await stack.enter_async_context(
                opened_scanner(registry, tmp_path / "state", **changes)
            )

        yield opened


@pytest.fixture
def fake_syft(tmp_path: Path) -> Callable[[str], str]:
    """Makes a `syft` of a shell script; the folder that PATH has to name."""

    def make(script: str) -> str:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "syft"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(folder)

    return make


@pytest.fixture
async def scanner(open_scanner: Open, fake_syft: Callable[[str], str]) -> Client:
    """With a syft that finds the packages of GOOD in every image, at once."""
    return await open_scanner(path=fake_syft(LISTED))


@pytest.fixture
async def real_scanner(open_scanner: Open) -> Client:
    """With the real Syft."""
    return await open_scanner()
