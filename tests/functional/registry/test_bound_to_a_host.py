"""Credentials of every kind: for exactly one host, and for nobody whom that host names."""

import os
from pathlib import Path

import pytest

from shared.domain.errors import PermanentFailure
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.credential_helper import FakeHelper
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry, Login, basic, collect, redirect
from tests.functional.registry.conftest import OpenClient
from tests.functional.registry.test_login import SECRET, write_credentials

KINDS = ("credentials", "files", "helper", "credHelpers", "credsStore")
IMAGE = tiny_image()


def rule_of(kind: str, registry: FakeRegistry, folder: Path) -> RegistryRule:
    """An entry for one host that names the credentials of ada."""
    if kind == "credentials":
        file = write_credentials(folder / "config.json", registry.host, "ada", SECRET)
        return RegistryRule(registry.host, insecure=True, credentials=file)
    if kind == "files":
        user, password = folder / "user", folder / "password"
        user.write_text("ada")
        password.write_text(SECRET)
        return RegistryRule(
            registry.host, insecure=True, user_file=str(user), password_file=str(password)
        )
    helper = FakeHelper(folder / "bin")
    if kind == "helper":
        return RegistryRule(registry.host, insecure=True, helper=str(helper.path))
    named = f'"credHelpers": {{"{registry.host}": "fake"}}'
    config = folder / "config.json"
    config.write_text("{%s}" % (named if kind == "credHelpers" else '"credsStore": "fake"'))
    return RegistryRule(registry.host, insecure=True, credentials=str(config))


@pytest.fixture
def rule(
    request: pytest.FixtureRequest,
    registry: FakeRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> RegistryRule:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return rule_of(request.param, registry, tmp_path)


def secrets_in(registry: FakeRegistry) -> list[str]:
    """What was sent to it that nobody else should see."""
    return [seen.authorization for seen in registry.requests if seen.authorization]


@pytest.mark.parametrize("rule", KINDS, indirect=True)
async def test_a_host_gets_its_own_credentials_and_another_that_is_named_none(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient, rule: RegistryRule
) -> None:
    client = await open_client(Rules(registries=(rule, RegistryRule(other.host, insecure=True))))
    for one in (registry, other):
        one.login = Login(scheme="Basic", user="ada", password=SECRET)
    await client.resolve(registry.put(IMAGE, "team/app:1"))
    assert secrets_in(registry) == [basic("ada", SECRET)]
    with pytest.raises(PermanentFailure, match="name a file with credentials"):
        await client.resolve(other.put(IMAGE, "team/app:1"))
    assert secrets_in(other) == []


@pytest.mark.parametrize("rule", KINDS, indirect=True)
@pytest.mark.parametrize("what", ["manifests", "blobs"])
async def test_nothing_is_sent_after_a_redirect(
    registry: FakeRegistry,
    other: FakeRegistry,
    open_client: OpenClient,
    rule: RegistryRule,
    what: str,
) -> None:
    client = await open_client(Rules(registries=(rule, RegistryRule(other.host, insecure=True))))
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    reference = registry.put(IMAGE, "team/app:1")
    other.put(IMAGE, "team/app:1")
    registry.fault(what, redirect(f"{other.url}{{path}}"))
    if what == "manifests":
        await client.resolve(reference)
    else:
        digest, body = next(iter(IMAGE.blobs.items()))
        await collect(client.blob(reference, digest, max_bytes=len(body)))
    assert secrets_in(registry) == [basic("ada", SECRET)]
    assert len(other.requests) == 1
    assert secrets_in(other) == []


@pytest.mark.parametrize("rule", KINDS, indirect=True)
async def test_a_token_realm_elsewhere_gets_nothing(
    registry: FakeRegistry, other: FakeRegistry, open_client: OpenClient, rule: RegistryRule
) -> None:
    client = await open_client(Rules(registries=(rule,)))
    registry.login = Login(realm=f"{other.url}/token")
    with pytest.raises(PermanentFailure, match="which the rules do not name"):
        await client.resolve(registry.put(IMAGE, "team/app:1"))
    assert other.requests == []
    assert secrets_in(registry) == []
