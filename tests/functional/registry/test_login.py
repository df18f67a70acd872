"""Tokens and passwords: got once, kept while they are good, sent nowhere else."""

import asyncio
import json
from pathlib import Path

import pytest

from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.glob import Glob
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.clock import FakeClock
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry, Login, answer, basic, collect, hang
from tests.functional.registry.conftest import OpenClient, rules_naming

SECRET = "correct-horse"


def write_credentials(path: Path, host: str, user: str, password: str) -> str:
    auth = basic(user, password).removeprefix("Basic ")
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return str(path)


async def test_an_open_registry_with_tokens_is_pulled_from_without_credentials(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login()
    reference = registry.put(tiny_image(), "team/app:1")
    assert (await client.resolve(reference)).digest == tiny_image().digest
    first, token, second = registry.requests
    assert first.authorization is None
    assert token.query == {"service": "a registry", "scope": "repository:team/app:pull"}
    assert token.authorization is None
    assert second.authorization == "Bearer token-0"


async def test_a_token_is_used_again_until_it_ends(
    registry: FakeRegistry, client: RegistryClient, clock: FakeClock
) -> None:
    registry.login = Login(expires_in=60)
    image = tiny_image()
    reference = registry.put(image, "team/app:1")
    await client.resolve(reference)
    for digest, body in image.blobs.items():
        await collect(client.blob(reference, digest, max_bytes=len(body)))
    assert len(registry.asked("/token")) == 1
    clock.advance(56_000)
    await client.resolve(reference)
    assert len(registry.asked("/token")) == 2


async def test_a_token_is_for_one_repository(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login()
    for name in ("team/app:1", "team/other:1"):
        await client.resolve(registry.put(tiny_image(), name))
    scopes = [seen.query["scope"] for seen in registry.asked("/token")]
    assert scopes == ["repository:team/app:pull", "repository:team/other:pull"]


async def test_a_token_that_the_registry_forgot_is_replaced_once(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login()
    reference = registry.put(tiny_image(), "team/app:1")
    await client.resolve(reference)
    registry.tokens.clear()
    registry.tokens.append("another's")
    await client.resolve(reference)
    assert registry.requests[-1].authorization == "Bearer token-1"


async def test_credentials_are_sent_to_the_token_service_and_the_token_to_the_registry(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    file = write_credentials(tmp_path / "config.json", registry.host, "ada", SECRET)
    client = await open_client(rules_naming(registry, credentials=file))
    registry.login = Login(user="ada", password=SECRET)
    await client.resolve(registry.put(tiny_image(), "team/app:1"))
    first, token, second = registry.requests
    assert first.authorization is None
    assert token.authorization == basic("ada", SECRET)
    assert second.authorization == "Bearer token-0"


async def test_a_registry_that_wants_a_password_gets_it(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    file = write_credentials(tmp_path / "config.json", registry.host, "ada", SECRET)
    client = await open_client(rules_naming(registry, credentials=file))
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    reference = registry.put(tiny_image(), "team/app:1")
    await client.resolve(reference)
    await client.resolve(reference)
    given = [seen.authorization for seen in registry.requests]
    assert given == [None, basic("ada", SECRET), basic("ada", SECRET)]


async def test_credentials_that_changed_are_read_again(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    path = tmp_path / "config.json"
    file = write_credentials(path, registry.host, "ada", "old")
    client = await open_client(rules_naming(registry, credentials=file))
    registry.login = Login(scheme="Basic", user="ada", password="new-one")
    reference = registry.put(tiny_image(), "team/app:1")
    with pytest.raises(PermanentFailure):
        await client.resolve(reference)
    write_credentials(path, registry.host, "ada", "new-one")
    assert (await client.resolve(reference)).digest == tiny_image().digest


async def test_the_longest_pattern_chooses_the_credentials(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    wide = write_credentials(tmp_path / "wide.json", registry.host, "wide", SECRET)
    narrow = write_credentials(tmp_path / "narrow.json", registry.host, "narrow", SECRET)
    entries = (("team-a/**", wide), ("team-a/app/**", narrow))
    rules = Rules(
        registries=tuple(
            RegistryRule(
                host=registry.host,
                insecure=True,
                repositories=(Glob(pattern, path=True),),
                credentials=file,
            )
            for pattern, file in entries
        )
    )
    client = await open_client(rules)
    registry.login = Login(scheme="Basic", user="narrow", password=SECRET)
    await client.resolve(registry.put(tiny_image(), "team-a/app/web:1"))
    with pytest.raises(PermanentFailure):
        await client.resolve(registry.put(tiny_image(), "team-a/other:1"))
    assert registry.requests[-1].authorization == basic("wide", SECRET)


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_credentials_that_are_not_taken_are_unauthorised_and_not_shown(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path, scheme: str
) -> None:
    file = write_credentials(tmp_path / "config.json", registry.host, "ada", SECRET)
    client = await open_client(rules_naming(registry, credentials=file))
    registry.login = Login(scheme=scheme, user="ada", password="another")
    with pytest.raises(PermanentFailure, match="credentials") as caught:
        await client.resolve(registry.put(tiny_image(), "team/app:1"))
    assert caught.value.kind is ErrorKind.UNAUTHORISED
    assert SECRET not in str(caught.value)
    assert basic("ada", SECRET).removeprefix("Basic ") not in str(caught.value)


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "Negotiate"])
async def test_a_login_that_cannot_be_answered_is_unauthorised(
    registry: FakeRegistry, client: RegistryClient, scheme: str
) -> None:
    registry.login = Login(scheme=scheme, user="ada", password=SECRET)
    with pytest.raises(PermanentFailure, match="name a file with credentials") as caught:
        await client.resolve(registry.put(tiny_image(), "team/app:1"))
    assert caught.value.kind is ErrorKind.UNAUTHORISED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a dockerconfigjson file"),
        ('{"auths": []}', "is not a dockerconfigjson file"),
        ("{}", "has no entry for"),
        ('{"auths": {"ghcr.io": {"auth": "YTpi"}}}', "has no entry for"),
        ('{"auths": {"HOST": {}}}', "has no password"),
        ('{"auths": {"HOST": {"auth": "?"}}}', "not base64 of user:password"),
        ('{"auths": {"HOST": {"auth": "YWRh"}}}', "not base64 of user:password"),
        ('{"credHelpers": {"HOST": "../x"}}', "no name of a program"),
        ('{"credHelpers": {"HOST": ""}}', "no name of a program"),
        ('{"credsStore": "of-nobody/x"}', "no name of a program"),
        ('{"credHelpers": {"HOST": 5}}', "is not a dockerconfigjson file"),
    ],
)
async def test_a_credentials_file_that_is_no_use_is_named(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(text.replace("HOST", registry.host))
    client = await open_client(rules_naming(registry, credentials=str(file)))
    registry.login = Login()
    with pytest.raises(PermanentFailure, match=said) as caught:
        await client.resolve(registry.put(tiny_image(), "team/app:1"))
    assert caught.value.kind is ErrorKind.UNAUTHORISED
    assert str(file) in str(caught.value)
    assert registry.asked("/token") == []


async def test_an_identity_token_of_a_file_is_exchanged_and_the_empty_password_beside_it_not_sent(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    auth = basic("00000000", "").removeprefix("Basic ")
    entry = {"auth": auth, "identitytoken": SECRET}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"auths": {registry.host: entry}}))
    client = await open_client(rules_naming(registry, credentials=str(file)))
    registry.login = Login(identity=SECRET)
    await client.resolve(registry.put(tiny_image(), "team/app:1"))
    given = [seen.authorization for seen in registry.requests]
    assert given == [None, None, "Bearer token-0"]
    assert registry.requests[1].form["refresh_token"] == SECRET


async def test_a_credentials_file_that_is_missing_is_named(
    registry: FakeRegistry, open_client: OpenClient, tmp_path: Path
) -> None:
    client = await open_client(rules_naming(registry, credentials=str(tmp_path / "gone.json")))
    registry.login = Login()
    with pytest.raises(PermanentFailure, match=r"gone\.json cannot be read: no such file"):
        await client.resolve(registry.put(tiny_image(), "team/app:1"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<html>", TransientFailure),
        (b"{}", PermanentFailure),
        (b'{"token": "a\\r\\nX: y"}', PermanentFailure),
        (b'{"token": 5}', TransientFailure),
        (b"[" * 50_000, TransientFailure),
        (b'{"token": "' + b"a" * 70_000 + b'"}', PermanentFailure),
    ],
)
async def test_a_token_service_that_gives_no_token_is_an_error(
    registry: FakeRegistry,
    client: RegistryClient,
    body: bytes,
    error: type[Exception],
) -> None:
    registry.login = Login(answer=body)
    with pytest.raises(error):
        await client.resolve(registry.put(tiny_image(), "team/app:1"))


async def test_a_token_service_in_trouble_is_transient(
    registry: FakeRegistry, client: RegistryClient, hurried: RegistryClient
) -> None:
    registry.login = Login()
    reference = registry.put(tiny_image(), "team/app:1")
    troubles = (
        (client, answer(500)),
        (client, answer(429, Retry_After="9")),
        (hurried, hang),
    )
    for asked, fault in troubles:
        registry.fault("token", fault)
        with pytest.raises(TransientFailure):
            await asked.resolve(reference)


async def test_a_token_that_ends_at_once_is_not_kept(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login(expires_in=0)
    reference = registry.put(tiny_image(), "team/app:1")
    await client.resolve(reference)
    await client.resolve(reference)
    assert len(registry.asked("/token")) == 2


async def test_many_who_ask_at_once_share_one_token(
    registry: FakeRegistry, client: RegistryClient
) -> None:
    registry.login = Login()
    reference = registry.put(tiny_image(), "team/app:1")
    resolved = await asyncio.gather(*(client.resolve(reference) for _ in range(20)))
    assert {each.digest for each in resolved} == {tiny_image().digest}
    assert len(registry.asked("/token")) == 1
