"""Registries on a FakeAnchore of each API, and as recorded: no password is ever told."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.anchore.detect import Detection
from shared.adapters.anchore.either import RegistriesOfEither
from shared.adapters.anchore.registries import AnchoreRegistries
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_registries import V1_REGISTRIES
from shared.adapters.anchore.v2_registries import V2_REGISTRIES
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.registry_access import RegistryAccess
from shared.ports.registries import KnownRegistry, Registries
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_replay import Recording, Replay, recording
from tests.functional.anchore.conftest import QUICK

EXAMPLES = Path(__file__).parents[2] / "data" / "anchore-v2"
SECRET = 'tr0ub"adour\\zebra'
ACCESS = RegistryAccess(registry="registry.corp", user="ada", password=SECRET)


DIALECTS = {"v1": V1_REGISTRIES, "v2": V2_REGISTRIES}


@pytest.fixture(params=DIALECTS)
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def anchore(api: str) -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore(api=api) as fake:
        yield fake


@pytest.fixture
def registries(transport: AnchoreTransport, api: str) -> AnchoreRegistries:
    return AnchoreRegistries(transport=transport, dialect=DIALECTS[api])


def stored(anchore: FakeAnchore, account: str = "admin") -> dict[str, Any]:
    return anchore.store.registries.get(account, {})


def answer(method: str, status: int, body: Any) -> Recording:
    return Recording(
        name="made up",
        method=method,
        path="",
        query={},
        request_body=None,
        status=status,
        content_type="application/json",
        body=body,
        is_json=True,
    )


def test_they_are_registries(registries: AnchoreRegistries) -> None:
    port: Registries = registries
    assert port is registries


def test_an_access_does_not_show_its_password() -> None:
    assert "tr0ub" not in f"{ACCESS} {ACCESS!r}"


async def test_one_is_added_and_listed_without_its_password(
    anchore: FakeAnchore, registries: AnchoreRegistries
) -> None:
    assert await registries.all() == ()
    await registries.add(ACCESS)
    assert await registries.all() == (
        KnownRegistry(registry="registry.corp", user="ada", name="registry.corp"),
    )
    record = stored(anchore)["registry.corp"]
    assert (record["registry_pass"], record["registry_type"]) == (SECRET, "docker_v2")


@pytest.mark.parametrize(
    "registry", ["registry.corp:5000", "registry.corp/team/*", "docker.io/a/b"]
)
async def test_one_is_replaced_whatever_its_name_holds(
    anchore: FakeAnchore, registries: AnchoreRegistries, registry: str
) -> None:
    await registries.add(RegistryAccess(registry=registry, user="old", password="old-pass"))
    access = RegistryAccess(registry=registry, user="new", password="new-pass", verify=False)
    await registries.update(access, name="what people say")
    assert await registries.all() == (
        KnownRegistry(registry=registry, user="new", name="what people say", verify=False),
    )
    assert stored(anchore)[registry]["registry_pass"] == "new-pass"


async def test_each_account_has_its_own(
    anchore: FakeAnchore, registries: AnchoreRegistries
) -> None:
    anchore.store.add_account("payments")
    await registries.add(ACCESS, account="payments")
    assert await registries.all() == ()
    assert [one.registry for one in await registries.all(account="payments")] == ["registry.corp"]
    assert not stored(anchore)


async def test_an_account_that_anchore_does_not_have_is_no_empty_one(
    anchore: FakeAnchore, registries: AnchoreRegistries
) -> None:
    anchore.store.add_account("payments")
    assert await registries.all(account="payments") == ()
    with pytest.raises(PermanentFailure, match="no account paymants") as failure:
        await registries.all(account="paymants")
    assert failure.value.kind is ErrorKind.MISCONFIGURED


async def test_a_login_that_the_registry_refuses_is_said_without_the_password(
    anchore: FakeAnchore, registries: AnchoreRegistries
) -> None:
    anchore.store.takes_login("registry.corp", "ada", "another")
    with pytest.raises(PermanentFailure, match="could not log in to registry") as failed:
        await registries.add(ACCESS)
    assert failed.value.kind is ErrorKind.UNAUTHORISED
    assert "invalid username/password" in str(failed.value)
    assert "tr0ub" not in str(failed.value)
    assert not stored(anchore)
    # Of plain HTTP, and of a part of a host, Anchore can try none.
    for access in (
        RegistryAccess(registry="registry.corp", user="ada", password=SECRET, verify=False),
        RegistryAccess(registry="registry.corp/team/*", user="ada", password=SECRET),
    ):
        await registries.add(access)


async def test_what_is_there_already_is_not_added_again_and_not_tried_again(
    anchore: FakeAnchore, registries: AnchoreRegistries
) -> None:
    await registries.add(ACCESS)
    with pytest.raises(TransientFailure, match="registry already exists in DB"):
        await registries.add(ACCESS)
    assert anchore.store.calls["registry_add"] == 2


@pytest.mark.parametrize("status", [400, 403, 404, 406, 409, 500])
@pytest.mark.parametrize("quoted", [SECRET, json.dumps(SECRET), f"x{SECRET * 20}"])
async def test_a_server_that_says_the_password_has_it_passed_on_to_nobody(
    status: int, quoted: str
) -> None:
    body = {"httpcode": status, "message": f"bad {quoted}", "detail": {}}
    answers = [answer(method, status, body) for method in ("POST", "PUT")]
    async with (
        Replay(answers) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        registries = AnchoreRegistries(transport=transport, dialect=V1_REGISTRIES)
        asks: list[Callable[[RegistryAccess], Awaitable[None]]]
        asks = [registries.add, registries.update]
        for ask in asks:
            with pytest.raises(StepFailure) as failure:
                await ask(ACCESS)
            for part in ("tr0ub", "adour", "zebra"):
                assert part not in str(failure.value)


@pytest.mark.parametrize("kind", ["401", "403", "500", "429", "html", "404-path", "close", "cut"])
@pytest.mark.parametrize("operation", ["registries", "registry_add", "registry_put"])
async def test_whatever_goes_wrong_is_a_failure(
    anchore: FakeAnchore, registries: AnchoreRegistries, operation: str, kind: str
) -> None:
    asks: dict[str, Callable[[], Awaitable[object]]] = {
        "registries": registries.all,
        "registry_add": lambda: registries.add(ACCESS),
        "registry_put": lambda: registries.update(ACCESS),
    }
    anchore.store.fault(operation, kind)
    with pytest.raises(StepFailure):
        await asks[operation]()


@pytest.mark.parametrize("body", ["[]", "{}", "[5]", '[{"registry": "other.corp"}]'])
async def test_an_answer_about_another_registry_is_not_taken(
    anchore: FakeAnchore, registries: AnchoreRegistries, body: str
) -> None:
    anchore.store.fault("registry_add", "json", value=body)
    with pytest.raises(TransientFailure):
        await registries.add(ACCESS)


async def test_a_proxy_that_drops_the_account_is_noticed(
    anchore: FakeAnchore, registries: AnchoreRegistries, api: str
) -> None:
    owner = DIALECTS[api].account_key
    anchore.store.add_account("payments")
    theirs = [{"registry": "registry.corp", owner: "admin"}]
    anchore.store.fault("registries", "json", value=json.dumps(theirs))
    with pytest.raises(PermanentFailure, match="for the account admin instead of payments"):
        await registries.all(account="payments")
    anchore.store.heal()
    # An empty list tells nothing of whose it is; the policies do.
    policies = [{"active": True, owner: "admin"}]
    anchore.store.fault("policies", "json", value=json.dumps(policies))
    with pytest.raises(PermanentFailure, match="for the account admin instead of payments"):
        await registries.all(account="payments")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("registries-list-empty", ()),
        (
            "registries-list-one",
            (KnownRegistry(registry="127.0.0.1:5001", user="puller", name="auth", verify=False),),
        ),
    ],
)
async def test_a_recorded_list_is_read(name: str, found: tuple[KnownRegistry, ...]) -> None:
    async with (
        Replay([recording(name)]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        assert await AnchoreRegistries(transport=transport, dialect=V1_REGISTRIES).all() == found


async def test_a_recorded_login_that_cannot_be_tried_is_unauthorised() -> None:
    told = recording("registry-post-wrong-password")
    async with (
        Replay([told]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        registries = AnchoreRegistries(transport=transport, dialect=V1_REGISTRIES)
        with pytest.raises(PermanentFailure, match="WRONG_VERSION_NUMBER") as failure:
            await registries.add(ACCESS)
    assert failure.value.kind is ErrorKind.UNAUTHORISED


async def test_it_is_sent_as_it_was_recorded() -> None:
    added, put = recording("registry-post-wrong-password-novalidate"), recording("registry-put")
    access = RegistryAccess(registry="127.0.0.1:5001", user="puller", password="***", verify=False)
    async with (
        Replay([added, put]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        registries = AnchoreRegistries(transport=transport, dialect=V1_REGISTRIES)
        await registries.add(access)
        await registries.update(access, name="auth")
    for asked, told in zip(replay.asked, (added, put), strict=True):
        assert (asked.method, asked.path, asked.query) == (told.method, told.path, told.query)
    assert replay.asked[0].body == added.request_body | {"registry_name": "127.0.0.1:5001"}
    assert replay.asked[1].body == put.request_body


async def test_the_example_of_v2_is_read() -> None:
    told = json.loads((EXAMPLES / "registries-list.json").read_bytes())
    async with (
        Replay([answer("GET", told["status"], told["body"])]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        found = await AnchoreRegistries(transport=transport, dialect=V2_REGISTRIES).all()
    assert found == (
        KnownRegistry(registry="registry.example.com/team/*", user="puller", name="team registry"),
    )


async def test_a_login_that_v2_cannot_use_may_come_as_a_400() -> None:
    """406 is not declared there (docs/design/anchore-v2.md 7)."""
    said = "cannot ping supplied registry with supplied credentials"
    body = {"message": said, "httpcode": 400, "detail": {"error_codes": []}}
    async with (
        Replay([answer("POST", 400, body)]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        registries = AnchoreRegistries(transport=transport, dialect=V2_REGISTRIES)
        with pytest.raises(PermanentFailure) as failure:
            await registries.add(ACCESS)
    assert failure.value.kind is ErrorKind.UNAUTHORISED


async def test_which_api_it_is_need_not_be_known(
    anchore: FakeAnchore, transport: AnchoreTransport
) -> None:
    registries: Registries = RegistriesOfEither(
        detection=Detection(transport=transport), transport=transport
    )
    await registries.add(ACCESS)
    await registries.update(ACCESS, name="ours")
    assert [one.name for one in await registries.all()] == ["ours"]
    assert stored(anchore)
