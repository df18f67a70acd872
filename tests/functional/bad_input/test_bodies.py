"""Bodies that are no review: a clear error in bounded time and memory, on no line of the log."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.functional.bad_input.conftest import GOOD, IMAGE, KNOWN, Caller, with_member

MIB = 2**20


def with_image(image: bytes) -> bytes:
    """The good review with this between the image's quotes."""
    assert IMAGE in GOOD
    return GOOD.replace(IMAGE, b'"image": "' + image + b'"')


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
