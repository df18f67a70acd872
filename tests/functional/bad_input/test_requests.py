"""HTTP that no API server speaks: a clear error, and nobody else waits for it."""

import asyncio
import json

import pytest

from tests.functional.bad_input.conftest import (
    GOOD,
    KNOWN,
    PATIENCE,
    Caller,
    connection,
    request,
)
from tests.house import House, pod, review_of

MIB = 2**20


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/json-patch+json",
        "application/vnd.kubernetes.protobuf",
        "multipart/form-data; boundary=x",
        "json",
        "",
        "application/json, text/plain",
        "application/\tjson",
        "é",
    ],
)
async def test_another_content_type(caller: Caller, content_type: str) -> None:
    answer = await caller.refused(GOOD, headers={"Content-Type": content_type})
    assert answer.http == 415
    assert caller.lines == []


async def test_no_content_type(caller: Caller) -> None:
    async with connection(caller.home) as raw:
        await raw.send(
            request(GOOD, caller.path).replace(b"Content-Type: application/json\r\n", b"")
        )
        assert (await raw.answer())[0] == 415


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"],
)
async def test_json_by_another_name(caller: Caller, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert (await caller.home.post(GOOD, path=caller.path, headers=headers)).allowed


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "X"]
)
async def test_another_method(caller: Caller, method: str) -> None:
    async with connection(caller.home) as raw:
        await raw.send(request(GOOD, caller.path).replace(b"POST", method.encode(), 1))
        status, head, body = await raw.answer()
        assert status in (400, 405)
        if status == 405:
            assert b"Allow: POST\r\n" in head
            assert json.loads(body)["error"] == "send the review with POST"


async def test_the_head_of_an_answer_alone(caller: Caller) -> None:
    url = f"{caller.home.sites.reviews.url}{caller.path}"
    async with caller.home.session.head(url) as answer:
        assert answer.status == 405


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//validate",
        "/validate/",
        "/Validate",
        "/validate/../validate",
        "/%76alidate",
        "/validate%2F",
        "/validate;x",
        "/validate#x",
        "/mutate/validate",
        "/metrics",
        "/livez",
        "/" + "a" * 4_000,
        "https://127.0.0.1/validate",
        "*",
    ],
)
async def test_another_path(home: House, path: str) -> None:
    async with connection(home) as raw:
        await raw.send(request(GOOD, path))
        status, _, body = await raw.answer()
        assert status in (400, 404)
        if status == 404:
            assert json.loads(body)["error"] == "send reviews to /validate or /mutate"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "timeout=",
        "timeout=abc",
        "timeout=-5s",
        "timeout=0s",
        "timeout=0.0000001ms",
        "timeout=1e9s",
        "timeout=" + "9" * 4_000 + "s",
        "timeout=5s&timeout=1ms",
        "timeout=5%73",
        "&&&=&" * 500,
        "a" * 4_000,
    ],
)
async def test_a_timeout_that_is_none(caller: Caller, query: str) -> None:
    async with asyncio.timeout(PATIENCE):
        assert (await caller.home.post(GOOD, path=caller.path, query=query)).allowed
        review = json.dumps(review_of(pod("ghcr.io/team/unknown:1"))).encode()
        answer = await caller.home.post(review, path=caller.path, query=query)
    caller.check(answer)


