"""Bodies that are too large, too deep or of too many things: refused in bounded time and memory."""

import gzip
import json

import pytest

from tests.functional.bad_input.conftest import (
    GOOD,
    IMAGE,
    JSON,
    KNOWN,
    Caller,
    connection,
    peak_mib,
    with_member,
)
from tests.house import pod, review_of

MIB = 2**20


@pytest.mark.parametrize("mebibytes", [8, 100])
async def test_8_and_100_mib_with_a_length(caller: Caller, mebibytes: int) -> None:
    head = (
        f"POST {caller.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {mebibytes * MIB}\r\n\r\n"
    )
    peak = peak_mib()
    async with connection(caller.home) as raw:
        await raw.send(head.encode())
        status, _, body = await raw.answer()
        assert (status, "larger than" in json.loads(body)["error"]) == (413, True)
        await raw.send(*[b" " * 65_536] * (mebibytes * 16))
    assert peak_mib() - peak < 64
    assert caller.lines == []


@pytest.mark.parametrize("mebibytes", [8, 100])
async def test_8_and_100_mib_in_chunks(caller: Caller, mebibytes: int) -> None:
    head = (
        f"POST {caller.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    peak = peak_mib()
    async with connection(caller.home) as raw:
        await raw.send(head.encode(), *[chunk] * (8 * 16))
        status, _, body = await raw.answer()
        assert (status, "larger than" in json.loads(body)["error"]) == (413, True)
        await raw.send(*[chunk] * ((mebibytes - 8) * 16))
    assert peak_mib() - peak < 64
    assert caller.lines == []


MANY = [b"{},", b'"",', b"[],", b'"ab",', b"1,", b'{"a":1},']


@pytest.mark.parametrize("unit", MANY)
@pytest.mark.parametrize("key", [b'"containers": [', b'"volumes": [', b'"image": ['])
async def test_7_mib_of_very_many_small_things(caller: Caller, key: bytes, unit: bytes) -> None:
    many = key + unit * (7 * MIB // len(unit) - 1_000) + b"1]"
    where = IMAGE if key.startswith(b'"image') else b'"containers": ['
    body = GOOD.replace(where, many + b', "was": [' if where != IMAGE else many)
    await caller.refused(body, mib=128)


@pytest.mark.parametrize("unit", MANY)
async def test_7_mib_of_very_many_small_things_that_nobody_reads(
    caller: Caller, unit: bytes
) -> None:
    many = unit * (7 * MIB // len(unit) - 1_000)
    peak = peak_mib()
    for where in (b'"spec": {', b'"metadata": {', b'"request": {'):
        body = with_member(b'"nodeSelector": [' + many + b"1]", where=where)
        assert (await caller.home.post(body, path=caller.path)).http in (200, 413)
    assert peak_mib() - peak < 128


@pytest.mark.parametrize(
    "where", [b'"spec": {', b'"metadata": {', b'"request": {', b'[{"name": "c0", ']
)
async def test_7_mib_of_keys(caller: Caller, where: bytes) -> None:
    keys = b",".join(b'"%d":1' % number for number in range(450_000))
    body = GOOD.replace(where, where + keys + b", ")
    assert len(GOOD) + 4 * MIB < len(body) < 7 * MIB
    peak = peak_mib()
    assert (await caller.home.post(body, path=caller.path)).http == 200
    assert peak_mib() - peak < 256


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
async def test_gzip_and_other_packed_bodies(caller: Caller, encoding: str) -> None:
    body = gzip.compress(GOOD) if encoding == "gzip" else GOOD
    answer = await caller.refused(body, headers={**JSON, "Content-Encoding": encoding})
    assert answer.http == 415


async def test_gzip_that_does_not_say_so(caller: Caller) -> None:
    assert (await caller.refused(gzip.compress(GOOD))).http == 400


async def test_a_second_encoding_behind_a_plain_one_is_not_unpacked(caller: Caller) -> None:
    headers = [*JSON.items(), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    url = f"{caller.home.sites.reviews.url}{caller.path}"
    body = gzip.compress(GOOD)
    async with caller.home.session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 400


async def test_a_gzip_bomb_is_not_unpacked(caller: Caller) -> None:
    bomb = gzip.compress(b"\0" * (256 * MIB), compresslevel=1)
    answer = await caller.refused(bomb, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.http == 415


@pytest.mark.parametrize("depth", [1_000, 10_000, 100_000])
@pytest.mark.parametrize("where", [b'"spec": {', b'"request": {', b'"metadata": {'])
@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
async def test_depth_10_000(
    caller: Caller, depth: int, where: bytes, opening: bytes, closing: bytes
) -> None:
    deep = b'"labels": ' + opening * depth + b"1" + closing * depth
    answer = await caller.refused(with_member(deep, where=where))
    assert answer.http in (400, 413)


async def test_more_than_512_image_places(caller: Caller) -> None:
    answer = await caller.review_refused(review_of(pod(*[KNOWN] * 513)))
    if caller.path == "/validate":
        assert "more than 512 images" in answer.message


async def test_512_image_places_are_judged(caller: Caller) -> None:
    review = json.dumps(review_of(pod(*[KNOWN] * 512))).encode()
    assert (await caller.home.post(review, path=caller.path)).allowed
