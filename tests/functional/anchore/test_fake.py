"""FakeAnchore's answers held against what a real Engine answered to the same calls."""

import asyncio
import base64
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_replay import Recording, recording
from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_wire import BASELINE, NO_HEALTHCHECK, OPENSSH

ROOT = Path(__file__).parents[3]
ADMIN = {"Authorization": f"Basic {base64.b64encode(b'admin:foobar').decode()}"}

Setup = Callable[[AnchoreStore, Recording], None]


def nothing(_: AnchoreStore, __: Recording) -> None:
    """The fake as it begins."""


def known(status: str) -> Setup:
    """The image of the call stands in this state."""

    def arrange(store: AnchoreStore, told: Recording) -> None:
        digest = digest_of(told)
        wanted = told.query.get("policyId", "nosuch")
        if wanted != "nosuch":
            has_policy(store, wanted, active=False)
        store.know(digest, told.query.get("tag", "127.0.0.1:5000/team/bad:1.0"), status=status)

    return arrange


def decided(final_action: str, rows: list[list[Any]]) -> Setup:
    def arrange(store: AnchoreStore, told: Recording) -> None:
        known("analyzed")(store, told)
        store.decide(digest_of(told), final_action, rows)

    return arrange


def lying(kind: str) -> Setup:
    def arrange(store: AnchoreStore, told: Recording) -> None:
        known("analyzed")(store, told)
        store.fault("image_check", kind)
        if kind == "problems":
            store.decide(digest_of(told), "stop", [])

    return arrange


def registry(code: str) -> Setup:
    def arrange(store: AnchoreStore, told: Recording) -> None:
        store.registry_says(told.request_body["tag"], code)
        told.request_body.setdefault("digest", "sha256:" + "a" * 64)

    return arrange


def by_digest(_: AnchoreStore, told: Recording) -> None:
    """Our client always names the digest; some recordings name the tag alone."""
    told.request_body.setdefault("digest", "sha256:" + "a" * 64)


def submitted(status: str) -> Setup:
    def arrange(store: AnchoreStore, told: Recording) -> None:
        by_digest(store, told)
        store.know(told.request_body["digest"], told.request_body["tag"], status=status)
        if status == "analyzed":
            store.images["admin", told.request_body["digest"]].record()
        store.settle_after(None)

    return arrange


def failed(store: AnchoreStore, told: Recording) -> None:
    store.know("sha256:" + "a" * 64, told.query["resource_id"], status="analysis_failed")


def has_policy(store: AnchoreStore, name: str, *, active: bool) -> None:
    own = store.policies["admin"]
    record = own[BASELINE["id"]]
    bundle = record["policybundle"] | {"id": name}
    own[name] = record | {"policyId": name, "policybundle": bundle, "active": active}
    record["active"] = not active


def policy(*, active: bool) -> Setup:
    """The fake has the policy of the recording too."""
    return lambda store, _: has_policy(store, "oci-baseline", active=active)


def fault(kind: str) -> Setup:
    return lambda store, _: store.fault("*", kind)


def no_policy_active(store: AnchoreStore, told: Recording) -> None:
    known("analyzed")(store, told)
    store.policies["admin"][BASELINE["id"]]["active"] = False


@pytest.mark.parametrize(
    ("name", "arrange"),
    [
        ("version", nothing),
        ("image-get-not_analyzed-bad", known("not_analyzed")),
        ("image-get-analyzing-bad", known("analyzing")),
        ("image-get-analyzed-bad", known("analyzed")),
        ("image-get-analysis_failed", known("analysis_failed")),
        ("images-get-unknown-digest-404", nothing),
        ("post-image-digest-tag-again", lambda store, _: store.settle_after(None)),
        ("post-image-force-bad", submitted("analyzed")),
        ("post-image-again-after-failure", submitted("analysis_failed")),
        ("post-image-dockerfile-existing-no-force", submitted("analyzed")),
        ("post-image-force-digest-unknown", nothing),
        ("post-image-digest-unknown", registry("REGISTRY_IMAGE_NOT_FOUND")),
        ("post-image-auth-registry-no-credentials", registry("REGISTRY_PERMISSION_DENIED")),
        ("post-image-unreachable-registry", registry("REGISTRY_NOT_ACCESSIBLE")),
        ("post-image-wrong-type", nothing),
        ("check-baseline-active-good", decided("go", [])),
        ("check-baseline-active-bad", decided("stop", [OPENSSH])),
        ("check-v-warn-bad", decided("warn", [NO_HEALTHCHECK])),
        ("check-default-bundle-nodetail-good", known("analyzed")),
        ("check-default-bundle-notag-good", known("analyzed")),
        ("check-v-mapping-digest-good", lying("problems")),
        ("check-unknown-image", nothing),
        ("check-unknown-policyid", known("analyzed")),
        ("check-no-active-policy", no_policy_active),
        ("check-while-not_analyzed-bad", known("not_analyzed")),
        ("check-while-analyzing-bad", known("analyzing")),
        ("check-while-analysis_failed", known("analysis_failed")),
        ("down-policy-engine-check", fault("404-no-evaluations")),
        ("down-catalog-image-get", fault("500")),
        ("wrong-password-401", fault("401")),
        ("user-admin-account-header-forbidden", fault("403")),
        ("unknown-path-404", nothing),
        ("events-by-resource-tag", failed),
        ("policies-list-initial", nothing),
        ("policies-list-two", policy(active=False)),
        ("policy-get", policy(active=False)),
        ("policy-get-unknown", nothing),
        ("policy-post-new", nothing),
        ("policy-post-active-bundle-again", policy(active=True)),
        ("policy-post-invalid-gate", nothing),
        ("policy-post-missing-mappings", nothing),
        ("policy-put-activate-minimal-record", policy(active=False)),
        ("policy-put-unknown", nothing),
        ("policy-put-missing-bundle", policy(active=False)),
        ("policy-put-id-mismatch", policy(active=False)),
    ],
)
async def test_the_fake_answers_in_the_shape_that_was_recorded(
    anchore: FakeAnchore, name: str, arrange: Setup
) -> None:
    told = recording(name)
    arrange(anchore.store, told)
    async with (
        aiohttp.ClientSession(headers=ADMIN) as session,
        session.request(
            told.method, anchore.url + told.path, params=told.query, json=told.request_body
        ) as response,
    ):
        text = await response.text()
        assert response.status == told.status
        assert (
            response.headers["Content-Type"].partition(";")[0]
            == (told.content_type.partition(";")[0])
        )
    assert shape(json.loads(text) if told.is_json else text) == shape(told.body)


