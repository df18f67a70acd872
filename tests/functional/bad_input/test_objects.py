"""Reviews whose objects and images are absurd: denied under their uid, and never pinned."""

import base64
import json
from typing import Any

import pytest

from shared.ports.decisions import MAX_TEXT
from tests.fakes.workloads import KINDS, Kind, review_of_workload, workload
from tests.functional.bad_input.conftest import KNOWN, Caller, assert_shown
from tests.house import pod, review_of
from tests.waiting import eventually

ESCAPE = "\x1b"
UID = review_of(None)["request"]["uid"]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": {"group": "", "version": "v1", "kind": "Dragon"}},
        {"kind": {"group": "apps", "version": "v1", "kind": "Pod"}},
        {"kind": {"group": "", "version": "v2", "kind": "Pod"}},
        {"kind": {"group": "", "version": "v1", "kind": "Pod\x00"}},
        {"kind": {"group": "", "version": "v1", "kind": "K" * 100_000}},
        {"kind": {"group": "", "version": "v1", "kind": f"{ESCAPE}[2J\r\n"}},
        {"resource": {"group": "", "version": "v1", "resource": "dragons"}},
        {"resource": {"group": "", "version": "v1", "resource": ESCAPE * 1_000}},
        {"operation": "CONNECT"},
        {"operation": "create"},
        {"operation": ""},
        {"operation": "\n" * 1_000},
        {"object": None},
        {"object": []},
        {"object": {"spec": {"containers": "many"}}},
        {"object": {"spec": {"containers": [{"name": "a", "image": ["app:1"]}]}}},
        {"object": {"spec": {"containers": [{"name": "a"}]}}},
        {"object": {"spec": {"volumes": [{"name": "a", "image": {}}]}}},
        {"object": {"spec": {"volumes": [{"name": "a", "image": {"reference": None}}]}}},
        {"operation": "UPDATE", "oldObject": None},
        {"operation": "UPDATE", "oldObject": {"spec": {"containers": [{"image": 1}]}}},
        {"operation": "UPDATE", "oldObject": 7},
    ],
)
async def test_an_object_that_cannot_be_judged(caller: Caller, change: dict[str, Any]) -> None:
    review = review_of(pod(KNOWN))
    review["request"] |= change
    answer = await caller.review_refused(review)
    assert answer.http == 200
    assert answer.response["uid"] == UID


