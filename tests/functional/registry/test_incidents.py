"""Incidents of other products as tests: docs/design/field-notes.md 3b, rows 2, 3, 15, 16, 17."""

import asyncio
import json
from pathlib import Path

import pytest

from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.images import OCI_INDEX, OCI_MANIFEST, Content, encode, index_of, tiny_image
from tests.fakes.names import FakeNames
from tests.fakes.registry import FakeRegistry, Login, answer, basic, collect, endless, redirect
from tests.functional.registry.conftest import OpenClient, rules_naming
from tests.functional.registry.test_login import SECRET, write_credentials

METADATA = ("169.254.169.254", "metadata.google.internal", "[fd00:ec2::254]:80")
PRIVATE = ("localhost:5000", "10.1.2.3:5000", "192.168.0.1:80", "[::1]:5000", "127.0.0.1:9")


async def test_row_2_a_registry_that_alternates_digests_is_asked_once_and_read_by_that_digest(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    """CVE-2022-47633, CVE-2023-47630."""
    good, bad = tiny_image(), tiny_image(config={"User": "root"})
    reference = registry.put(good, "team/app:1")
    registry.alternate(reference, good, bad)
    resolved = await client.resolve(reference)
    assert resolved.digest == good.digest
    assert len(registry.requests) == 1
    _, body = await client.manifest(reference, resolved.digest)
    assert body == good.manifest
    assert registry.requests[-1].path.endswith(good.digest)


async def test_row_3_a_body_that_is_not_its_digest_is_untrusted_each_time_and_kept_nowhere(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    """CVE-2023-47630."""
    image, index = tiny_image(), index_of((tiny_image(), "linux/amd64"))
    reference = registry.put(image, "team/app:1")
    registry.put(index, "team/app:2")
    for content in (image, index):
        registry.replace_body(content.digest, tiny_image(config={"User": "root"}).manifest)
    for _ in range(2):
        with pytest.raises(PermanentFailure, match="something else under this digest") as caught:
            await client.manifest(reference, image.digest)
        assert caught.value.kind is ErrorKind.UNTRUSTED
        with pytest.raises(PermanentFailure, match="something else under this digest"):
            await client.index(reference, index.digest, asked_at=0)
    registry.put(image, "team/app:1")
    assert (await client.manifest(reference, image.digest))[1] == image.manifest


@pytest.mark.parametrize("host", [*METADATA, *PRIVATE, "registry.corp", "2130706433:80", "127.1"])
async def test_row_15_no_request_leaves_for_addresses_that_the_rules_do_not_name(
    open_client: OpenClient, host: str
) -> None:
    """CVE-2026-22039 and its class."""
    names = FakeNames(
        {
            "metadata.google.internal": [["169.254.169.254"]],
            "localhost": [["127.0.0.1", "::1"]],
            "registry.corp": [["10.0.0.5"]],
        }
    )
    client = await open_client(Rules(), resolver=names)
    with pytest.raises(PermanentFailure) as caught:
        await client.resolve(parse_reference(f"{host}/team/app:1"))
    assert caught.value.kind is ErrorKind.REFUSED


@pytest.mark.parametrize("host", METADATA)
async def test_row_15_metadata_addresses_are_not_asked_even_when_the_rules_name_them(
    open_client: OpenClient, host: str
) -> None:
    names = FakeNames({"metadata.google.internal": [["169.254.169.254"]]})
    rules = Rules(registries=(RegistryRule(host=host, insecure=True),))
    client = await open_client(rules, resolver=names)
    with pytest.raises(PermanentFailure, match="never asked") as caught:
        await client.resolve(parse_reference(f"{host}/team/app:1"))
    assert caught.value.kind is ErrorKind.REFUSED


async def test_row_15_a_name_that_turns_to_a_private_address_is_refused_when_it_does(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    """DNS rebinding: the address that was checked is the one that is connected to."""
    name = f"rebinding.test:{registry.host.rpartition(':')[2]}"
    names = FakeNames({"rebinding.test": [["127.0.0.1"], ["169.254.169.254"]]})
    named = Rules(registries=(RegistryRule(host=name, insecure=True),))
    client = await open_client(named, resolver=names)
    reference = parse_reference(f"{name}/team/app:1")
    registry.fault("manifests", answer(500, Connection="close"))
    with pytest.raises(TransientFailure):
        await client.resolve(reference)
    with pytest.raises(PermanentFailure, match="never asked"):
        await client.resolve(reference)
    assert names.asked == ["rebinding.test"] * 2
    assert len(registry.requests) == 1


async def test_row_15_addresses_that_may_not_be_asked_are_left_out_of_an_answer(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    port = registry.host.rpartition(":")[2]
    names = FakeNames({"mixed.test": [["169.254.169.254", "127.0.0.1"]]})
    rules = Rules(registries=(RegistryRule(host=f"mixed.test:{port}", insecure=True),))
    client = await open_client(rules, resolver=names)
    registry.put(tiny_image(), "team/app:1")
    resolved = await client.resolve(parse_reference(f"mixed.test:{port}/team/app:1"))
    assert resolved.digest == tiny_image().digest


@pytest.mark.parametrize(
    "place",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://metadata.google.internal/",
        "https://10.0.0.1/x",
        "https://localhost/x",
        "https://[::ffff:169.254.169.254]/x",
        "https://2852039166/x",
    ],
)
async def test_row_15_a_registry_that_redirects_there_is_not_followed(
    registry: FakeRegistry, open_client: OpenClient, place: str
) -> None:
    names = FakeNames(
        {"metadata.google.internal": [["169.254.169.254"]], "localhost": [["127.0.0.1"]]}
    )
    client = await open_client(rules_naming(registry), resolver=names)
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    registry.fault("blobs", redirect(place))
    with pytest.raises(PermanentFailure) as caught:
        await collect(client.blob(reference, next(iter(image.blobs)), max_bytes=10_000))
    assert caught.value.kind is ErrorKind.REFUSED


@pytest.mark.parametrize(
    "realm",
    [
        "{other}/token",
        "https://auth.docker.io/token",
        "http://{host}@{other_host}/token",
        "http://ada@{host}/token",
        "https://{host}/token",
        "ftp://{host}/token",
        "/token",
        "http://169.254.169.254/token",
        "http://{host}.evil.test/token",
        "",
    ],
)
async def test_row_16_a_token_realm_elsewhere_is_refused_and_gets_no_credentials(
    registry: FakeRegistry,
    other: FakeRegistry,
    open_client: OpenClient,
    tmp_path: Path,
    realm: str,
) -> None:
    """CVE-2025-27403."""
    file = write_credentials(tmp_path / "config.json", registry.host, "ada", SECRET)
    client = await open_client(rules_naming(registry, credentials=file), resolver=FakeNames({}))
    named = realm.replace("{other}", other.url).replace("{other_host}", other.host)
    named = named.replace("{host}", registry.host) or '"'
    registry.login = Login(realm=named)
    with pytest.raises(PermanentFailure, match="token") as caught:
        await client.resolve(registry.put(tiny_image(), "team/app:1"))
    assert caught.value.kind is ErrorKind.REFUSED
    assert other.requests == []
    assert len(registry.requests) == 1


async def test_row_16_a_token_realm_that_the_rules_name_is_followed(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    file = write_credentials(tmp_path / "config.json", registry.host, "ada", SECRET)
    rules = Rules(
        registries=(
            RegistryRule(host=registry.host, insecure=True, credentials=file),
            RegistryRule(host=other.host, insecure=True),
        )
    )
    client = await open_client(rules)
    registry.login = Login(realm=f"{other.url}/token")
    registry.tokens = other.tokens
    await client.resolve(registry.put(tiny_image(), "team/app:1"))
    assert [seen.authorization for seen in other.requests] == [basic("ada", SECRET)]


async def test_row_16_a_token_service_that_redirects_is_not_followed(
    registry: FakeRegistry, other: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login()
    registry.fault("token", redirect(f"{other.url}/token"))
    with pytest.raises(PermanentFailure) as caught:
        await client.resolve(registry.put(tiny_image(), "team/app:1"))
    assert caught.value.kind is ErrorKind.REFUSED
    assert other.requests == []


async def test_row_17_a_manifest_of_100_mb_is_left_at_the_limit(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    """CVE-2023-42813 and its kin; once with a length, once without."""
    digest = tiny_image().digest
    reference = registry.put(tiny_image(), "team/app:1")
    registry.replace_body(digest, b" " * 5_000_000)
    with pytest.raises(PermanentFailure, match="more than 4194304 bytes") as caught:
        await client.manifest(reference, digest)
    assert caught.value.kind is ErrorKind.UNTRUSTED
    registry.fault("manifests", endless(content_type=OCI_MANIFEST))
    with pytest.raises(PermanentFailure, match="more than 4194304 bytes"):
        await client.manifest(reference, digest)


async def test_row_17_10_000_layers_are_untrusted(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    manifest = json.loads(tiny_image().manifest)
    manifest["layers"] *= 10_000
    content = Content(OCI_MANIFEST, encode(manifest))
    with pytest.raises(PermanentFailure, match="512 layers") as caught:
        await client.manifest(registry.put(content, "team/app:1"), content.digest)
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_row_17_an_index_of_10_000_entries_is_untrusted(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    index = index_of(*[(tiny_image(), "linux/amd64")] * 10_000)
    content = Content(OCI_INDEX, index.manifest)
    with pytest.raises(PermanentFailure, match="128 entries") as caught:
        await client.index(registry.put(content, "team/app:1"), content.digest, asked_at=0)
    assert caught.value.kind is ErrorKind.UNTRUSTED
    assert len(registry.requests) == 1


async def test_row_17_an_index_nested_20_deep_is_untrusted_after_three(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    content = tiny_image()
    for _ in range(20):
        content = index_of((content, "linux/amd64"))
    with pytest.raises(PermanentFailure, match="more than 3 deep") as caught:
        await client.index(registry.put(content, "team/app:1"), content.digest, asked_at=0)
    assert caught.value.kind is ErrorKind.UNTRUSTED
    assert len(registry.requests) == 3


async def test_row_17_an_index_of_many_indexes_is_untrusted_before_they_are_fetched(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    inner = [index_of((tiny_image(config={"User": str(n)}), "linux/amd64")) for n in range(20)]
    content = index_of(*[(each, "linux/amd64") for each in inner])
    with pytest.raises(PermanentFailure, match="more than 16 indexes") as caught:
        await client.index(registry.put(content, "team/app:1"), content.digest, asked_at=0)
    assert caught.value.kind is ErrorKind.UNTRUSTED
    assert len(registry.requests) == 1


async def test_row_17_an_error_body_without_end_is_left(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.fault("manifests", endless(content_type="application/json", status=500))
    async with asyncio.timeout(10):
        with pytest.raises(TransientFailure, match="answered 500"):
            await client.manifest(registry.put(tiny_image(), "app:1"), tiny_image().digest)
