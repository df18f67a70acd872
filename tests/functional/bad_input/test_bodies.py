"""Bodies that are no review: a clear error in bounded time and memory, on no line of the log."""

import base64
import gzip
import json
from collections.abc import Callable

import pytest

from tests.functional.bad_input.conftest import GOOD, JSON, KNOWN, Caller, connection, peak_mib
from tests.house import pod, review_of

IMAGE = f'"image": "{KNOWN}"'.encode()
MIB = 2**20


def with_image(image: bytes) -> bytes:
    """The good review with this between the image's quotes."""
    assert IMAGE in GOOD
    return GOOD.replace(IMAGE, b'"image": "' + image + b'"')


def with_member(member: bytes, *, where: bytes = b'"spec": {') -> bytes:
    """The good review with one member more, first in the object whose beginning that is."""
    assert GOOD.count(where) == 1
    return GOOD.replace(where, where + member + b", ")


async def test_what_is_spoilt_here_would_pass_and_be_pinned(caller: Caller) -> None:
    answer = await caller.good()
    assert answer.allowed
    if caller.path == "/mutate":
        (operation,) = json.loads(base64.b64decode(answer.response["patch"]))
        assert operation["value"].startswith(f"{KNOWN}@sha256:")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b"null",
        b"true",
        b"1",
        b'"review"',
        b"[]",
        b"{}",
        GOOD[:-1],
        GOOD + b"}",
        GOOD + GOOD,
        GOOD.replace(b'"', b"'"),
        b"// review\n" + GOOD,
        GOOD.replace(b'"uid"', b"uid"),
        GOOD[:-1] + b",}",
    ],
)
async def test_no_json(caller: Caller, body: bytes) -> None:
    assert (await caller.refused(body)).http == 400
    assert caller.lines == []


@pytest.mark.parametrize(
    "change",
    [
        (b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"),
        (b"AdmissionReview", b"ConversionReview"),
        (b'"request": {', b'"request": null, "was": {'),
        (b'"request": {', b'"was": {'),
        (b'"request": {', b'"request": [], "was": {'),
        (b'"request": {', b'"request": "", "was": {'),
        (b'"uid": ', b'"no-uid": '),
        (b'"uid": ', b'"uid": "", "no-uid": '),
        (b'"uid": ', b'"uid": null, "no-uid": '),
        (b'"uid": ', b'"uid": 7, "no-uid": '),
        (b'"uid": "', b'"uid": "' + b"u" * MIB),
    ],
)
async def test_no_review_and_no_uid(caller: Caller, change: tuple[bytes, bytes]) -> None:
    assert change[0] in GOOD
    assert (await caller.refused(GOOD.replace(*change, 1))).http == 400


KEYS = {
    "apiVersion": b'{"apiVersion": ',
    "request": b'"request": ',
    "uid": b'"uid": ',
    "kind": b'"kind": {',
    "operation": b'"operation": ',
    "namespace": b'"namespace": "team", "operation"',
    "userInfo": b'"userInfo": ',
    "username": b'"username": ',
    "object": b'"object": ',
    "oldObject": b'"oldObject": ',
    "dryRun": b'"dryRun": ',
    "metadata": b'"metadata": ',
    "spec": b'"spec": ',
    "containers": b'"containers": ',
    "name": b'"name": "c0"',
    "image": b'"image": ',
    "imagePullPolicy": b'"imagePullPolicy": ',
}
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as itself": lambda key: key,
    "escaped": lambda key: f"\\u{ord(key[0]):04x}{key[1:]}",
    "in another case": lambda key: key[0].upper() + key[1:],
    "in capitals": str.upper,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", KEYS)
async def test_duplicate_keys(caller: Caller, key: str, spelling: str) -> None:
    own = KEYS[key]
    start = GOOD.index(own) + own.startswith(b"{")
    value, _ = json.JSONDecoder().raw_decode(GOOD[GOOD.index(b":", start) + 1 :].decode().lstrip())
    again = f'"{SPELLINGS[spelling](key)}": {json.dumps(value)}, '.encode()
    await caller.refused(GOOD[:start] + again + GOOD[start:])


async def test_duplicate_keys_never_hide_an_image(caller: Caller) -> None:
    for images in (b'"image": "evil", ' + IMAGE, IMAGE + b', "image": "evil"'):
        await caller.refused(GOOD.replace(IMAGE, images))


@pytest.mark.parametrize(
    "number", [b"NaN", b"Infinity", b"-Infinity", b"nan", b"0x1", b"01", b"+1"]
)
@pytest.mark.parametrize("where", [b'"spec": {', b'"request": {', b'"metadata": {'])
async def test_nan_infinity_and_other_numbers_that_json_has_not(
    caller: Caller, number: bytes, where: bytes
) -> None:
    answer = await caller.refused(with_member(b'"priority": ' + number, where=where))
    assert answer.http == 400


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 100_000, b"1." + b"0" * 100_000])
@pytest.mark.parametrize("key", ["uid", "namespace", "operation", "dryRun", "image", "name"])
async def test_huge_numbers_where_something_else_is_wanted(
    caller: Caller, key: str, number: bytes
) -> None:
    own = KEYS[key] if key != "image" else b'"image": '
    at = GOOD.index(own)
    await caller.refused(
        GOOD[:at] + f'"{key}": '.encode() + number + b', "was": 1, "_' + GOOD[at + 1 :]
    )


