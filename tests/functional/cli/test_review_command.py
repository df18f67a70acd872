import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.http import serve
from shared.runtime.tls import ensure_certificate, server_context
from tests.fakes.webhook import FakeWebhook, Response, allowed, denied
from tests.functional.cli.commands import imagegate

GOOD = "registry.example/team/good:1.0"
BAD = "registry.example/team/bad:1.0"
ANSWERS = {
    GOOD: allowed(warnings=["not pinned to a digest"]),
    BAD: denied(403, "image bad: refused by policy p: [bold]CVE-1[/bold]\n  stop: CVE-1"),
    "nginx": denied(429, "image nginx: not judged yet", retryAfterSeconds=2),
}
PODS = f"""
kind: Pod
apiVersion: v1
metadata: {{name: web, namespace: shop}}
spec: {{containers: [{{name: a, image: "{GOOD}"}}]}}
---
kind: Service
apiVersion: v1
metadata: {{name: api}}
"""
DEPLOYMENT = f"""
kind: Deployment
apiVersion: apps/v1
metadata: {{name: api}}
spec: {{template: {{spec: {{containers: [{{name: a, image: "{BAD}"}}]}}}}}}
"""


@asynccontextmanager
async def webhook(state: Path, **options: Any) -> AsyncIterator[tuple[FakeWebhook, str]]:
    """A webhook whose certificate is where `imagegate up` leaves its own."""
    fake = FakeWebhook(answers=ANSWERS, **options)
    async with serve(fake.app(), tls=server_context(ensure_certificate(state))) as bound:
        yield fake, bound.url


