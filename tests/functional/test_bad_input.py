"""Whatever is sent: a clear error or a deny in bounded time, never an allow, never a 500."""

import asyncio
import contextlib
import gzip
import json
import resource
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.house import House, eventually, house, pod, review_of

JSON = {"Content-Type": "application/json"}
GOOD = json.dumps(review_of(pod("app:1"))).encode()
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
async def home(state: Path) -> AsyncIterator[House]:
    async with house(state, worker=False, wait=0.05) as running:
        yield running


def nested(depth: int) -> bytes:
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    return GOOD.replace(b'"spec"', b'"deep": ' + deep + b', "spec"')


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"hello", 400),
        (b"null", 400),
        (b"[" * 100_000, 400),
        (b'{"apiVersion": "\xff\xfe"}', 400),
        (GOOD.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"), 400),
        (GOOD.replace(b"AdmissionReview", b"ConversionReview"), 400),
        (GOOD.replace(b'"uid"', b'"no-uid"'), 400),
        (GOOD.replace(b"false", b"NaN"), 400),
        (b" " * (8 * 2**20), 413),
        (GOOD.replace(b'"containers": [', b'"containers": [' + b"{}," * 200_000), 413),
    ],
)
async def test_a_body_that_is_no_review_gets_a_json_error(
    home: House, body: bytes, status: int
) -> None:
    answer = await home.post(body)
    assert answer.http == status
    assert answer.body["error"]


async def test_an_object_that_is_not_utf_8_is_no_json(home: House) -> None:
    answer = await home.post(GOOD.replace(b'"app:1"', b'"\xff\xfe"'))
    assert answer.http == 400


@pytest.mark.parametrize("depth", [1_000, 10_000, 100_000])
async def test_a_deeply_nested_review_is_refused_or_denied(home: House, depth: int) -> None:
    answer = await home.post(nested(depth))
    assert answer.http in (400, 413) or not answer.allowed


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {**JSON, "Content-Encoding": "gzip"},
        {**JSON, "Content-Encoding": "deflate"},
        {**JSON, "Content-Encoding": "br"},
    ],
)
async def test_another_type_or_encoding_is_refused_with_415(
    home: House, headers: dict[str, str]
) -> None:
    encoding = headers.get("Content-Encoding")
    body = gzip.compress(GOOD) if encoding == "gzip" else GOOD
    answer = await home.post(body, headers=headers)
    assert answer.http == 415
    assert answer.body["error"].startswith("send the ")