async def test_a_huge_number_that_nobody_reads_changes_nothing(caller: Caller) -> None:
    body = with_member(b'"priority": 1e400, "terminationGracePeriodSeconds": ' + b"9" * 100_000)
    assert (await caller.home.post(body, path=caller.path)).allowed


@pytest.mark.parametrize(
    "change",
    [
        (IMAGE, b'"image": 1'),
        (IMAGE, b'"image": true'),
        (IMAGE, b'"image": ["app"]'),
        (IMAGE, b'"image": {"reference": "app"}'),
        (b'"name": "c0"', b'"name": 1'),
        (b'"name": "c0"', b'"name": false'),
        (b'"imagePullPolicy": "IfNotPresent"', b'"imagePullPolicy": 0'),
        (b'"namespace": "team", "operation"', b'"namespace": 1, "operation"'),
        (b'"operation": "CREATE"', b'"operation": true'),
        (b'"operation": "CREATE"', b'"operation": null'),
        (b'"dryRun": false', b'"dryRun": "false"'),
        (b'"dryRun": false', b'"dryRun": 0'),
        (b'"username": ', b'"username": 1, "was": '),
        (b'"version": "v1"', b'"version": 1'),
        (b'"kind": {', b'"kind": "Pod", "was": {'),
        (b'"containers": [', b'"containers": {}, "was": ['),
        (b'"containers": [', b'"containers": "[]", "was": ['),
        (b'"containers": [', b'"containers": 0, "was": ['),
        (b'"containers": [', b'"containers": [null, '),
        (b'"containers": [', b'"containers": [[], '),
        (b'"spec": {', b'"spec": [], "was": {'),
        (b'"spec": {', b'"spec": null, "was": {'),
        (b'"metadata": {', b'"metadata": "", "was": {'),
        (b'"object": {', b'"object": true, "was": {'),
        (b'"object": {', b'"object": [], "was": {'),
        (b'"object": {', b'"object": null, "was": {'),
    ],
)
async def test_numbers_truths_and_lists_where_texts_and_objects_are_wanted(
    caller: Caller, change: tuple[bytes, bytes]
) -> None:
    assert change[0] in GOOD
    await caller.refused(GOOD.replace(*change, 1))


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
        await raw.send(head.encode(), *[chunk] * (mebibytes * 16))
        status, _, body = await raw.answer()
        assert (status, "larger than" in json.loads(body)["error"]) == (413, True)
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


@pytest.mark.parametrize(
    "body",
    [
        with_image(b"\xff\xfe"),
        with_image(b"app\xc3:1"),
        with_image(b"\xc0\xaf"),
        with_image(b"\xed\xa0\x80"),
        with_image(b"\xf5\x80\x80\x80"),
        GOOD.replace(b'"name": "c0"', b'"name": "\xff"'),
        GOOD.replace(b'"name": "p"', b'"name": "\xff"'),
        GOOD.replace(b'"namespace": "team"', b'"namespace": "\xff"'),
        GOOD.replace(b'"image":', b'"im\xe4ge": 1, "image":'),
        with_member(b'"\xff": 1'),
        with_member(b'"note": "\xff"'),
        with_member(b'"labels": {"\xff": "a"}', where=b'"metadata": {'),
        with_member(b'"labels": {"a": "\xff"}', where=b'"metadata": {'),
        GOOD.decode().encode("utf-16"),
        GOOD.decode().encode("utf-16-le"),
        GOOD.decode().encode("utf-32"),
        GOOD.replace(KNOWN.encode(), "äpp".encode("latin-1")),
    ],
)
async def test_invalid_utf_8(caller: Caller, body: bytes) -> None:
    assert body != GOOD
    assert (await caller.refused(body)).http == 400


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe"])
async def test_a_byte_order_mark(caller: Caller, mark: bytes) -> None:
    assert (await caller.refused(mark + GOOD)).http == 400


@pytest.mark.parametrize(
    "surrogate", [b"\\ud800", b"\\udc00", b"\\ud800\\ud800", b"\\udbff\\u0041"]
)
@pytest.mark.parametrize(
    ("what", "by"),
    [
        (KNOWN.encode(), b"app%b:1"),
        (b'"name": "c0"', b'"name": "%b"'),
        (b'"namespace": "team"', b'"namespace": "%b"'),
        (b'"spec": {', b'"spec": {"%b": 1, '),
        (b'"spec": {', b'"spec": {"note": "%b", '),
    ],
)
async def test_lone_surrogates(caller: Caller, what: bytes, by: bytes, surrogate: bytes) -> None:
    await caller.refused(GOOD.replace(what, by % surrogate))


async def test_more_than_512_image_places(caller: Caller) -> None:
    answer = await caller.review_refused(review_of(pod(*[KNOWN] * 513)))
    if caller.path == "/validate":
        assert "more than 512 images" in answer.message


async def test_512_image_places_are_judged(caller: Caller) -> None:
    review = json.dumps(review_of(pod(*[KNOWN] * 512))).encode()
    assert (await caller.home.post(review, path=caller.path)).allowed
