"""What a tag, a digest and an index stand for."""

import asyncio

import pytest

from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.pointer import Manifest
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.images import DOCKER_MANIFEST, OCI_MANIFEST, index_of, tiny_image
from tests.fakes.registry import FakeRegistry, answer, hang, say
from tests.functional.registry.conftest import OpenClient, rules_naming


@pytest.mark.parametrize("docker", [False, True])
async def test_a_tag_is_resolved_with_one_head(
    registry: FakeRegistry, client: RegistryClient, docker: bool
) -> None:
    image = tiny_image(docker=docker)
    resolved = await client.resolve(registry.put(image, "team/app:1.0"))
    assert (resolved.digest, resolved.is_index) == (image.digest, False)
    (seen,) = registry.requests
    assert (seen.method, seen.path) == ("HEAD", "/v2/team/app/manifests/1.0")
    assert OCI_MANIFEST in seen.headers["Accept"]
    assert DOCKER_MANIFEST in seen.headers["Accept"]


@pytest.mark.parametrize("docker", [False, True])
async def test_an_index_is_told_from_an_image(
    registry: FakeRegistry, client: RegistryClient, docker: bool
) -> None:
    index = index_of((tiny_image(docker=docker), "linux/amd64"), docker=docker)
    resolved = await client.resolve(registry.put(index, "team/app:1.0"))
    assert (resolved.digest, resolved.is_index) == (index.digest, True)


async def test_a_reference_without_a_tag_is_asked_by_its_digest(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    image = tiny_image()
    registry.put(image, "team/app:1.0")
    by_digest = parse_reference(f"{registry.host}/team/app@{image.digest}")
    assert (await client.resolve(by_digest)).digest == image.digest
    assert registry.requests[0].path == f"/v2/team/app/manifests/{image.digest}"


async def test_a_reference_with_tag_and_digest_is_asked_by_its_tag(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    image, older = tiny_image(), tiny_image(config={"User": "1"})
    registry.put(image, "team/app:1.0")
    both = parse_reference(f"{registry.host}/team/app:1.0@{older.digest}")
    assert (await client.resolve(both)).digest == image.digest


async def test_a_registry_that_names_no_digest_is_asked_again_and_the_body_hashed(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.names_digests = False
    image = tiny_image()
    assert (await client.resolve(registry.put(image, "app:1"))).digest == image.digest
    assert [seen.method for seen in registry.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/octet-stream",
        "text/html; charset=utf-8",
    ],
)
async def test_what_is_no_image_is_refused(
    registry: FakeRegistry, client: RegistryClient, content_type: str
) -> None:
    registry.fault("manifests", say(b"{}", content_type=content_type))
    with pytest.raises(PermanentFailure, match="no image we can judge") as caught:
        await client.resolve(parse_reference(f"{registry.host}/app:1"))
    assert caught.value.kind is ErrorKind.REFUSED


@pytest.mark.parametrize("digest", ["sha256:ABC", "sha512:" + "0" * 128, "", "latest"])
async def test_a_digest_that_is_none_is_not_believed(
    registry: FakeRegistry, client: RegistryClient, digest: str
) -> None:
    registry.fault(
        "manifests", answer(200, Content_Type=OCI_MANIFEST, Docker_Content_Digest=digest)
    )
    with pytest.raises(PermanentFailure, match="not sha256") as caught:
        await client.resolve(parse_reference(f"{registry.host}/app:1"))
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_another_digest_than_was_asked_is_not_believed(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    asked, answered = tiny_image().digest, tiny_image(config={"User": "1"}).digest
    registry.fault(
        "manifests", answer(200, Content_Type=OCI_MANIFEST, Docker_Content_Digest=answered)
    )
    with pytest.raises(PermanentFailure, match="answers for") as caught:
        await client.resolve(parse_reference(f"{registry.host}/app@{asked}"))
    assert caught.value.kind is ErrorKind.UNTRUSTED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, ErrorKind.NOT_FOUND),
        (401, ErrorKind.UNAUTHORISED),
        (403, ErrorKind.UNAUTHORISED),
        (400, ErrorKind.REFUSED),
        (405, ErrorKind.REFUSED),
    ],
)
async def test_an_answer_that_will_stay_is_permanent(
    registry: FakeRegistry, client: RegistryClient, status: int, kind: ErrorKind
) -> None:
    registry.fault("manifests", answer(status))
    with pytest.raises(PermanentFailure) as caught:
        await client.resolve(parse_reference(f"{registry.host}/team/app:1"))
    assert caught.value.kind is kind
    assert f"{registry.host}/team/app" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "7", 7.0),
        (429, "Sun, 15 Jun 2025 15:06:50 GMT", 10.0),
        (429, "Sun, 15 Jun 2025 15:00:00 GMT", 0.0),
        (429, "999999999", 3600.0),
        (429, "soon", None),
        (503, "2", 2.0),
        (500, "", None),
    ],
)
async def test_a_busy_registry_is_transient_and_its_wait_is_told(
    registry: FakeRegistry,
    client: RegistryClient,
    status: int,
    header: str,
    seconds: float | None,
) -> None:
    registry.fault("manifests", answer(status, Retry_After=header))
    with pytest.raises(TransientFailure) as caught:
        await client.resolve(parse_reference(f"{registry.host}/app:1"))
    assert caught.value.retry_after == seconds


async def test_a_registry_that_hangs_is_left_after_the_time_of_a_head(
    registry: FakeRegistry, hurried: RegistryClient
) -> None:
    registry.fault("manifests", hang)
    async with asyncio.timeout(10):
        with pytest.raises(TransientFailure, match=r"did not answer within 0\.5 s"):
            await hurried.resolve(parse_reference(f"{registry.host}/app:1"))