async def test_posting_the_active_policy_again_leaves_none_active(anchore: FakeAnchore) -> None:
    async with aiohttp.ClientSession(headers=ADMIN) as session:
        await session.post(f"{anchore.url}/v1/policies", json=BASELINE)
        async with session.get(f"{anchore.url}/v1/policies") as response:
            listed = await response.json()
    assert [record["active"] for record in listed] == [False]


async def test_time_alone_takes_an_image_through_its_states() -> None:
    digest, seen = "sha256:" + "b" * 64, []
    async with (
        FakeAnchore(analysis_seconds=6_000.0) as anchore,
        aiohttp.ClientSession(headers=ADMIN) as session,
    ):
        await session.post(
            f"{anchore.url}/v1/images", json={"tag": "docker.io/library/a:1", "digest": digest}
        )
        (image,) = anchore.store.images.values()
        for past in (0, 1_300, 4_800):
            image.began -= past
            async with session.get(f"{anchore.url}/v1/images/{digest}") as response:
                (record,) = await response.json()
            seen.append(record["analysis_status"])
    assert seen == ["not_analyzed", "analyzing", "analyzed"]
    assert anchore.store.submits == {digest: 1}
    assert list(anchore.store.said_analyzed) == [digest]


async def test_it_comes_back_on_its_own_port_and_knows_what_it_knew(anchore: FakeAnchore) -> None:
    anchore.store.know("sha256:" + "c" * 64, "docker.io/library/a:1")
    url = anchore.url
    await anchore.stop()
    await anchore.start()
    assert anchore.url == url
    async with aiohttp.ClientSession(headers=ADMIN) as session:
        response = await session.get(f"{url}/v1/images/sha256:{'c' * 64}")
        assert response.status == 200


async def test_as_a_process_of_its_own_it_is_driven_over_http() -> None:
    digest = "sha256:" + "d" * 64
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.fakes.anchore",
        "--analysis-seconds",
        "3600",
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        async with aiohttp.ClientSession(headers=ADMIN) as session:
            body = {"tag": "docker.io/library/a:1", "digest": digest}
            await session.post(f"{url}/v1/images", json=body)
            pulled = await session.post(f"{url}/_control/finish", json={"digest": digest})
            refused = await session.post(f"{url}/_control/explode", json={})
            await session.get(f"{url}/v1/images/{digest}")
            async with session.get(f"{url}/_control/state") as response:
                state = await response.json()
    finally:
        process.kill()
        await process.wait()
    assert (pulled.status, refused.status) == (200, 404)
    assert state["images"] == {digest: "analyzed"}
    assert state["calls"] == {"image_add": 1, "image_get": 1}
    assert state["submits"] == {digest: 1}
    assert list(state["said_analyzed"]) == [digest]


def digest_of(told: Recording) -> str:
    return next(part for part in told.path.split("/") if part.startswith("sha256:"))


def shape(value: Any) -> Any:
    """Keys and types; keys that are digests, ids and tags stand for any of their kind."""
    if isinstance(value, dict):
        return {masked(key): shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(part), sort_keys=True) for part in value})
    return type(value).__name__


def masked(key: str) -> str:
    if key.startswith("sha256:"):
        return "<digest>"
    if re.fullmatch(r"[0-9a-f]{64}", key):
        return "<id>"
    return "<tag>" if "/" in key else key
