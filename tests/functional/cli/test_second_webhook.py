"""The second webhook, asked over real HTTP: what counts as its answer, and who is never asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.cli.beside.comparing import Compared, Ours, Stand, compare, compare_records
from services.cli.beside.second import (
    AT_A_TIME,
    GIVE_UP,
    MAX_ANSWER,
    MAX_TOKEN,
    SecondWebhook,
    Theirs,
    second_webhook,
)
from services.cli.reviews import Asker, pod_of_image, review_of
from services.cli.webhook_client import TIMEOUT
from shared.domain.decision import State
from shared.domain.errors import InvalidSettings
from shared.ports.decisions import MAX_IMAGES, DecisionRecord
from shared.runtime.http import serve

REVIEW = review_of(pod_of_image("nginx", name="web", namespace="shop"), asker=Asker("ada"))
UID = REVIEW["request"]["uid"]

Handler = Callable[[web.Request], Awaitable[web.Response]]


def answer(allowed: bool = True, **more: Any) -> dict[str, Any]:
    return {"response": {"uid": UID, "allowed": allowed, **more}}


@asynccontextmanager
async def asked(handler: Handler) -> AsyncIterator[SecondWebhook]:
    app = web.Application()
    app.router.add_post("/reviews", handler)
    async with serve(app) as bound, aiohttp.ClientSession() as session:
        yield SecondWebhook(url=f"{bound.url}/reviews", session=session, every=0)


async def theirs(handler: Handler) -> Theirs:
    async with asked(handler) as second:
        return await second.ask(REVIEW)


@pytest.mark.parametrize(
    ("told", "known"),
    [
        (answer(), Theirs(True)),
        (answer(False), Theirs(False)),
        (answer(False, status={"message": "no"}), Theirs(False, "no")),
        (answer(False, status={"code": 403}), Theirs(False)),
    ],
)
@pytest.mark.parametrize("status", [200, 201])
async def test_an_answer_is_allowed_or_not_with_what_it_says(
    told: Any, known: Theirs, status: int
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(told, status=status)

    assert await theirs(handler) == known


@pytest.mark.parametrize("status", [202, 204, 400, 404, 503])
async def test_any_other_status_is_no_answer_whatever_stands_in_it(status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(answer(), status=status)

    known = await theirs(handler)
    assert known.allowed is None
    assert known.message.startswith(f"HTTP {status}")


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"response": None},
        {"response": {"uid": UID}},
        {"response": {"uid": UID, "allowed": "true"}},
        {"response": {"uid": UID, "allowed": 1}},
    ],
)
async def test_what_does_not_say_whether_it_is_allowed_is_no_answer(told: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(told)

    known = await theirs(handler)
    assert known.allowed is None
    assert "answered no AdmissionReview" in known.message


@pytest.mark.parametrize("uid", ["", "another"])
async def test_the_answer_to_another_review_is_none(uid: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"response": {"uid": uid, "allowed": True}})

    assert await theirs(handler) == Theirs(None, "it answered another review than was asked")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_nobody_is_asked_whom_it_sends_us_to(status: int) -> None:
    elsewhere: list[str] = []

    async def other(request: web.BaseRequest) -> web.Response:
        elsewhere.append(request.path)
        return web.json_response(answer())

    async with serve(other) as bound:

        async def handler(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{bound.url}/x"})

        known = await theirs(handler)
    assert known.allowed is None
    assert elsewhere == []


async def test_it_is_asked_as_an_api_server_asks_and_always_as_a_dry_run() -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.content_type, request.query.get("timeout"), await request.json()))
        return web.json_response(answer())

    await theirs(handler)
    ((content_type, timeout, review),) = seen
    assert (content_type, timeout) == ("application/json", f"{TIMEOUT}s")
    sent = {**REVIEW, "request": {**REVIEW["request"], "dryRun": True}}
    assert review == json.loads(json.dumps(sent))
    assert REVIEW["request"]["dryRun"] is False


async def test_an_answer_may_be_as_long_as_an_api_server_would_take() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=json.dumps(answer()).encode().ljust(size))

    size = MAX_ANSWER
    assert await theirs(handler) == Theirs(True)
    size = MAX_ANSWER + 1
    assert (await theirs(handler)).allowed is None


async def test_it_is_given_up_only_after_so_many_failures_in_a_row() -> None:
    good = {GIVE_UP, 2 * GIVE_UP}
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.json_response(answer(), status=200 if count in good else 500)

    async with asked(handler) as second:
        known = [await second.ask(REVIEW) for _ in range(3 * GIVE_UP + 2)]
    assert count == 3 * GIVE_UP
    assert [at for at, each in enumerate(known, start=1) if each.allowed] == sorted(good)
    assert {each.message for each in known[-2:]} == {
        f"not asked: it did not answer {GIVE_UP} times in a row"
    }


async def test_only_so_many_questions_are_under_way_at_a_time() -> None:
    under_way, most = 0, 0
    full = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if most == AT_A_TIME:
            full.set()
        await full.wait()
        # One more would come while these are under way.
        await asyncio.sleep(0.05)
        under_way -= 1
        return web.json_response(answer())

    async with asked(handler) as second:
        known = await asyncio.gather(*(second.ask(REVIEW) for _ in range(3 * AT_A_TIME)))
    assert (most, {each.allowed for each in known}) == (AT_A_TIME, {True})


def stands(allowed: bool | None) -> dict[State, Stand]:
    """What each of our answers is beside such a one of theirs."""

    async def ask() -> dict[State, Stand]:
        async def handler(request: web.Request) -> web.Response:
            return web.json_response(answer(bool(allowed)), status=200)

        async def silent(request: web.Request) -> web.Response:
            return web.Response(status=500)

        async with asked(silent if allowed is None else handler) as second:
            return {
                state: (await compare(Ours("Pod a/b", (), state, ""), REVIEW, second)).stand
                for state in State
            }

    return asyncio.run(ask())


WE_LET_IN = {State.PASS, State.TURNED, State.EXCEPTED, State.EXEMPT}
WE_REFUSE = {State.FAIL, State.ERROR, State.INVALID, State.REFUSED, State.UNPINNED}


def test_who_lets_in_what_the_other_refuses_is_laxer_and_what_nobody_could_say_is_neither() -> None:
    theirs_allow, theirs_refuse = stands(True), stands(False)
    for state in State:
        both = (theirs_allow[state], theirs_refuse[state])
        if state in WE_LET_IN:
            assert both == (Stand.SAME, Stand.LAXER)
        elif state in WE_REFUSE:
            assert both == (Stand.STRICTER, Stand.SAME)
        else:
            assert both == (Stand.NOT_YET, Stand.NOT_YET)


def test_without_an_answer_of_theirs_nothing_is_known() -> None:
    assert set(stands(None).values()) == {Stand.UNKNOWN}


@pytest.mark.parametrize(
    ("count", "name", "namespace", "title"),
    [
        (MAX_IMAGES, "web", "shop", "Pod shop/web"),
        (MAX_IMAGES - 1, "", "shop", "Pod shop/(no name)"),
        (1, "web-*", "", "Pod web-*"),
    ],
)
async def test_a_decision_is_named_and_may_lack_images_where_as_many_as_fit_are_written_down(
    count: int, name: str, namespace: str, title: str
) -> None:
    record = DecisionRecord(
        at=1,
        allowed=False,
        state="fail",
        code=403,
        kind="Pod",
        namespace=namespace,
        name=name,
        user="ada",
        operation="CREATE",
        images=tuple(f"a:{at}" for at in range(count)),
        reason="refused by policy a",
    )

    async def handler(request: web.Request) -> web.Response:
        uid = (await request.json())["request"]["uid"]
        return web.json_response({"response": {"uid": uid, "allowed": True}})

    async with asked(handler) as second:
        (one,) = await compare_records([record], second)
    assert one == Compared(
        Ours(title, record.images, "fail", record.reason, cut=count == MAX_IMAGES),
        Theirs(True),
        Stand.STRICTER,
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x",
        "https://a.example:8443",
        "https://user@a.example/x",
        "http://127.0.0.1:8001/apis",
        "http://localhost:8001",
        "http://[::1]:8001/x",
    ],
)
async def test_https_is_asked_and_plain_http_on_this_machine(url: str) -> None:
    async with second_webhook(url) as second:
        assert second.url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/x",
        "http://127.0.0.1@a.example/x",
        "http://localhost.a.example",
        "http://10.0.0.1",
        "https:///x",
        "http:///x",
        "ftp://127.0.0.1/x",
        "unix:///run/x",
        "",
    ],
)
async def test_nobody_else_is_asked(url: str) -> None:
    with pytest.raises(InvalidSettings, match="--diff must be https://"):
        async with second_webhook(url):
            pass


@pytest.mark.parametrize("token", ["x", " x\n", "x" * 4096])
async def test_a_token_is_shown_as_it_stands_in_its_file(tmp_path: Path, token: str) -> None:
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response(answer())

    file = tmp_path / "token"
    file.write_text(token)
    async with (
        serve(handler) as bound,
        second_webhook(bound.url, token=file) as second,
    ):
        assert (await second.ask(REVIEW)).allowed
    assert seen == [f"Bearer {token.strip()}"]


@pytest.mark.parametrize("token", ["", "\n", "a\nb", "a\tb", "\u00e9", "x" * (MAX_TOKEN + 1)])
async def test_what_is_no_token_is_said_and_not_shown(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    with pytest.raises(InvalidSettings) as error:
        async with second_webhook("https://a.example", token=file):
            pass
    assert str(error.value) == f"{file}: holds no token: one line of ASCII, and nothing else"