async def test_a_registry_that_is_down_is_transient(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    reference = registry.put(tiny_image(), "app:1")
    await registry.__aexit__(None, None, None)
    with pytest.raises(TransientFailure, match=r"no answer from 127\.0\.0\.1:\d+ \(connect"):
        await client.resolve(reference)


async def test_a_client_goes_on_when_the_registry_is_well_again(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    reference = registry.put(tiny_image(), "app:1")
    registry.fault("manifests", answer(500))
    with pytest.raises(TransientFailure):
        await client.resolve(reference)
    registry.heal()
    assert (await client.resolve(reference)).digest == tiny_image().digest


async def test_a_registry_that_the_rules_do_not_allow_is_never_asked(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    rules = Rules(
        registries=rules_naming(registry).registries, allow_registries=("registry.corp:5000",)
    )
    client = await open_client(rules)
    reference = registry.put(tiny_image(), "app:1")
    for question in (
        client.resolve(reference),
        client.index(reference, tiny_image().digest, asked_at=0),
        client.manifest(reference, tiny_image().digest),
        anext(aiter(client.blob(reference, tiny_image().digest, max_bytes=1))),
    ):
        with pytest.raises(PermanentFailure, match="allowRegistries") as caught:
            await question
        assert caught.value.kind is ErrorKind.REFUSED
    assert registry.requests == []


async def test_rules_that_were_reloaded_count_at_once(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    current = [rules_naming(registry)]
    client = await open_client(lambda: current[0])
    reference = registry.put(tiny_image(), "app:1")
    await client.resolve(reference)
    current[0] = Rules(allow_registries=("ghcr.io",))
    with pytest.raises(PermanentFailure, match="allowRegistries"):
        await client.resolve(reference)


async def test_a_host_with_an_impossible_port_is_refused(client: RegistryClient) -> None:
    with pytest.raises(PermanentFailure, match="not a host that can be asked") as caught:
        await client.resolve(parse_reference("registry.corp:99999/app:1"))
    assert caught.value.kind is ErrorKind.REFUSED


async def test_plain_http_is_spoken_only_where_the_rules_say_so(
    registry: FakeRegistry, open_client: OpenClient
) -> None:
    named = tuple(
        type(entry)(host=entry.host, insecure=False) for entry in rules_naming(registry).registries
    )
    client = await open_client(Rules(registries=named))
    with pytest.raises(TransientFailure, match="insecure"):
        await client.resolve(registry.put(tiny_image(), "app:1"))
    assert registry.requests == []


async def test_an_index_names_its_manifests_with_their_platforms(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    small, arm, bare = (tiny_image(config={"User": user}) for user in "123")
    index = index_of((small, "linux/amd64"), (arm, "linux/arm64/v8"), (bare, None))
    reference = registry.put(index, "app:1")
    found = await client.index(reference, index.digest, asked_at=5)
    assert (found.digest, found.asked_at) == (index.digest, 5)
    assert found.manifests == (
        Manifest(small.digest, "linux", "amd64", exact=True),
        Manifest(arm.digest, "linux", "arm64", "v8", exact=True),
        Manifest(bare.digest),
    )
    assert all(index.digest in seen.path for seen in registry.requests)


async def test_nested_indexes_are_flattened_and_the_inner_platform_counts(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    outer, inner, deepest = (tiny_image(config={"User": user}) for user in "123")
    third = index_of((deepest, "linux/s390x"))
    second = index_of((inner, "linux/amd64"), (third, "linux/ppc64le"))
    index = index_of((second, "linux/arm64"), (outer, "linux/386"), (second, "windows/amd64"))
    found = await client.index(registry.put(index, "app:1"), index.digest, asked_at=0)
    assert set(found.manifests) == {
        Manifest(inner.digest, "linux", "amd64"),
        Manifest(outer.digest, "linux", "386"),
        Manifest(deepest.digest, "linux", "s390x"),
    }
    assert len(registry.requests) == 3


async def test_a_manifest_that_was_called_an_index_is_untrusted(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    image = tiny_image()
    with pytest.raises(PermanentFailure, match="it is a manifest") as caught:
        await client.index(registry.put(image, "app:1"), image.digest, asked_at=0)
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_an_index_that_the_registry_calls_a_manifest_is_untrusted(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    index = index_of((tiny_image(), "linux/amd64"))
    reference = registry.put(index, "app:1")
    registry.replace_body(index.digest, index.manifest, media_type=OCI_MANIFEST)
    with pytest.raises(PermanentFailure, match="is not the") as caught:
        await client.manifest(reference, index.digest)
    assert caught.value.kind is ErrorKind.UNTRUSTED


async def test_an_error_body_is_shown_by_its_code_only(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    reference = registry.put(tiny_image(), "app:1")
    registry.fault("manifests", answer(403, "DENIED"))
    with pytest.raises(PermanentFailure, match=r"403 \(DENIED\)") as caught:
        await client.manifest(reference, tiny_image().digest)
    assert "made up" not in str(caught.value)


@pytest.mark.parametrize("named", [True, False])
async def test_only_a_registry_that_the_rules_call_insecure_is_asked_over_plain_http(
    registry: FakeRegistry, open_client: OpenClient, named: bool
) -> None:
    rules = Rules(registries=(RegistryRule(registry.host),) if named else ())
    client = await open_client(rules)
    with pytest.raises((TransientFailure, PermanentFailure)):
        await client.resolve(registry.put(tiny_image(), "team/app:1.0"))
    assert registry.requests == []
