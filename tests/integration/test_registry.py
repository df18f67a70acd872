"""The registry client against Debian's docker-registry, filled by skopeo."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.limits import Timeouts
from shared.domain.errors import ErrorKind, NotAnImage, PermanentFailure, TransientFailure
from shared.domain.pointer import Manifest
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from shared.ports.content import ImageContent
from shared.ports.resolver import DigestResolver
from shared.runtime.clock import SystemClock
from tests.fakes.images import (
    OCI_MANIFEST,
    Content,
    bill_of_materials,
    helm_chart,
    index_of,
    signature,
    tiny_image,
)
from tests.fakes.registry import collect
from tests.servers.registry import PASSWORD, USER, RegistryServer

pytestmark = pytest.mark.servers

IMAGE = tiny_image()
ARM = tiny_image(platform="linux/arm64")
INDEX = index_of((IMAGE, "linux/amd64"), (ARM, "linux/arm64"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with RegistryServer(tmp_path_factory.mktemp("registry") / "open") as started:
        started.push(IMAGE, "team/app:1.0")
        started.push(INDEX, "team/many:1.0")
        yield started


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with RegistryServer(tmp_path_factory.mktemp("registry") / "locked", locked=True) as started:
        started.push(IMAGE, "team/app:1.0")
        yield started


@asynccontextmanager
async def client_of(
    server: RegistryServer, *, credentials: str = "", head: float = 30.0
) -> AsyncIterator[RegistryClient]:
    entry = RegistryRule(host=server.host, insecure=True, credentials=credentials)
    rules = Rules(registries=(entry,))
    timeouts = Timeouts(connect=30, head=head)
    async with RegistryClient(
        rules=lambda: rules, clock=SystemClock(), timeouts=timeouts
    ) as client:
        yield client


@pytest.fixture
async def client(server: RegistryServer) -> AsyncIterator[RegistryClient]:
    async with client_of(server) as opened:
        yield opened


async def test_a_pushed_image_is_resolved_by_tag_and_by_digest(
    server: RegistryServer, client: RegistryClient
) -> None:
    resolver: DigestResolver = client
    for name in ("team/app:1.0", f"team/app@{IMAGE.digest}"):
        resolved = await resolver.resolve(parse_reference(f"{server.host}/{name}"))
        assert (resolved.digest, resolved.is_index) == (IMAGE.digest, False)


@pytest.mark.parametrize("content", [helm_chart(), signature(), bill_of_materials()])
async def test_what_is_pushed_and_is_no_image_is_resolved_and_then_told_apart(
    server: RegistryServer, client: RegistryClient, content: Content
) -> None:
    reference = await asyncio.to_thread(server.put, content, "team/thing:1.0")
    resolved = await client.resolve(reference)
    assert (resolved.digest, resolved.is_index) == (content.digest, False)
    with pytest.raises(NotAnImage):
        await client.manifest(reference, content.digest)


async def test_a_pushed_index_is_resolved_and_read(
    server: RegistryServer, client: RegistryClient
) -> None:
    reference = parse_reference(f"{server.host}/team/many:1.0")
    resolved = await client.resolve(reference)
    assert (resolved.digest, resolved.is_index) == (INDEX.digest, True)
    index = await client.index(reference, resolved.digest, asked_at=1)
    assert index.manifests == (
        Manifest(IMAGE.digest, "linux", "amd64", exact=True),
        Manifest(ARM.digest, "linux", "arm64", exact=True),
    )


async def test_manifest_config_and_layer_of_a_pushed_image_are_read(
    server: RegistryServer, client: RegistryClient
) -> None:
    content: ImageContent = client
    reference = parse_reference(f"{server.host}/team/app:1.0")
    assert await content.manifest(reference, IMAGE.digest) == (OCI_MANIFEST, IMAGE.manifest)
    for digest, body in IMAGE.blobs.items():
        assert await collect(content.blob(reference, digest, max_bytes=len(body))) == body


@pytest.mark.parametrize("name", ["team/app:2.0", "team/nothing:1.0"])
async def test_what_was_never_pushed_is_not_found(
    server: RegistryServer, client: RegistryClient, name: str
) -> None:
    with pytest.raises(PermanentFailure) as caught:
        await client.resolve(parse_reference(f"{server.host}/{name}"))
    assert caught.value.kind is ErrorKind.NOT_FOUND


async def test_a_registry_that_is_stopped_is_transient_and_then_well_again(
    server: RegistryServer, client: RegistryClient
) -> None:
    reference = parse_reference(f"{server.host}/team/app:1.0")
    async with client_of(server, head=1) as hurried:
        with server.paused():
            async with asyncio.timeout(10):
                with pytest.raises(TransientFailure):
                    await hurried.resolve(reference)
    assert (await client.resolve(reference)).digest == IMAGE.digest


async def test_a_registry_with_a_password_is_pulled_from_with_it(
    locked: RegistryServer, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    login = {"username": USER, "password": PASSWORD}
    file.write_text(json.dumps({"auths": {locked.host: login}}))
    reference = parse_reference(f"{locked.host}/team/app:1.0")
    async with client_of(locked, credentials=str(file)) as client:
        assert (await client.resolve(reference)).digest == IMAGE.digest
        digest, body = next(iter(IMAGE.blobs.items()))
        assert await collect(client.blob(reference, digest, max_bytes=len(body))) == body


async def test_a_registry_with_a_password_is_unauthorised_without_it(
    locked: RegistryServer, tmp_path: Path
) -> None:
    reference = parse_reference(f"{locked.host}/team/app:1.0")
    file = tmp_path / "config.json"
    login = {"username": USER, "password": "wrong"}
    file.write_text(json.dumps({"auths": {locked.host: login}}))
    for credentials in ("", str(file)):
        async with client_of(locked, credentials=credentials) as client:
            with pytest.raises(PermanentFailure) as caught:
                await client.resolve(reference)
            assert caught.value.kind is ErrorKind.UNAUTHORISED


async def test_all_tags_of_a_repository_are_listed(
    server: RegistryServer, client: RegistryClient
) -> None:
    for tag in ("9.0", "9.1", "latest"):
        await asyncio.to_thread(server.push, IMAGE, f"team/tagged:{tag}")
    reference = parse_reference(f"{server.host}/team/tagged")
    listed = [tag async for page in client.tags(reference) for tag in page]
    assert sorted(listed) == ["9.0", "9.1", "latest"]
    with pytest.raises(PermanentFailure, match="NAME_UNKNOWN"):
        await anext(aiter(client.tags(parse_reference(f"{server.host}/team/nothing"))))


async def test_tags_of_a_locked_registry_want_a_login(locked: RegistryServer) -> None:
    reference = parse_reference(f"{locked.host}/team/app")
    async with client_of(locked) as client:
        with pytest.raises(PermanentFailure) as raised:
            await anext(aiter(client.tags(reference)))
    assert raised.value.kind is ErrorKind.UNAUTHORISED
