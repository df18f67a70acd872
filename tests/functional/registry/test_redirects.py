"""Redirects: for blobs, a few, without credentials, never down to plain HTTP."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from shared.runtime.tls import CertificateFiles, client_context, ensure_certificate, server_context
from tests.fakes.images import Content, tiny_image
from tests.fakes.names import FakeNames
from tests.fakes.registry import FakeRegistry, Login, answer, basic, collect, redirect
from tests.functional.registry.conftest import OpenClient, rules_naming
from tests.functional.registry.test_login import SECRET, write_credentials

HUB = ("registry-1.docker.io", "auth.docker.io")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return ensure_certificate(tmp_path_factory.mktemp("tls"), names=("127.0.0.1", *HUB))


@pytest.fixture
def trusting(certificate: CertificateFiles) -> ssl.SSLContext:
    return client_context(certificate.certificate)


@pytest.fixture
async def secure(certificate: CertificateFiles) -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry(ssl_context=server_context(certificate)) as opened:
        yield opened


def blob_of(image: Content) -> tuple[str, bytes]:
    return next(iter(image.blobs.items()))


async def test_a_blob_is_followed_to_another_server_without_credentials(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    file = write_credentials(tmp_path / "config.json", registry.host, "ada", SECRET)
    client = await open_client(rules_naming(registry, other, credentials=file))
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    other.put(image, "mirror/app:1")
    digest, body = blob_of(image)
    registry.fault("blobs", redirect(f"{other.url}/v2/mirror/app/blobs/{digest}?signature=%2Fx%2B"))
    assert await collect(client.blob(reference, digest, max_bytes=len(body))) == body
    assert registry.requests[-1].authorization == basic("ada", SECRET)
    (seen,) = other.requests
    assert seen.authorization is None
    assert seen.query == {"signature": "/x+"}


async def test_a_blob_is_followed_on_its_own_server_without_credentials(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login()
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    digest, body = blob_of(image)
    registry.fault("blobs", redirect("/elsewhere"))
    with pytest.raises(PermanentFailure, match="404"):
        await collect(client.blob(reference, digest, max_bytes=len(body)))
    assert registry.requests[-1].path == "/elsewhere"
    assert registry.requests[-1].authorization is None


async def test_more_than_three_redirects_are_refused(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    registry.fault("blobs", redirect("{path}"))
    with pytest.raises(PermanentFailure, match="more than 3 redirects") as caught:
        await collect(client.blob(reference, blob_of(image)[0], max_bytes=1))
    assert caught.value.kind is ErrorKind.REFUSED
    assert len(registry.requests) == 4


async def test_a_manifest_is_not_followed_to_a_server_that_the_rules_do_not_name(
    registry: FakeRegistry, other: FakeRegistry, client: RegistryClient
) -> None:
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    registry.fault("manifests", redirect(f"{other.url}{{path}}"))
    with pytest.raises(PermanentFailure, match="redirects to http://") as caught:
        await client.resolve(reference)
    assert caught.value.kind is ErrorKind.REFUSED
    assert other.requests == []


async def test_a_manifest_is_followed_to_a_server_that_the_rules_name(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient
) -> None:
    client = await open_client(rules_naming(registry, other))
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    other.put(image, "team/app:1")
    registry.fault("manifests", redirect(f"{other.url}{{path}}"))
    assert (await client.resolve(reference)).digest == image.digest


@pytest.mark.parametrize(
    "location",
    ["", "ftp://127.0.0.1/x", "http://ada:pw@{host}/x", "http://[::1/x", "file:///x"],
)
async def test_a_redirect_to_no_usable_place_is_refused(
    registry: FakeRegistry, client: RegistryClient, location: str
) -> None:
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    registry.fault("blobs", redirect(location.replace("{host}", registry.host)))
    with pytest.raises(PermanentFailure, match="no usable URL") as caught:
        await collect(client.blob(reference, blob_of(image)[0], max_bytes=1))
    assert caught.value.kind is ErrorKind.REFUSED
    assert len(registry.requests) == 1


async def test_https_is_never_followed_to_plain_http(
    secure: FakeRegistry,
    registry: FakeRegistry,
    open_client: OpenClient,
    trusting: ssl.SSLContext,
) -> None:
    named = (RegistryRule(host=secure.host), *rules_naming(registry).registries)
    client = await open_client(Rules(registries=named), ssl_context=trusting)
    image = tiny_image()
    reference = secure.put(image, "team/app:1")
    secure.fault("blobs", redirect(f"{registry.url}{{path}}"))
    with pytest.raises(PermanentFailure, match="plain HTTP"):
        await collect(client.blob(reference, blob_of(image)[0], max_bytes=1))
    assert registry.requests == []


async def test_a_redirect_with_a_signature_is_not_shown(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    registry.fault("blobs", redirect("http://10.0.0.1/x?signature=hidden"))
    with pytest.raises(PermanentFailure) as caught:
        await collect(client.blob(reference, blob_of(image)[0], max_bytes=1))
    assert "hidden" not in str(caught.value)


async def test_a_certificate_that_is_not_trusted_is_transient_and_says_so(
    secure: FakeRegistry, open_client: OpenClient
) -> None:
    client = await open_client(Rules(registries=(RegistryRule(host=secure.host),)))
    with pytest.raises(TransientFailure, match="certificate is not trusted here"):
        await client.resolve(secure.put(tiny_image(), "app:1"))


async def test_docker_hub_is_asked_at_its_own_servers(
    secure: FakeRegistry, open_client: OpenClient, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    file = write_credentials(tmp_path / "c.json", "https://index.docker.io/v1/", "ada", SECRET)
    rules = Rules(registries=(RegistryRule(host="docker.io", credentials=file),))
    names = FakeNames({name: [[secure.host]] for name in HUB})
    client = await open_client(rules, ssl_context=trusting, resolver=names)
    secure.login = Login(user="ada", password=SECRET, realm="https://auth.docker.io/token")
    secure.put(tiny_image(), "library/redis:7")
    resolved = await client.resolve(parse_reference("redis:7"))
    assert resolved.digest == tiny_image().digest
    assert [seen.headers["Host"] for seen in secure.requests] == [
        "registry-1.docker.io",
        "auth.docker.io",
        "registry-1.docker.io",
    ]
    assert [seen.authorization for seen in secure.requests] == [
        None,
        basic("ada", SECRET),
        "Bearer token-0",
    ]


async def test_an_answer_after_a_redirect_means_the_same(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient
) -> None:
    client = await open_client(rules_naming(registry, other))
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    registry.fault("blobs", redirect(f"{other.url}/v2/x/blobs/y"))
    other.fault("blobs", answer(403))
    with pytest.raises(PermanentFailure) as caught:
        await collect(client.blob(reference, blob_of(image)[0], max_bytes=1))
    assert caught.value.kind is ErrorKind.UNAUTHORISED
