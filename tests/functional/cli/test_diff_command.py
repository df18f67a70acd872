"""`--diff`: our answers beside those of a second webhook, over real HTTPS."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from shared.ports.decisions import DecisionRecord
from shared.runtime.http import serve
from shared.runtime.tls import ensure_certificate, server_context
from tests.fakes.webhook import FakeWebhook, allowed, denied
from tests.functional.cli.beside import beside
from tests.functional.cli.commands import Ran, imagegate

GOOD = "registry.example/team/good:1.0"
BAD = "registry.example/team/bad:1.0"
ODD = "registry.example/team/odd:1.0"
NEW = "registry.example/team/new:1.0"

THEIRS = {
    GOOD: allowed(),
    BAD: denied(403, "Image bad is not analyzed"),
    ODD: allowed(),
    NEW: allowed(),
}

MANIFEST = """
kind: Deployment
apiVersion: apps/v1
metadata: {{name: api, labels: {{team: shop}}}}
spec: {{template: {{spec: {{containers: [{{name: a, image: "{image}"}}]}}}}}}
"""


def record(image: str, state: str = "pass", **more: Any) -> DecisionRecord:
    told: dict[str, Any] = {
        "at": int(time.time() * 1000),
        "allowed": True,
        "state": state,
        "code": 200,
        "kind": "Pod",
        "namespace": "shop",
        "name": "web-*",
        "user": "ada",
        "operation": "CREATE",
        "images": (image,),
    }
    return DecisionRecord(**told | more)


class Second:
    """A second webhook, and where its certificate and its address are."""

    def __init__(self, fake: FakeWebhook, url: str, ca: Path) -> None:
        self.fake = fake
        self.arguments = ("--diff", f"{url}/validate", "--diff-ca", str(ca))


@asynccontextmanager
async def second(folder: Path) -> AsyncIterator[Second]:
    fake = FakeWebhook(answers=THEIRS)
    files = ensure_certificate(folder / "second")
    async with serve(fake.app(), tls=server_context(files)) as bound:
        yield Second(fake, bound.url, files.certificate)


async def compared(folder: Path, records: list[DecisionRecord], *arguments: str) -> Ran:
    async with beside(folder) as process:
        await process.decisions.write(records)
        return await imagegate("decisions", *arguments, state=folder, COLUMNS="160")


async def test_what_both_say_alike_is_counted_and_not_shown(tmp_path: Path) -> None:
    async with second(tmp_path) as other:
        records = [record(GOOD), record(BAD, "fail", reason="refused by policy prod")]
        ran = await compared(tmp_path, records, *other.arguments)
    assert (ran.code, ran.err) == (0, "")
    assert "2 compared: 2 same" in ran.out
    assert "What differs" not in ran.out
    assert "labels, annotations" in ran.out


async def test_each_difference_is_shown_with_both_reasons_the_lax_one_first(
    tmp_path: Path,
) -> None:
    async with second(tmp_path) as other:
        records = [
            record(ODD, "fail", reason="image odd: refused by policy prod"),
            record(BAD),
            record(NEW, "pending", reason="not judged yet"),
        ]
        ran = await compared(tmp_path, records, *other.arguments)
    assert ran.code == 1
    assert "0 same, 1 stricter, 1 laxer, 1 not yet, 0 unknown" in ran.out
    assert "Image bad is not analyzed" in ran.out
    assert "fail: refused by policy prod" in ran.out
    assert ran.out.index(BAD) < ran.out.index(ODD) < ran.out.index(NEW)


async def test_the_question_is_a_dry_run_about_what_is_written_down(tmp_path: Path) -> None:
    async with second(tmp_path) as other:
        records = [
            record(GOOD),
            record(GOOD, kind="Deployment", name="web"),
            record(GOOD),
            record(GOOD, operation="DELETE"),
            record(GOOD, images=(), kind="Job"),
        ]
        ran = await compared(tmp_path, records, *other.arguments)
    assert "2 compared: 2 same" in ran.out
    requests = {one["kind"]["kind"]: one for one in other.fake.requests}
    assert set(requests) == {"Pod", "Deployment"}
    assert all(one["dryRun"] is True for one in requests.values())
    pod = requests["Pod"]
    assert (pod["userInfo"]["username"], pod["namespace"]) == ("ada", "shop")
    assert pod["object"]["metadata"]["generateName"] == "web-"
    template = requests["Deployment"]["object"]["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == GOOD


async def test_only_what_is_young_enough_is_asked_about(tmp_path: Path) -> None:
    old = int(time.time() * 1000) - 3 * 3_600_000
    async with second(tmp_path) as other:
        ran = await compared(tmp_path, [record(BAD, at=old)], *other.arguments, "--since", "1h")
        assert (ran.code, "nothing to compare" in ran.out) == (0, True)
        ran = await compared(tmp_path, [record(BAD, at=old)], *other.arguments, "--since", "1d")
    assert (ran.code, "1 laxer" in ran.out) == (1, True)


async def test_without_a_second_webhook_since_holds_as_well(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    records = [record(GOOD, at=now - 3 * 3_600_000)] * 30 + [record(BAD, at=now)]
    ran = await compared(tmp_path, records, "--since", "1h", "-o", "json")
    (young,) = json.loads(ran.out)
    assert young["decision"]["images"] == [BAD]
    ran = await compared(tmp_path, records, "--since", "1d", "-o", "json")
    assert len(json.loads(ran.out)) == 31
    ran = await compared(tmp_path, records[:1], "--since", "1h")
    assert (ran.code, "no decisions within 1h" in ran.out) == (0, True)


async def test_programs_are_told_all_of_it(tmp_path: Path) -> None:
    async with second(tmp_path) as other:
        ran = await compared(tmp_path, [record(GOOD), record(BAD)], *other.arguments, "-o", "json")
    told = json.loads(ran.out)
    assert (told["counts"]["same"], told["counts"]["laxer"]) == (1, 1)
    stands = {one["ours"]["images"][0]: one["stand"] for one in told["compared"]}
    assert stands == {GOOD: "same", BAD: "laxer"}


async def test_a_certificate_that_is_not_trusted_is_no_answer(tmp_path: Path) -> None:
    async with second(tmp_path) as other:
        address = other.arguments[:2]
        ran = await compared(tmp_path, [record(GOOD)], *address)
    assert ran.code == 2
    assert "its certificate is not trusted" in ran.out
    assert other.fake.requests == []


async def test_one_that_does_not_answer_is_left_alone_after_a_few_times(tmp_path: Path) -> None:
    asked = 0

    async def broken(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        assert request.headers["Authorization"] == "Bearer let-me-in"
        return web.Response(status=500, text="oh no")

    app = web.Application()
    app.router.add_post("/reviews", broken)
    token = tmp_path / "token"
    token.write_text("let-me-in\n")
    token.chmod(0o600)
    records = [record(GOOD, namespace=f"team-{at}") for at in range(30)]
    async with serve(app) as bound:
        arguments = ("--diff", f"{bound.url}/reviews", "--diff-token-file", str(token))
        ran = await compared(tmp_path, records, *arguments)
    assert ran.code == 2
    assert 5 <= asked < 10, ran
    assert "HTTP 500: oh no" in ran.out
    assert "30 unknown" in ran.out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a":' + b"[" * 500_000, "answered no AdmissionReview"),
        (b'{"response":{"allowed":true,"uid":"another"}}', "another review than was asked"),
        (b"x" * 2_000_000, "more than 1048576 bytes"),
    ],
)
async def test_an_answer_that_is_none_spoils_no_other(
    tmp_path: Path, body: bytes, said: str
) -> None:
    async def hostile(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_post("/reviews", hostile)
    async with serve(app) as bound:
        ran = await compared(tmp_path, [record(GOOD)], "--diff", f"{bound.url}/reviews")

    assert ran.code == 2, ran
    assert said in " ".join(ran.out.split())
    assert "1 unknown" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--diff", "http://example.com/x"), "--diff must be https://"),
        (("--diff", "nowhere"), "--diff must be https://"),
        (("--diff", "https://[::1/x"), "--diff must be https://"),
        (("--diff", "https://127.0.0.1:99999/x"), "--diff must be https://"),
        (("--diff", "http://127.example.com/x"), "--diff must be https://"),
        (("--diff", "https://a.example/", "--since", "soon"), "--since"),
        (("--since", "yesterday"), "--since: 'yesterday' is no duration"),
        (("--since", "0m"), "--since: must be 1m to"),
        (("--diff", "https://a.example/", "--diff-token-file", "/nowhere"), "cannot be read"),
    ],
)
async def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ran = await imagegate("decisions", *arguments, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


async def test_manifests_are_asked_about_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(MANIFEST.format(image=BAD))
    audit = allowed(auditAnnotations={"decision": "fail", "message": "would be refused: CVE-1"})
    own = FakeWebhook(answers={BAD: audit})
    async with (
        second(tmp_path) as other,
        serve(own.app(), tls=server_context(ensure_certificate(tmp_path))) as bound,
    ):
        ran = await imagegate(
            "review", str(file), "--webhook", bound.url, *other.arguments, state=tmp_path
        )
    # Mode audit let it in, and judged it all the same: both refuse.
    assert (ran.code, "1 compared: 1 same" in ran.out) == (0, True)
    (request,) = other.fake.requests
    assert request["object"]["metadata"]["labels"] == {"team": "shop"}
    assert request["dryRun"] is True
    assert own.requests[0]["dryRun"] is False