async def test_an_allowed_image_ends_with_zero_and_shows_its_warnings(tmp_path: Path) -> None:
    async with webhook(tmp_path) as (fake, url):
        ran = await imagegate("review", "--image", GOOD, "--webhook", url, state=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "allowed Pod default/review" in ran.out
    assert "warning: not pinned to a digest" in ran.out
    (request,) = fake.requests
    assert request["userInfo"]["username"] == "imagegate-review"
    assert request["object"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


async def test_what_is_pinned_is_shown_and_is_what_is_judged(tmp_path: Path) -> None:
    async with webhook(tmp_path, pins={"shop/web:1": GOOD}) as (fake, url):
        ran = await imagegate("review", "--image", "shop/web:1", "--webhook", url, state=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert f"  pinned: {GOOD}\n" in ran.out
    assert fake.calls == ["/mutate", "/validate"]
    (request,) = fake.requests
    assert request["object"]["spec"]["containers"][0]["image"] == GOOD


async def test_programs_are_told_of_each_pin_and_of_the_warnings_of_both_calls(
    tmp_path: Path,
) -> None:
    pod = tmp_path / "deployment.yaml"
    pod.write_text(DEPLOYMENT)
    async with webhook(tmp_path, pins={BAD: GOOD}) as (_, url):
        ran = await imagegate("review", str(pod), "--webhook", url, "-o", "json", state=tmp_path)
    (one,) = json.loads(ran.out)
    path = "/spec/template/spec/containers/0/image"
    assert one["pins"] == [{"path": path, "written": BAD, "image": GOOD}]
    assert one["warnings"] == ["not pinned to a digest"]


@pytest.mark.parametrize(
    ("mutated", "why"),
    [
        (allowed(patch="?", patchType="JSONPatch"), "its patch cannot be read"),
        (allowed(patch="W10=", patchType="JSONPatch"), ""),
        (
            # [{"op": "replace", "path": "/spec/x/0", "value": "a"}]
            allowed(patch="W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9zcGVjL3gvMCIsInZhbHVlIjoiYSJ9XQ=="),
            "its patch is about /spec/x/0, which is not there",
        ),
        ({"uid": "another", "allowed": True}, "answered another review than was asked"),
    ],
)
async def test_a_mutation_that_fails_is_passed_over_as_the_api_server_does_and_said(
    tmp_path: Path, mutated: Response, why: str
) -> None:
    async with webhook(tmp_path, mutated=mutated) as (fake, url):
        ran = await imagegate("review", "--image", GOOD, "--webhook", url, state=tmp_path)
    assert ran.code == 0
    assert ("nothing is pinned, /mutate failed" in ran.out) is bool(why)
    assert why in ran.out
    (request,) = fake.requests
    assert request["object"]["spec"]["containers"][0]["image"] == GOOD


async def test_a_denied_image_ends_with_one_and_says_why(tmp_path: Path) -> None:
    async with webhook(tmp_path) as (_, url):
        ran = await imagegate("review", "--image", BAD, "--webhook", url, state=tmp_path)
    assert ran.code == 1
    assert "denied Pod default/review (403)" in ran.out
    assert "  image bad: refused by policy p: [bold]CVE-1[/bold]\n    stop: CVE-1\n" in ran.out


async def test_a_pending_image_says_when_kubectl_would_ask_again(tmp_path: Path) -> None:
    async with webhook(tmp_path) as (fake, url):
        ran = await imagegate(
            "review", "--image", "nginx", "--webhook", url, "-n", "shop", state=tmp_path
        )
    assert ran.code == 1
    assert "kubectl would ask again after 2 s" in ran.out
    assert fake.requests[0]["namespace"] == "shop"
    assert fake.requests[0]["object"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"


async def test_a_file_is_reviewed_pod_by_pod_and_other_kinds_are_named(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(PODS)
    async with webhook(tmp_path) as (fake, url):
        ran = await imagegate("review", str(file), "--webhook", url, state=tmp_path)
    assert ran.code == 0
    assert "allowed Pod shop/web" in ran.out
    assert "Service api: not judged, it is neither a Pod nor a workload" in ran.out
    assert len(fake.requests) == 1


async def test_a_workload_is_reviewed_as_one(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT)
    async with webhook(tmp_path) as (fake, url):
        ran = await imagegate("review", str(file), "--webhook", url, state=tmp_path)
    assert ran.code == 1
    assert "denied Deployment api (403)" in ran.out
    (request,) = fake.requests
    assert request["kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert request["resource"] == {"group": "apps", "version": "v1", "resource": "deployments"}


async def test_one_denied_pod_of_a_file_decides_its_exit_code(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text(f"{PODS}\n---\n{PODS.replace(GOOD, BAD)}")
    async with webhook(tmp_path) as (_, url):
        ran = await imagegate("review", str(file), "--webhook", url, "-o", "json", state=tmp_path)
    assert ran.code == 1
    answers = [one["answer"] for one in json.loads(ran.out)]
    assert [answer and answer["allowed"] for answer in answers] == [True, None, False, None]


async def test_a_file_without_a_pod_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "objects.yaml"
    file.write_text("kind: Service")
    async with webhook(tmp_path) as (_, url):
        ran = await imagegate("review", str(file), "--webhook", url, state=tmp_path)
    assert ran.code == 2
    assert "holds neither a Pod nor a workload" in ran.err


async def test_a_webhook_that_is_away_is_an_error_of_one_line(tmp_path: Path) -> None:
    ensure_certificate(tmp_path)
    ran = await imagegate(
        "review", "--image", GOOD, "--webhook", "https://127.0.0.1:1", state=tmp_path
    )
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: https://127.0.0.1:1 cannot be reached: Connect")
    assert "is the webhook running, and its address right" in ran.err
    assert ran.err.count("\n") == 1


async def test_without_its_certificate_the_missing_file_is_named(tmp_path: Path) -> None:
    ran = await imagegate("review", "--image", GOOD, state=tmp_path)
    assert ran.code == 2
    assert str(tmp_path / "webhook.crt") in ran.err
    assert "start `imagegate up`" in ran.err
    assert "--ca" in ran.err


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8443",
        "127.0.0.1:8443",
        "webhook",
        "https://127.0.0.1:99999",
        "https://127.0.0.1:0",
        "https://127.0.0.1:https",
        "https://:8443",
        "https://[::1:8443",
    ],
)
async def test_an_address_that_is_none_or_not_https_is_named(tmp_path: Path, url: str) -> None:
    ran = await imagegate("review", "--image", GOOD, "--webhook", url, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert f"--webhook must be https://HOST:PORT, not {url}" in ran.err


async def test_a_webhook_of_another_certificate_is_not_believed(tmp_path: Path) -> None:
    other = ensure_certificate(tmp_path / "other")
    async with webhook(tmp_path) as (fake, url):
        ran = await imagegate(
            "review",
            *("--image", GOOD, "--webhook", url, "--ca", str(other.certificate)),
            state=tmp_path,
        )
    assert ran.code == 2
    assert "its certificate is not the one to expect" in ran.err
    assert "--ca" in ran.err
    assert not fake.requests


@pytest.mark.parametrize("arguments", [(), ("pod.yaml", "--image", GOOD)])
async def test_a_file_or_an_image_is_wanted(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = await imagegate("review", *arguments, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "either a file or --image" in ran.err