async def test_a_second_encoding_behind_a_plain_one_is_not_unpacked(home: House) -> None:
    headers = [*JSON.items(), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    url = f"{home.sites.reviews.url}/validate"
    body = gzip.compress(GOOD)
    async with home.session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 400


async def test_a_gzip_bomb_is_not_unpacked(home: House) -> None:
    bomb = gzip.compress(b"\0" * (512 * 2**20), compresslevel=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = await home.post(bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.http == 415
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024


@pytest.mark.parametrize("mebibytes", [8, 100])
async def test_a_body_without_a_length_is_read_no_further_than_the_cap(
    home: House, mebibytes: int
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(mebibytes * 16):
            yield b" " * 65_536

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        url = f"{home.sites.reviews.url}/validate"
        async with home.session.post(url, data=endless(), headers=JSON) as answer:
            assert answer.status == 413
    except aiohttp.ClientConnectionError:
        pass  # it hung up on us while we were still sending
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 64 * 1024


async def test_a_body_that_comes_too_slowly_is_given_up(home: House) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.5)

    async with asyncio.timeout(10):
        try:
            url = f"{home.sites.reviews.url}/validate"
            async with home.session.post(url, data=slow(), headers=JSON) as answer:
                assert answer.status == 408
        except aiohttp.ClientConnectionError:
            pass


async def test_many_strangers_with_large_unfinished_reviews_fill_no_memory(home: House) -> None:
    large = 7 * 2**20
    head = (
        "POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {large}\r\n\r\n"
    ).encode()
    unfinished = head + b" " * (large - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with asyncio.TaskGroup() as group:
        strangers = [group.create_task(keep_sending(home, unfinished)) for _ in range(60)]

        async def full() -> bool:
            return (await home.post(b" " * 2**20)).http == 503

        await eventually(full)
        assert (await home.review("app:1")).code == 429
        await asyncio.sleep(1)
        for stranger in strangers:
            stranger.cancel()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 192 * 1024
    review = review_of(pod("app:1", more={"nodeName": "n" * 2**20}))
    await home.asked_until(review, lambda answer: answer.http == 200)


async def keep_sending(home: House, request: bytes) -> None:
    """Send all of it that is taken, and stay."""
    address = home.sites.reviews
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=anybody)
    with contextlib.suppress(ConnectionError):
        try:
            for start in range(0, len(request), 65_536):
                writer.write(request[start : start + 65_536])
                await writer.drain()
            await reader.read()
        finally:
            writer.close()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": {"group": "", "version": "v1", "kind": "Dragon"}},
        {"kind": {"group": "apps", "version": "v1", "kind": "Pod"}},
        {"kind": {"group": "", "version": "v2", "kind": "Pod"}},
        {"operation": "CONNECT"},
        {"operation": ""},
        {"object": None},
        {"object": []},
        {"object": {"spec": {"containers": "many"}}},
        {"object": {"spec": {"containers": [{"name": "a", "image": ["app:1"]}]}}},
        {"object": {"spec": {"containers": [{"name": "a"}]}}},
        {"object": {"spec": {"volumes": [{"name": "a", "image": {}}]}}},
        {"operation": "UPDATE", "oldObject": None},
    ],
)
async def test_an_object_that_cannot_be_judged_is_denied_under_its_uid(
    home: House, change: dict[str, Any]
) -> None:
    review = review_of(pod("app:1"))
    review["request"] |= change
    answer = await home.ask(review)
    assert answer.http == 200
    assert answer.response["uid"] == review["request"]["uid"]
    assert answer.code == 403


async def test_more_than_512_image_places_are_denied(home: House) -> None:
    answer = await home.review(*(f"app:{number}" for number in range(513)))
    assert answer.code == 403
    assert "more than 512 images" in answer.message


async def test_512_image_places_are_judged_in_time(home: House) -> None:
    async with asyncio.timeout(5):
        answer = await home.review(*(f"app:{number}" for number in range(512)))
    assert answer.code == 429


@pytest.mark.parametrize(
    "image",
    [
        "",
        "a" * 4096,
        "app\r\nX-Header: 1",
        f"app{ESCAPE}[2J:1",
        "аpp:1",
        "../../etc/passwd",
        "app@sha256:" + "A" * 64,
        "sha256:" + "a" * 64,
        "a" * 64,
        "http://registry/app",
        "[::1/app:1",
        "app:1\x00",
        "app:1@sha256:" + "a" * 64 + "@sha256:" + "b" * 64,
        "\u202eapp:1",
    ],
)
async def test_an_absurd_image_name_is_denied_and_shown_on_one_bounded_line(
    home: House, image: str
) -> None:
    answer = await home.review(image)
    assert answer.code == 403
    assert len(answer.message) <= 256
    assert answer.message.isprintable()


async def test_duplicate_keys_never_hide_an_image(home: House) -> None:
    twice = GOOD.replace(b'"image": "app:1"', b'"image": "app:1", "image": "NOT/A"')
    assert (await home.post(twice)).code == 403


async def test_another_path_or_method_is_not_found(home: House) -> None:
    url = home.sites.reviews.url
    async with home.session.get(f"{url}/validate") as answer:
        assert answer.status == 405
    async with home.session.post(f"{url}/", data=GOOD, headers=JSON) as answer:
        assert answer.status == 404


async def test_after_all_this_it_still_answers(home: House) -> None:
    assert (await home.review("app:1")).code == 429
    assert await home.ready() == 200