IMAGES = {
    "nothing": "",
    "a space": " ",
    "4 KiB": "a" * 4096,
    "4 KiB of parts": "a/" * 2047 + "a",
    "4 KiB of a tag": "app:" + "a" * 4092,
    "64 KiB": "a" * 65_536,
    "CR/LF": "app\r\nX-Header: 1",
    "LF at the end": f"{KNOWN}\n",
    "a space at the end": f"{KNOWN} ",
    "ANSI": f"app{ESCAPE}[2J:1",
    "ANSI in C1": "app\x9b2J:1",
    "a NUL": f"{KNOWN}\x00",
    "a Cyrillic a": KNOWN.replace("a", "а", 1),
    "full width": KNOWN.replace("app", "ａｐｐ"),
    "a dotless i": KNOWN.replace("ghcr.io", "ghcr.ıo"),
    "a Kelvin sign": "ghcr.io/team/K:1",
    "a long s": "ghcr.io/ſ:1",
    "a fraction slash": KNOWN.replace("/", "⁄"),
    "a zero-width space": f"{KNOWN}\u200b",
    "a soft hyphen": KNOWN.replace("app", "a\u00adpp"),
    "a combining accent": KNOWN.replace("app", "app\u0301"),
    "right to left": f"\u202e{KNOWN}",
    "a line separator": KNOWN.replace("/", "\u2028"),
    "an emoji": "ghcr.io/team/🐳:1",
    "../": "../../etc/passwd",
    "../ within": "ghcr.io/team/../other/app:1",
    "./": "./app:1",
    "//": "ghcr.io//app:1",
    "/ at first": "/ghcr.io/app:1",
    "/ at last": "ghcr.io/team/app/",
    "encoded": "ghcr.io/team%2Fapp:1",
    "a URL": f"https://{KNOWN}",
    "a user": f"user:secret@{KNOWN}",
    "a query": f"{KNOWN}?x=1",
    "IPv6 without its end": "[::1/app:1",
    "IPv6 with a zone": "[fe80::1%eth0]/app:1",
    "IPv6 without brackets": "::1/app:1",
    "upper case": "ghcr.io/Team/App:1",
    "an upper-case digest": f"{KNOWN}@sha256:{'A' * 64}",
    "an upper-case algorithm": f"{KNOWN}@SHA256:{'a' * 64}",
    "a short digest": f"{KNOWN}@sha256:{'a' * 63}",
    "a long digest": f"{KNOWN}@sha256:{'a' * 65}",
    "an empty digest": f"{KNOWN}@sha256:",
    "no digest": f"{KNOWN}@",
    "another algorithm": f"{KNOWN}@md5:{'a' * 32}",
    "two digests": f"{KNOWN}@sha256:{'a' * 64}@sha256:{'b' * 64}",
    "an image id": f"sha256:{'a' * 64}",
    "the beginning of an image id": "sha256:deadbeef",
    "64 hex": "a" * 64,
    "an empty tag": "ghcr.io/team/app:",
    "two tags": f"{KNOWN}:2",
    "a huge port": "ghcr.io:99999999999/app:1",
    "an octal address": "0177.0.0.1/../app:1",
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize(
    "where", ["containers", "initContainers", "ephemeralContainers", "volumes"]
)
async def test_an_absurd_image_name(caller: Caller, where: str, image: str) -> None:
    absurd: dict[str, Any] = {"name": "absurd", "image": image}
    if where == "volumes":
        absurd["image"] = {"reference": image}
    content = pod(KNOWN)
    content["spec"][where] = [*content["spec"].get(where, []), absurd]
    body = json.dumps(review_of(content)).encode()
    answer = await caller.home.post(body, path=caller.path)
    assert len(caller.lines) <= 1
    if caller.path == "/validate":
        assert answer.code == 403
        assert_shown(answer.message)
        assert len(answer.message.partition("\n")[0]) <= 256
        (line,) = caller.lines
        assert len(line) < 8_000
        assert json.loads(line)["event"] == "denied"
    else:
        patch = json.loads(base64.b64decode(answer.response["patch"]))
        assert [operation["path"] for operation in patch] == ["/spec/containers/0/image"]


@pytest.mark.parametrize(
    "host",
    ["[::1]", "[::1]:5000", "[1:2:3:4:5:6:7:8:9]", "[2001:db8::7]", "127.0.0.1:5000", "10.1"],
)
async def test_an_image_of_an_address(caller: Caller, host: str) -> None:
    await caller.review_refused(review_of(pod(f"{host}/team/app:1")))


@pytest.mark.parametrize(
    "text",
    ["a" * 100_000, f"{ESCAPE}]0;x\x07", "\r\n" * 1_000, "\u2028\u202e", "\x00", "💥" * 10_000],
)
async def test_absurd_names_of_everything_else(caller: Caller, text: str) -> None:
    content = pod("NOT/AN/IMAGE")
    content["metadata"] |= {"name": text, "generateName": text, "namespace": text}
    content["spec"]["containers"][0]["name"] = text
    review = review_of(content, user=text)
    review["request"] |= {"name": text, "namespace": text}
    await caller.review_refused(review)
    assert all(len(line) < 100_000 for line in caller.lines)
    if caller.path == "/validate":
        decisions = caller.home.backends.decisions

        async def written() -> bool:
            return len(await decisions.recent(limit=10)) == 1

        await eventually(written)
        (kept,) = await decisions.recent(limit=10)
        texts = (kept.decision.name, kept.decision.namespace, kept.decision.user)
        assert all(len(each) <= MAX_TEXT for each in texts)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_workloads_too(caller: Caller, kind: Kind) -> None:
    spec = pod("../../etc/passwd")["spec"]
    await caller.review_refused(review_of_workload(kind, workload(kind, spec)))
    twice = json.dumps(review_of_workload(kind, workload(kind, pod(KNOWN)["spec"])))
    image = f'"image": "{KNOWN}"'
    assert twice.count(image) == 1
    await caller.refused(twice.replace(image, f'"image": "evil", {image}').encode())


async def test_after_all_this_it_still_answers(caller: Caller) -> None:
    assert (await caller.good()).allowed
    assert await caller.home.ready() == 200
