"""Each way to log in to Anchore: what is sent, when it is renewed, and that nobody sees it."""

import asyncio
import base64
import json
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.adapters.anchore.answers import answer_of
from shared.adapters.anchore.calls import Call, Limits, nobody
from shared.adapters.anchore.detect import DetectedAnchore, Detection
from shared.adapters.anchore.login import BasicLogin, Login, NoToken, OAuthLogin, TokenLogin
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import QUICK

LIST = Call(operation="policies", method="GET", path="/v2/policies")
SECRET = "hunter2hunter2"


class Drawer:
    """Where a secret lies, and may be exchanged."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self) -> str:
        return self.text


@pytest.fixture
async def anchore() -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore(api="v2", password=SECRET) as fake:
        yield fake


@asynccontextmanager
async def logged_in(
    anchore: FakeAnchore, login: Login, faults: list[str] | None = None
) -> AsyncIterator[AnchoreTransport]:
    def note(_: str, fault: str) -> None:
        if faults is not None:
            faults.append(str(fault))

    async with AnchoreTransport(
        url=anchore.url, login=login, limits=QUICK, on_fault=note if faults is not None else nobody
    ) as transport:
        yield transport


def oauth(password: str = SECRET, *, clock: Clock | None = None) -> OAuthLogin:
    return OAuthLogin(user="admin", password=Drawer(password), clock=clock or SystemClock())


async def test_a_user_and_a_password(anchore: FakeAnchore) -> None:
    login = BasicLogin(user="admin", password=Drawer(SECRET))
    async with logged_in(anchore, login) as transport:
        assert (await transport.call(LIST)).status == 200


async def test_an_api_key_is_a_password_of_a_user_of_its_own(anchore: FakeAnchore) -> None:
    anchore.users.api_keys.add("key-1")
    for key, status in (("key-1", 200), ("key-2", 401)):
        login = BasicLogin(user="_api_key", password=Drawer(key))
        async with logged_in(anchore, login) as transport:
            assert (await transport.call(LIST)).status == status


async def test_a_token_that_somebody_else_made(anchore: FakeAnchore) -> None:
    anchore.users.allow("token-of-theirs")
    for token, status in (("token-of-theirs", 200), ("another", 401)):
        async with logged_in(anchore, TokenLogin(token=Drawer(token))) as transport:
            assert (await transport.call(LIST)).status == status


async def test_without_a_password_nothing_is_proved(anchore: FakeAnchore) -> None:
    async with AnchoreTransport(url=anchore.url, user="admin", limits=QUICK) as transport:
        assert (await transport.call(LIST)).status == 401


@pytest.mark.parametrize("kind", ["basic", "token"])
async def test_a_secret_that_was_exchanged_counts_at_the_next_call(
    anchore: FakeAnchore, kind: str
) -> None:
    drawer = Drawer("old-secret")
    login: Login = TokenLogin(token=drawer)
    if kind == "basic":
        login = BasicLogin(user="admin", password=drawer)
    async with logged_in(anchore, login) as transport:
        assert (await transport.call(LIST)).status == 401
        assert anchore.store.calls["policies"] == 1
        drawer.text = SECRET
        anchore.users.allow(SECRET)
        assert (await transport.call(LIST)).status == 200


async def test_a_secret_that_is_exchanged_while_we_ask_is_tried_at_once(
    anchore: FakeAnchore,
) -> None:
    secrets = iter(["old-secret", SECRET, SECRET])
    login = BasicLogin(user="admin", password=lambda: next(secrets))
    async with logged_in(anchore, login) as transport:
        assert (await transport.call(LIST)).status == 200
    assert anchore.store.calls["policies"] == 2


async def test_a_token_is_fetched_once_for_many_calls(anchore: FakeAnchore) -> None:
    async with logged_in(anchore, oauth()) as transport:
        answers = await asyncio.gather(*(transport.call(LIST) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert anchore.store.calls == {"oauth_token": 1, "policies": 20}


@pytest.mark.parametrize("life", [-5, 0, 1e-9])
async def test_a_token_that_is_said_to_end_at_once_is_not_fetched_for_each_call(
    anchore: FakeAnchore, life: float
) -> None:
    anchore.users.allow("given")
    given = {"access_token": "given", "expires_in": life}
    anchore.store.fault("oauth_token", "json", value=json.dumps(given))
    async with logged_in(anchore, oauth(clock=FakeClock())) as transport:
        for _ in range(5):
            assert (await transport.call(LIST)).status == 200
    assert anchore.store.calls["oauth_token"] == 1


def test_no_repr_of_what_is_sent_or_answered_shows_a_secret() -> None:
    sent = Call(operation="x", method="POST", path="/v2/x", body={"p": SECRET}, form={"p": SECRET})
    assert repr(sent) == "Call(x, POST /v2/x, account='')"
    answered = answer_of(200, json.dumps({"access_token": SECRET}).encode())
    assert repr(answered) == f"Answer(200, {answered.size} bytes)"
    assert SECRET not in repr(NoToken(sent, answered))


async def test_cookies_are_not_kept() -> None:
    """A session that somebody in front of Anchore opens would outlive the login."""
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        session = f"session{len(seen)}=mine; Path=/"
        return web.json_response([], headers={"Set-Cookie": session})

    app = web.Application()
    app.router.add_get("/v2/policies", answer)
    async with (
        TestServer(app) as server,
        AnchoreTransport(url=str(server.make_url("/")), user="admin", password=SECRET) as transport,
    ):
        for _ in range(3):
            assert (await transport.call(LIST)).status == 200
    assert seen == [None, None, None]


async def test_a_token_is_renewed_before_it_ends(anchore: FakeAnchore) -> None:
    clock = FakeClock()
    async with logged_in(anchore, oauth(clock=clock)) as transport:
        for seconds, fetched in ((0, 1), (2_870, 1), (20, 2), (2_870, 2), (20, 3)):
            clock.advance(1000 * seconds)
            assert (await transport.call(LIST)).status == 200
            assert anchore.store.calls["oauth_token"] == fetched


async def test_while_no_other_is_given_the_old_token_counts_to_its_end(
    anchore: FakeAnchore,
) -> None:
    clock = FakeClock()
    async with logged_in(anchore, oauth(clock=clock)) as transport:
        assert (await transport.call(LIST)).status == 200
        anchore.store.fault("oauth_token", "500")
        clock.advance(3_000_000)
        assert (await transport.call(LIST)).status == 200
        clock.advance(700_000)
        with pytest.raises(TransientFailure, match="answered 500 to oauth_token"):
            await transport.call(LIST)


async def test_a_token_that_was_taken_back_is_renewed_once(anchore: FakeAnchore) -> None:
    async with logged_in(anchore, oauth()) as transport:
        await transport.call(LIST)
        anchore.users.tokens.clear()
        assert (await transport.call(LIST)).status == 200
        assert anchore.store.calls["oauth_token"] == 2
        anchore.store.fault("policies", "401")
        assert (await transport.call(LIST)).status == 401
        assert anchore.store.calls["oauth_token"] == 3


async def test_many_whose_token_was_taken_back_renew_it_once(anchore: FakeAnchore) -> None:
    async with logged_in(anchore, oauth()) as transport:
        await transport.call(LIST)
        anchore.users.tokens.clear()
        answers = await asyncio.gather(*(transport.call(LIST) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert anchore.store.calls["oauth_token"] == 2


async def test_a_password_that_gets_no_token_is_ours_to_set_right(anchore: FakeAnchore) -> None:
    faults: list[str] = []
    async with logged_in(anchore, oauth("wrong-password"), faults) as transport:
        with pytest.raises(PermanentFailure, match="Invalid credentials") as failure:
            await transport.call(LIST)
    assert failure.value.kind is ErrorKind.MISCONFIGURED
    assert "Check ANCHORE_USER and ANCHORE_PASSWORD" in str(failure.value)
    assert "wrong-password" not in str(failure.value)
    assert anchore.store.calls == {"oauth_token": 1}
    assert faults == ["no_token"]


@pytest.mark.parametrize(
    "text", ["hunter2-first\nhunter2-second", "hunter2 ", "", "hunter2-ö", "hunter2\x7f", "a\tb"]
)
async def test_a_token_that_no_header_can_hold_is_told_and_not_shown(
    anchore: FakeAnchore, text: str
) -> None:
    async with logged_in(anchore, TokenLogin(token=Drawer(text))) as transport:
        with pytest.raises(PermanentFailure, match="ANCHORE_TOKEN holds no token") as failure:
            await transport.call(LIST)
    assert failure.value.kind is ErrorKind.MISCONFIGURED
    assert "hunter2" not in "".join(traceback.format_exception(failure.value))
    assert anchore.store.calls == {}


async def test_a_token_of_anchores_that_no_header_can_hold_is_none(anchore: FakeAnchore) -> None:
    given = {"access_token": "hunter2\nhunter2", "expires_in": 3600}
    anchore.store.fault("oauth_token", "json", value=json.dumps(given))
    async with logged_in(anchore, oauth("password")) as transport:
        with pytest.raises(TransientFailure) as failure:
            await transport.call(LIST)
    assert "hunter2" not in "".join(traceback.format_exception(failure.value))


ODD = 'hunt+er2&"wörd \\x'


@pytest.mark.parametrize(
    "written",
    [ODD, json.dumps(ODD), json.dumps(ODD, ensure_ascii=False), quote_plus(ODD), quote(ODD)],
)
async def test_a_password_is_not_shown_however_it_is_written(
    anchore: FakeAnchore, written: str
) -> None:
    anchore.store.fault("oauth_token", "400", value=f"what is password={written}?")
    async with logged_in(anchore, oauth(ODD)) as transport:
        with pytest.raises(PermanentFailure, match=r"what is password=.*\*\*\*") as failure:
            await transport.call(LIST)
    assert "er2" not in str(failure.value)


async def test_the_beginning_of_a_long_token_is_not_shown_either(anchore: FakeAnchore) -> None:
    token = "hunter2" * 300
    async with logged_in(anchore, TokenLogin(token=Drawer(token))) as transport:
        await transport.call(Call(operation="version", method="GET", path="/version"))
        page = answer_of(500, f"who is {token}?".encode())
        assert transport.clean(page.text) == "who is ***?"


async def test_a_server_without_tokens_says_what_to_do() -> None:
    async with (
        FakeAnchore(api="v1", password=SECRET) as anchore,
        logged_in(anchore, oauth()) as transport,
    ):
        with pytest.raises(PermanentFailure, match="set ANCHORE_AUTH=basic"):
            await transport.call(LIST)


@pytest.mark.parametrize("kind", ["500", "html", "hang", "close", "429", "cut", "huge"])
async def test_no_token_for_a_while_is_no_refusal(anchore: FakeAnchore, kind: str) -> None:
    anchore.store.fault("oauth_token", kind)
    limits = Limits(attempts=2, attempt=0.3, total=5.0, pause=0.01, longest_pause=0.02)
    async with AnchoreTransport(url=anchore.url, login=oauth(), limits=limits) as transport:
        with pytest.raises(TransientFailure):
            await transport.call(LIST)
        anchore.store.heal()
        assert (await transport.call(LIST)).status == 200


async def test_the_version_needs_no_token(anchore: FakeAnchore) -> None:
    anchore.store.fault("oauth_token", "500")
    async with logged_in(anchore, oauth()) as transport:
        assert await Detection(transport=transport).api() == "v2"


@pytest.mark.parametrize("kind", ["basic", "token", "oauth"])
async def test_no_secret_is_in_a_message_a_log_line_a_repr_or_a_traceback(
    anchore: FakeAnchore, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    anchore.users.allow(SECRET)
    logins: dict[str, Login] = {
        "basic": BasicLogin(user="admin", password=Drawer(SECRET)),
        "token": TokenLogin(token=Drawer(SECRET)),
        "oauth": oauth(),
    }
    async with logged_in(anchore, logins[kind]) as transport:
        anchore.store.fault("policies", "echo")
        with pytest.raises(TransientFailure) as failure:
            await transport.call(LIST)
        scanner = DetectedAnchore(
            detection=Detection(transport=transport), transport=transport, clock=FakeClock()
        )
        everything = "\n".join(
            (
                *traceback.format_exception(failure.value),
                *(record.getMessage() for record in caplog.records),
                *map(repr, (transport, scanner, logins[kind], vars(transport))),
            )
        )
    assert "***" in str(failure.value)
    secrets = [SECRET, base64.b64encode(f"admin:{SECRET}".encode()).decode()]
    for secret in (*secrets, *anchore.users.tokens):
        assert secret not in everything
