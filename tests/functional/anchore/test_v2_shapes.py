"""v2's example shapes: what the client reads in them, and that FakeAnchore answers in them."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v2 import AnchoreV2
from shared.adapters.anchore.v2_evaluation import read_evaluation
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Action, Outcome, Question, Subject, judge
from shared.ports.scanner import Analysed, Analysis
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_replay import Recording, Replay
from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_wire import NO_HEALTHCHECK, OPENSSH
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import NOW, QUICK
from tests.functional.anchore.test_fake import ADMIN, shape

FOLDER = Path(__file__).parents[2] / "data" / "anchore-v2"
APP = Subject("registry.example.com/team/app", "sha256:" + "1a" * 32, "1.4.0")
MINE = Question()
TIME = 1_795_165_500_000
"""2026-11-20T09:05:00Z."""


def example(name: str) -> Recording:
    told = json.loads((FOLDER / f"{name}.json").read_text())
    is_json = not isinstance(told["body"], str)
    return Recording(
        name=name,
        method="",
        path="",
        query={},
        request_body=None,
        status=told["status"],
        content_type="application/json" if is_json else "text/html",
        body=told["body"],
        is_json=is_json,
    )


@asynccontextmanager
async def served(name: str) -> AsyncIterator[tuple[Replay, AnchoreV2]]:
    """A client of a server that says this, whatever it is asked."""
    both = [msgspec.structs.replace(example(name), method=way) for way in ("GET", "POST")]
    async with (
        Replay(both) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="foobar", limits=QUICK
        ) as transport,
    ):
        yield replay, AnchoreV2(transport=transport, clock=FakeClock(now=NOW))


def of(name: str) -> Subject:
    """The subject that an example is about."""
    body = example(name).body
    tag = body.get("evaluated_tag") or body["image_detail"][0]["full_tag"]
    repository, _, label = tag.rpartition(":")
    return Subject(repository, body["image_digest"], label)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("image-get-analyzed", Analysed(Analysis.DONE, dockerfile=True)),
        ("image-get-analyzing", Analysed(Analysis.RUNNING)),
        ("image-get-failed", Analysed(Analysis.FAILED)),
        ("image-post-new", Analysed(Analysis.WAITING)),
    ],
)
async def test_a_record_tells_how_far_the_analysis_is(name: str, expected: Analysed) -> None:
    async with served(name) as (_, scanner):
        assert await scanner.analysis(of(name), MINE) == expected
        assert await scanner.submit(of(name), MINE) == expected


async def test_a_manifest_of_an_index_is_asked_for_by_its_own_digest() -> None:
    async with served("image-get-multiarch-child") as (_, scanner):
        child = of("image-get-multiarch-child")
        assert (await scanner.analysis(child, MINE)).state is not Analysis.UNKNOWN
        index = example("image-get-multiarch-child").body["parent_digest"]
        with pytest.raises(PermanentFailure, match="may be an index") as failure:
            await scanner.analysis(Subject(child.repository, index, child.tag), MINE)
        assert failure.value.kind is ErrorKind.UNTRUSTED


async def test_a_submission_names_the_digest_and_tells_the_tag() -> None:
    async with served("image-post-new") as (replay, scanner):
        await scanner.submit(APP, MINE, dockerfile=b"FROM debian:12\n", force=True)
        (asked,) = replay.asked
    assert (asked.method, asked.path, asked.query) == ("POST", "/v2/images", {"force": "true"})
    assert asked.body == {
        "source": {
            "digest": {
                "pull_string": f"registry.example.com/team/app@{APP.digest}",
                "tag": "registry.example.com/team/app:1.4.0",
                "dockerfile": "RlJPTSBkZWJpYW46MTIK",
            }
        }
    }


async def test_a_check_names_tag_policy_and_account() -> None:
    async with served("check-pass") as (replay, scanner):
        await scanner.evaluate(APP, Question(account="oci", policy="oci-baseline"))
        (asked,) = replay.asked
    assert asked.path == f"/v2/images/{APP.digest}/check"
    assert asked.query == {
        "tag": "registry.example.com/team/app:1.4.0",
        "detail": "true",
        "policy_id": "oci-baseline",
    }
    assert asked.headers["x-anchore-account"] == "oci"


@pytest.mark.parametrize(
    ("name", "outcome", "words"),
    [
        ("check-pass", Outcome.PASS, ""),
        ("check-pass-warn", Outcome.PASS, ""),
        ("check-pass-allowlisted-image", Outcome.PASS, ""),
        ("check-fail-with-findings", Outcome.FAIL, ""),
        ("check-fail-one-allowlisted", Outcome.FAIL, ""),
        ("check-fail-inherited-from-base", Outcome.FAIL, ""),
        ("check-fail-denylisted", Outcome.FAIL, ""),
        ("check-no-mapping-matched", Outcome.ERROR, "no mapping of policy oci-baseline matches"),
        ("check-evaluation-problem", Outcome.ERROR, "ReferencedObjectNotFoundError: mapping names"),
        ("check-history-two", Outcome.ERROR, "holds 2 evaluations instead of one"),
        ("check-no-detail", Outcome.ERROR, "no details.policy"),
    ],
)
async def test_an_example_of_a_check_is_judged(name: str, outcome: Outcome, words: str) -> None:
    async with served(name) as (_, scanner):
        evaluation = await scanner.evaluate(of(name), MINE)
    verdict = judge(of(name), MINE, evaluation)
    assert verdict.outcome is outcome
    assert words in verdict.message
    assert bool(words) == bool(verdict.message)
    assert verdict.evaluated_at == TIME
    if outcome is not Outcome.ERROR:
        assert len(verdict.revision) == 64
        assert evaluation.asks_from


async def test_findings_are_read_and_what_the_allowlist_lets_go_does_not_stop() -> None:
    async with served("check-fail-one-allowlisted") as (_, scanner):
        subject = of("check-fail-one-allowlisted")
        verdict = judge(subject, MINE, await scanner.evaluate(subject, MINE))
    assert [(one.gate, one.action) for one in verdict.findings] == [
        ("dockerfile", Action.STOP),
        ("vulnerabilities", Action.GO),
    ]
    assert verdict.stops[0].message == (
        "User root found as effective user, which is on the denied list"
    )


async def test_an_image_that_a_list_of_the_policy_names_has_a_finding_that_says_so() -> None:
    for name, gate in (
        ("check-fail-denylisted", "denylisted_images"),
        ("check-pass-allowlisted-image", "allowlisted_images"),
    ):
        async with served(name) as (_, scanner):
            evaluation = await scanner.evaluate(of(name), MINE)
        assert evaluation.findings[0].gate == gate
        assert "'one image' matches this image" in evaluation.findings[0].message


def test_an_image_that_is_denied_passes_by_no_list_of_allowed_ones() -> None:
    body = example("check-pass-allowlisted-image").body
    denied = {"image_denylisted": True, "final_action_reason": "denylisted"}
    body["evaluations"][0].update(denied)
    (problem,) = read_evaluation(body, account="", asked_at=TIME).problems
    assert problem == "the final action is go although the image is denylisted"


async def test_the_reason_of_a_failed_analysis_is_in_the_events() -> None:
    async with served("events-list") as (replay, scanner):
        assert await scanner.failure_reason(APP, MINE) == "unpack failed"
        assert replay.asked[0].path == "/v2/events"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("error-400-registry", ErrorKind.NOT_FOUND, "found no registry.example.com/team/app@sha2"),
        ("error-400-validation", ErrorKind.REFUSED, "Missing query parameter 'tag'"),
        ("error-401", ErrorKind.MISCONFIGURED, "refuses our credentials"),
        ("error-403", ErrorKind.MISCONFIGURED, "Requires permissions: domain=oci"),
        ("error-404-unknown-account", ErrorKind.MISCONFIGURED, "not know the account of our cred"),
        ("error-404-unknown-path", ErrorKind.TRANSIENT, "no Anchore API of this version behind"),
        ("error-503-gateway-html", ErrorKind.TRANSIENT, "answered 503"),
    ],
)
async def test_an_example_of_an_error_is_what_it_stands_for(
    name: str, kind: ErrorKind, words: str
) -> None:
    async with served(name) as (_, scanner):
        with pytest.raises(StepFailure) as failure:
            await scanner.submit(APP, MINE)
    assert failure.value.kind is kind
    assert words in str(failure.value)
    assert "do not show" not in str(failure.value) or kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize(
    "name", ["error-404", "error-404-openapi-shape", "error-404-unknown-full-tag"]
)
async def test_an_image_that_it_does_not_know_is_unknown_in_each_shape(name: str) -> None:
    async with served(name) as (_, scanner):
        assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN


async def test_what_is_not_analysed_cannot_be_evaluated_yet() -> None:
    async with served("check-not-analyzed-error") as (_, scanner):
        with pytest.raises(TransientFailure, match="analysis_status: analyzing"):
            await scanner.evaluate(APP, MINE)


# FakeAnchore

Setup = Callable[[AnchoreStore], None]


def known(status: str = "analyzed", action: str = "go", **more: Any) -> Setup:
    def arrange(store: AnchoreStore) -> None:
        store.know(APP.digest, APP.scan_tag, status=status)
        store.decide(APP.digest, action, **more)

    return arrange


def lying(kind: str, action: str = "go") -> Setup:
    def arrange(store: AnchoreStore) -> None:
        known(action=action)(store)
        store.fault("image_check", kind)

    return arrange


def faulty(kind: str) -> Setup:
    return lambda store: store.fault("*", kind)


def nothing(_: AnchoreStore) -> None:
    """As it begins."""


SUBMISSION = {"source": {"digest": {"pull_string": f"a@{APP.digest}", "tag": APP.scan_tag}}}
IMAGE, CHECK = f"/v2/images/{APP.digest}", f"/v2/images/{APP.digest}/check?tag={APP.scan_tag}"


@pytest.mark.parametrize(
    ("name", "path", "arrange"),
    [
        ("version-enterprise", "/version", nothing),
        ("version-enterprise", "/v2/version", nothing),
        ("image-get-analyzing", IMAGE, known("analyzing")),
        ("image-get-failed", IMAGE, known("analysis_failed")),
        ("image-post-new", "POST /v2/images", lambda store: store.settle_after(None)),
        ("check-pass", CHECK, known()),
        ("check-pass-warn", CHECK, known(action="warn", rows=[NO_HEALTHCHECK])),
        ("check-fail-with-findings", CHECK, known(action="stop", rows=[OPENSSH])),
        ("check-no-mapping-matched", CHECK, lying("no-mapping")),
        ("check-evaluation-problem", CHECK, lying("problems")),
        ("check-no-detail", f"{CHECK}&detail=false", known()),
        ("check-not-analyzed-error", CHECK, known("analyzing")),
        ("events-list", f"/v2/events?resource_id={APP.scan_tag}", known("analysis_failed")),
        (
            "error-400-registry",
            "POST /v2/images",
            lambda store: store.registry_says(APP.digest, "REGISTRY_IMAGE_NOT_FOUND"),
        ),
        ("error-400-validation", IMAGE + "/check", known()),
        ("error-401", IMAGE, faulty("401")),
        ("error-403", IMAGE, faulty("403")),
        ("error-404", IMAGE, nothing),
        ("error-404-openapi-shape", IMAGE, faulty("404-openapi")),
        ("error-404-unknown-account", IMAGE, faulty("404-account")),
        ("error-404-unknown-path", "/v2/nosuch", nothing),
        ("error-409-policy-exists", "POST /v2/policies", faulty("409")),
    ],
)
async def test_the_fake_answers_in_the_shape_of_the_example(
    name: str, path: str, arrange: Setup
) -> None:
    told = example(name)
    method, _, where = path.rpartition(" ")
    async with FakeAnchore(api="v2") as anchore, aiohttp.ClientSession(headers=ADMIN) as session:
        arrange(anchore.store)
        async with session.request(
            method or "GET", anchore.url + where, json=SUBMISSION if method else None
        ) as response:
            text = await response.text()
            assert response.status == told.status
    said = json.loads(text) if told.is_json else text
    assert keys(said) == keys(told.body)


def keys(value: Any) -> Any:
    """Names and types, but of what was read as perhaps null, and of documents and details that
    policies and problems fill as they like."""
    if isinstance(value, dict):
        return {
            key: keys(part)
            for key, part in value.items()
            if part is not None and key not in FREE and part != []
        }
    if isinstance(value, list):
        return [keys(value[0])] if value else []
    return type(value).__name__


FREE = {
    "allowlist_match",
    "analysis_status_detail",
    "anchore_request_id",
    "annotations",
    "detail",
    "details",
    "dockerfile_mode",
    "policy",
    "matched_mapping_rule",
}


async def test_a_pass_of_the_fake_has_every_name_of_the_example() -> None:
    async with FakeAnchore(api="v2") as anchore, aiohttp.ClientSession(headers=ADMIN) as session:
        known(action="stop", rows=[OPENSSH])(anchore.store)
        async with session.get(anchore.url + CHECK) as response:
            said = (await response.json())["evaluations"][0]
    told = example("check-fail-with-findings").body["evaluations"][0]
    assert set(said) == set(told)
    assert set(said["details"]) == set(told["details"])
    assert set(said["details"]["policy"]) == set(told["details"]["policy"])
    assert set(said["details"]["findings"][0]) == set(told["details"]["findings"][0])
    assert shape(said["matched_mapping_rule"]) == shape(told["matched_mapping_rule"])
