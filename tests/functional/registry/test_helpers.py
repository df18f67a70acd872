"""Credential helpers: run once for all who ask, in bounds, and silent about what they say."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.credentials import Credentials
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.limits import Timeouts
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.clock import FakeClock
from tests.fakes.credential_helper import FakeHelper
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry, Login, basic
from tests.functional.registry.conftest import PATIENT, OpenClient
from tests.waiting import eventually

SECRET = "correct-horse"
IMAGE = tiny_image()


@pytest.fixture
def helper(tmp_path: Path) -> FakeHelper:
    return FakeHelper(tmp_path / "helper")


@pytest.fixture
async def client(
    registry: FakeRegistry, helper: FakeHelper, open_client: OpenClient
) -> RegistryClient:
    return await open_client(rules_with(registry, str(helper.path)))


def rules_with(registry: FakeRegistry, program: str) -> Rules:
    return Rules(registries=(RegistryRule(registry.host, insecure=True, helper=program),))


async def pull(registry: FakeRegistry, client: RegistryClient, name: str = "team/app:1") -> None:
    resolved = await client.resolve(registry.put(IMAGE, name))
    assert resolved.digest == IMAGE.digest


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_a_helper_is_told_the_host_and_its_answer_is_the_login(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper, scheme: str
) -> None:
    registry.login = Login(scheme=scheme, user="ada", password=SECRET)
    await pull(registry, client)
    environment = os.environ.get("HOME")
    assert helper.runs == [{"arguments": ["get"], "server": registry.host, "home": environment}]
    given = [seen.authorization for seen in registry.requests]
    assert given[:2] == [None, basic("ada", SECRET)]


async def test_a_helper_knows_docker_hub_by_dockers_name_for_it(
    helper: FakeHelper, clock: FakeClock
) -> None:
    rules = Rules(registries=(RegistryRule("docker.io", helper=str(helper.path)),))
    credentials = Credentials(clock=clock, timeouts=Timeouts())
    await credentials.find(Target.under(rules, parse_reference("redis:7")))
    assert [run["server"] for run in helper.runs] == ["https://index.docker.io/v1/"]


async def test_a_helper_is_started_with_the_environment_that_is_given(
    helper: FakeHelper, clock: FakeClock
) -> None:
    rules = Rules(registries=(RegistryRule("docker.io", helper=str(helper.path)),))
    environ = {"HOME": "/home/of/helpers"}
    credentials = Credentials(clock=clock, timeouts=Timeouts(), environ=environ)
    await credentials.find(Target.under(rules, parse_reference("redis:7")))
    assert [run["home"] for run in helper.runs] == ["/home/of/helpers"]


async def test_a_registry_that_asks_for_nothing_has_no_helper_run(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper
) -> None:
    await pull(registry, client)
    assert helper.runs == []


async def test_an_answer_is_kept_for_five_minutes_for_every_repository(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper, clock: FakeClock
) -> None:
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    for number in range(3):
        clock.advance(61_000)  # longer than a password is sent unasked
        await pull(registry, client, f"team/{number}:1")
    assert len(helper.runs) == 1
    clock.advance(300_000)
    await pull(registry, client)
    assert len(helper.runs) == 2


async def test_an_answer_that_will_end_soon_is_asked_for_again_behind_those_who_use_it(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper, clock: FakeClock
) -> None:
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    await pull(registry, client)
    clock.advance(245_000)
    await pull(registry, client)
    await eventually(lambda: len(helper.runs) == 2)
    clock.advance(61_000)
    await pull(registry, client)
    assert len(helper.runs) == 2


async def test_many_who_ask_at_once_share_one_run(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper
) -> None:
    registry.login = Login(user="ada", password=SECRET)
    await asyncio.gather(*(pull(registry, client, f"team/{number}:1") for number in range(20)))
    assert len(helper.runs) == 1


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_a_kept_answer_that_is_refused_is_asked_for_again_once(
    registry: FakeRegistry,
    client: RegistryClient,
    helper: FakeHelper,
    clock: FakeClock,
    scheme: str,
) -> None:
    registry.login = Login(scheme=scheme, user="ada", password=SECRET)
    await pull(registry, client)
    helper.answers("ada", "changed")
    registry.login = Login(scheme=scheme, user="ada", password="changed")
    clock.advance(61_000)
    await pull(registry, client)
    assert len(helper.runs) == 2


async def test_all_who_were_refused_with_the_old_answer_find_the_new_one(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper, clock: FakeClock
) -> None:
    names = [f"team/{number}:1" for number in range(10)]
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    await asyncio.gather(*(pull(registry, client, name) for name in names))
    helper.answers("ada", "changed", seconds=0.1)
    registry.login = Login(scheme="Basic", user="ada", password="changed")
    clock.advance(30_000)
    await asyncio.gather(*(pull(registry, client, name) for name in names))
    assert len(helper.runs) == 2


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_a_helper_whose_answer_is_wrong_is_not_run_for_each_who_is_refused(
    registry: FakeRegistry,
    client: RegistryClient,
    helper: FakeHelper,
    clock: FakeClock,
    scheme: str,
) -> None:
    registry.login = Login(scheme=scheme, user="ada", password="another")
    for _ in range(5):
        with pytest.raises(PermanentFailure) as caught:
            await pull(registry, client)
        assert caught.value.kind is ErrorKind.UNAUTHORISED
        assert SECRET not in str(caught.value)
    assert len(helper.runs) == 1
    clock.advance(10_000)
    with pytest.raises(PermanentFailure):
        await pull(registry, client)
    assert len(helper.runs) == 2


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"code": 1, "said": "no\n  region\r\n"}, "exit code 1: no region; it is tried again"),
        ({"code": 2, "output": "token expired\n"}, "exit code 2: token expired;"),
        ({"code": 1, "said": "x" * 5_000}, ": x{200};"),
        ({"code": 1, "output": f'{{"Secret": "{SECRET}"}}'}, "failed with exit code 1;"),
    ],
)
async def test_a_helper_that_fails_is_named_with_what_it_said_and_tried_again(
    registry: FakeRegistry,
    client: RegistryClient,
    helper: FakeHelper,
    plan: dict[str, Any],
    said: str,
) -> None:
    helper.plans(**plan)
    with pytest.raises(TransientFailure, match=said) as caught:
        await locked_pull(registry, client)
    assert_names(caught.value, helper)
    helper.answers("ada", SECRET)
    await locked_pull(registry, client)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"code": 1, "output": "credentials not found in native keychain\n"}, "no credentials"),
        ({"output": "hello"}, "no JSON"),
        ({"output": f'{{"Secret": "{SECRET}"}}'}, "without a Username"),
        ({"output": '{"Username": "ada"}'}, "without a Secret"),
        ({"output": '{"Username": "ada", "Secret": 5}'}, "no JSON"),
        ({"output": " " * 70_000}, "more than 65536 bytes"),
        ({"said": "x" * 70_000}, "more than 65536 bytes"),
    ],
)
async def test_a_helper_that_has_no_login_is_named_and_nothing_is_asked_for_with_none(
    registry: FakeRegistry,
    client: RegistryClient,
    helper: FakeHelper,
    plan: dict[str, Any],
    said: str,
) -> None:
    helper.plans(**plan)
    with pytest.raises(PermanentFailure, match=said) as caught:
        await locked_pull(registry, client)
    assert caught.value.kind is ErrorKind.UNAUTHORISED
    assert_names(caught.value, helper)
    assert registry.asked("/token") == []


async def locked_pull(registry: FakeRegistry, client: RegistryClient) -> None:
    """From a registry that gives tokens to ada."""
    registry.login = Login(user="ada", password=SECRET)
    await pull(registry, client)


def assert_names(error: Exception, helper: FakeHelper) -> None:
    """The message is one line, about this helper, and holds no secret."""
    message = str(error)
    assert f"the credential helper {helper.path} " in message
    assert SECRET not in message
    assert message.splitlines() == [message]


@pytest.mark.parametrize(
    ("program", "said"),
    [("docker-credential-of-nobody", "no such file"), ("/etc/passwd", "permission denied")],
)
async def test_a_program_that_cannot_be_started_is_named_and_how_to_try_it(
    registry: FakeRegistry, open_client: OpenClient, program: str, said: str
) -> None:
    client = await open_client(rules_with(registry, program))
    registry.login = Login()
    with pytest.raises(PermanentFailure, match=f"{program} cannot be started: {said}") as caught:
        await pull(registry, client)
    assert caught.value.kind is ErrorKind.UNAUTHORISED
    assert f"try `echo {registry.host} | {program} get` where this runs" in str(caught.value)


async def test_a_slow_helper_is_named_and_the_next_who_asks_finds_its_answer(
    registry: FakeRegistry, helper: FakeHelper, open_client: OpenClient
) -> None:
    rules = rules_with(registry, str(helper.path))
    timeouts = msgspec.structs.replace(PATIENT, helper_wait=0.1)
    client = await open_client(rules, timeouts=timeouts)
    registry.login = Login(user="ada", password=SECRET)
    helper.answers("ada", SECRET, seconds=2.0)
    with pytest.raises(TransientFailure, match=r"docker-credential-fake did not answer in 0\.1 s"):
        await pull(registry, client)

    async def is_pulled() -> bool:
        try:
            await pull(registry, client)
        except TransientFailure:  # it still runs
            return False
        return True

    await eventually(is_pulled)
    assert len(helper.runs) == 1


async def test_a_helper_that_hangs_is_ended_with_all_that_it_started(
    registry: FakeRegistry, helper: FakeHelper, open_client: OpenClient
) -> None:
    rules = rules_with(registry, str(helper.path))
    timeouts = msgspec.structs.replace(PATIENT, helper=5.0)
    client = await open_client(rules, timeouts=timeouts)
    registry.login = Login(user="ada", password=SECRET)
    helper.answers("ada", SECRET, seconds=60, child=True)
    with pytest.raises(TransientFailure, match="did not end in 5 s"):
        await pull(registry, client)
    assert helper.child is not None
    await eventually(lambda: not alive(helper.child))


async def test_a_client_that_is_closed_ends_the_helpers_that_run(
    registry: FakeRegistry, helper: FakeHelper, clock: FakeClock
) -> None:
    rules = rules_with(registry, str(helper.path))
    registry.login = Login(user="ada", password=SECRET)
    helper.answers("ada", SECRET, seconds=60, child=True)
    timeouts = msgspec.structs.replace(PATIENT, helper_wait=0.1)
    async with RegistryClient(rules=lambda: rules, clock=clock, timeouts=timeouts) as client:
        with pytest.raises(TransientFailure):
            await pull(registry, client)
        await eventually(lambda: helper.child is not None)
        assert alive(helper.child)
    await eventually(lambda: not alive(helper.child))


async def test_an_identity_token_is_exchanged_for_a_token_and_sent_nowhere_else(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper
) -> None:
    helper.answers("<token>", SECRET)
    registry.login = Login(identity=SECRET)
    await pull(registry, client)
    first, exchange, second = registry.requests
    assert (exchange.method, exchange.query, exchange.authorization) == ("POST", {}, None)
    assert exchange.form == {
        "grant_type": "refresh_token",
        "client_id": "imagegate",
        "service": "a registry",
        "scope": "repository:team/app:pull",
        "refresh_token": SECRET,
    }
    assert (first.authorization, second.authorization) == (None, "Bearer token-0")


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (Login(scheme="Basic", user="ada", password=SECRET), "got an identity token"),
        (Login(identity="another"), "answered 401"),
    ],
)
async def test_an_identity_token_that_is_not_taken_is_unauthorised_and_not_shown(
    registry: FakeRegistry, client: RegistryClient, helper: FakeHelper, login: Login, said: str
) -> None:
    helper.answers("<token>", SECRET)
    registry.login = login
    with pytest.raises(PermanentFailure, match=said) as caught:
        await pull(registry, client)
    assert caught.value.kind is ErrorKind.UNAUTHORISED
    assert SECRET not in str(caught.value)
    assert all(SECRET not in str(seen.headers) for seen in registry.requests)


async def test_a_realm_that_is_not_followed_has_no_helper_run(
    registry: FakeRegistry, other: FakeRegistry, client: RegistryClient, helper: FakeHelper
) -> None:
    registry.login = Login(realm=f"{other.url}/token")
    with pytest.raises(PermanentFailure) as caught:
        await pull(registry, client)
    assert caught.value.kind is ErrorKind.REFUSED
    assert (helper.runs, other.requests) == ([], [])


def alive(pid: int | None) -> bool:
    """Whether a process runs: one that is dead and not waited for does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