@pytest.mark.parametrize("more", ["", "Connection: keep-alive\r\n"])
async def test_http_1_0(caller: Caller, more: str) -> None:
    async with connection(caller.home) as raw:
        await raw.send(request(GOOD, caller.path, version="1.0", more=more))
        status, head, body = await raw.answer()
        assert (status, json.loads(body)["response"]["allowed"]) == (200, True)
        assert (b"Connection: keep-alive" in head) == bool(more)
        if not more:
            assert await raw.closed()


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0", "9.9", "x"])
async def test_an_http_that_is_none(home: House, version: str) -> None:
    async with connection(home) as raw:
        await raw.send(request(GOOD, version=version))
        status, _, body = await raw.answer()
        assert status in (200, 400)
        assert status == 400 or json.loads(body)["response"]["uid"]
    assert (await home.review(KNOWN)).allowed


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 1_000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        b"POST /validate\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost x\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /validate HTTP/1.1\r\nHost: x\r\n" + b"A: a\r\n" * 1_000 + b"\r\n",
        b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_no_http(caller: Caller, garbage: bytes) -> None:
    async with asyncio.timeout(PATIENCE), connection(caller.home) as raw:
        await raw.send(garbage)
        status, _, _ = await raw.answer()
        assert 400 <= status < 500
        assert await raw.closed()
    assert len(caller.lines) <= 1
    assert (await caller.good()).allowed


async def test_no_tls(home: House) -> None:
    reader, writer = await asyncio.open_connection(home.sites.reviews.host, home.sites.reviews.port)
    writer.write(request(GOOD))
    async with asyncio.timeout(PATIENCE):
        assert not (await reader.read()).startswith(b"HTTP")
    writer.close()
    assert (await home.review(KNOWN)).allowed


async def test_requests_in_one_go_are_answered_each_under_its_uid(caller: Caller) -> None:
    uids = [b"uid-%d" % number for number in range(20)]
    own = json.loads(GOOD)["request"]["uid"].encode()
    async with connection(caller.home) as raw:
        await raw.send(b"".join(request(GOOD.replace(own, uid), caller.path) for uid in uids))
        answers = [json.loads((await raw.answer())[2]) for _ in uids]
    assert [answer["response"]["uid"].encode() for answer in answers] == uids


async def test_a_bad_one_among_requests_in_one_go_ends_them(caller: Caller) -> None:
    good, bad = request(GOOD, caller.path), request(b"hello", caller.path)
    async with connection(caller.home) as raw:
        await raw.send(good + bad + good)
        assert (await raw.answer())[0] == 200
        status, head, _ = await raw.answer()
        assert (status, b"Connection: close" in head) == (400, True)
        assert await raw.closed()


async def test_what_a_body_hides_behind_its_length_is_no_review(caller: Caller) -> None:
    hidden = request(GOOD, caller.path)
    async with connection(caller.home) as raw:
        await raw.send(request(b"{}" + hidden, caller.path))
        assert (await raw.answer())[0] == 400
        assert await raw.closed()


async def test_expect_100_continue(caller: Caller) -> None:
    whole = request(GOOD, caller.path, more="Expect: 100-continue\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE), connection(caller.home) as raw:
        await raw.send(head + b"\r\n\r\n")
        assert await raw.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await raw.send(body)
        status, _, answer = await raw.answer()
        assert (status, json.loads(answer)["response"]["allowed"]) == (200, True)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Content-Length: ", b"Content-Length: 1000000"), 413),
        ((b"application/json", b"text/plain"), 415),
        ((b"POST", b"PUT"), 405),
        ((b"mutate", b"metrics"), 404),
        ((b"validate", b"metrics"), 404),
    ],
)
async def test_who_asks_before_sending_a_body_that_is_not_wanted_is_told_so(
    caller: Caller, change: tuple[bytes, bytes], status: int
) -> None:
    head = request(GOOD, caller.path, more="Expect: 100-continue\r\n").partition(b"\r\n\r\n")[0]
    if change[0] not in head:
        return
    async with asyncio.timeout(PATIENCE), connection(caller.home) as raw:
        await raw.send(head.replace(*change, 1) + b"\r\n\r\n")
        assert (await raw.answer())[0] == status


async def test_another_expectation_is_not_met_and_the_review_answered(caller: Caller) -> None:
    async with connection(caller.home) as raw:
        await raw.send(request(GOOD, caller.path, more="Expect: wonders\r\n"))
        assert (await raw.answer())[0] == 200
