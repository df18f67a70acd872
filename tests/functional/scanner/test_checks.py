"""Checks against the default bundle and pushed ones, in Engine's recorded shape."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.verdict import Outcome, Question, Subject, judge
from shared.ports.scanner import Analysis
from shared.runtime.clock import SystemClock
from tests.fakes.anchore_replay import recording
from tests.fakes.registry import FakeRegistry, answer
from tests.functional.scanner.conftest import Client, Open, waiting_for
from tests.functional.scanner.images import (
    BASE_FILES,
    BASH,
    EXPAT,
    NETBASE,
    OPENSSH,
    debian_image,
)
from tests.functional.scanner.test_images import shape
from tests.unit.scanner.samples import baseline, bundle_of, rule

GOOD = debian_image(BASE_FILES, NETBASE)


async def test_a_good_image_passes_the_default_bundle(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    reference = await real_scanner.analysed(registry, GOOD)

    entry = await real_scanner.entry(reference, GOOD.digest)
    assert (entry["status"], entry["policyId"]) == ("pass", "imagegate-default")
    result = entry["detail"]["result"]
    assert (result["final_action"], result["evaluation_problems"]) == ("go", [])
    assert result["matched_mapping_rule"]["id"] == "imagegate-default-mapping"


STOPPED = {
    "no-user": (debian_image(BASE_FILES, config={}), "User root found"),
    "00": (debian_image(BASE_FILES, config={"User": "00"}), "User 00 (root) found"),
    "group": (debian_image(BASE_FILES, config={"User": "0:1000"}), "User 0:1000 (root) found"),
    "ssh": (debian_image(BASE_FILES, OPENSSH), "Package is blacklisted: openssh-server"),
    "expat": (debian_image(BASE_FILES, EXPAT), "(fixed in: 2.5.0-1+deb12u1)(CVE-2024-45492 - "),
    "uncovered": (debian_image(BASE_FILES, BASH), "covers 1 of 2 packages. It knows nothing of: b"),
    "no-release": (debian_image(os_release=b""), "not found for distro namespace: Unknown:0"),
    "no-packages": (debian_image(), "says that it is debian:12 but lists no package of it"),
}


async def test_each_rule_of_the_default_bundle_stops_its_image(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    await asyncio.gather(
        *(
            real_scanner.analysed(registry, image, f"team/{name}:1")
            for name, (image, _) in STOPPED.items()
        )
    )

    for name, (image, said) in STOPPED.items():
        reference = registry.put(image, f"team/{name}:1")
        rows = await real_scanner.rows(reference, image.digest)
        assert said in "; ".join(row[3] for row in rows if row[4] == "stop")
        assert (await real_scanner.entry(reference, image.digest))["status"] == "fail"


async def test_a_from_without_a_tag_stops_once_the_dockerfile_is_known(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD, dockerfile=b"FROM debian\nUSER 65532\n")

    (row,) = await scanner.rows(reference, GOOD.digest)
    assert row[1:3] == ["dockerfile", "instruction"]
    assert row[3].endswith("for line 'debian'")


async def test_the_answer_has_the_shape_of_a_recorded_one(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    image = debian_image(BASE_FILES, OPENSSH, config={})
    reference = await real_scanner.analysed(registry, image)
    await real_scanner.call("POST", "/v1/policies", json=baseline())

    entry = await real_scanner.entry(reference, image.digest, policyId="oci-baseline")
    recorded = recording("check-baseline-active-bad").body[0]
    theirs = next(iter(next(iter(recorded.values())).values()))[0]
    tables = []
    for one in (entry, theirs):
        result = one["detail"]["result"]
        assert result["image_id"] in result["result"]
        tables.append(result["result"].pop(result["image_id"])["result"])
    assert shape(entry) == shape(theirs)
    assert tables[0]["header"] == tables[1]["header"]
    assert [shape(row) for row in tables[0]["rows"]] == [shape(tables[1]["rows"][0])] * 2
    assert {row[2] for row in tables[0]["rows"]} <= {row[2] for row in tables[1]["rows"]}


async def test_without_detail_the_answer_is_short(scanner: Client, registry: FakeRegistry) -> None:
    reference = await scanner.analysed(registry, GOOD)

    entry = await scanner.entry(reference, GOOD.digest, detail="false")
    recorded = recording("check-default-bundle-nodetail-good").body[0]
    theirs = next(iter(next(iter(recorded.values())).values()))[0]
    assert shape(entry) == shape(theirs)
    assert entry["detail"] == {}


async def test_a_tag_that_the_digest_was_not_submitted_under_is_refused(
    scanner: Client, registry: FakeRegistry
) -> None:
    await scanner.analysed(registry, GOOD)
    second = registry.put(GOOD, "team/second:2")
    asked = len(registry.requests)

    status, body = await scanner.check(second, GOOD.digest)
    assert status == 404
    assert body["message"] == f"{GOOD.digest} was not submitted under the tag {second.tagged}"
    assert len(registry.requests) == asked

    await scanner.submit(second, GOOD.digest)
    assert (await scanner.check(second, GOOD.digest))[0] == 200


async def test_a_digest_is_not_submitted_under_a_repository_that_does_not_have_it(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    registry.fault("manifests", answer(404, "MANIFEST_UNKNOWN"))

    elsewhere = msgspec.structs.replace(reference, path="team/elsewhere")
    assert (await scanner.submit(elsewhere, GOOD.digest))[0] == 400
    assert (await scanner.check(elsewhere, GOOD.digest))[0] == 404


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"policyId": "nosuch"}, "check-unknown-policyid"),
        ({}, "check-unknown-image"),
    ],
)
async def test_what_cannot_be_checked_is_told_as_engine_tells_it(
    scanner: Client, registry: FakeRegistry, query: dict[str, str], name: str
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    digest = GOOD.digest if query else "sha256:" + "0" * 64

    recorded = recording(name)
    assert await scanner.check(reference, digest, **query) == (recorded.status, recorded.body)


async def test_a_check_without_a_tag_is_told_as_engine_tells_it(
    scanner: Client, registry: FakeRegistry
) -> None:
    await scanner.analysed(registry, GOOD)

    recorded = recording("check-default-bundle-notag-good")
    answered = await scanner.get(f"/v1/images/{GOOD.digest}/check")
    assert answered == (recorded.status, recorded.body)


async def test_an_image_that_is_not_analysed_is_told_as_engine_tells_it(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    scanner = await open_scanner(path=fake_syft(waiting_for(go, "exit 1")))
    reference = registry.put(GOOD, "team/app:1.0")
    await scanner.submit(reference, GOOD.digest)

    names = ("not_analyzed-bad", "analyzing-bad", "analysis_failed")
    recorded = [recording(f"check-while-{name}").body for name in names]
    seen: list[Any] = []
    while recorded[-1] not in seen:
        status, body = await scanner.check(reference, GOOD.digest)
        assert status == 404
        assert body in recorded
        seen.append(body)
        if body == recorded[1]:
            go.touch()
    assert recorded[1] in seen


async def test_without_a_mapping_the_answer_is_no_pass(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    narrow = baseline() | {"id": "narrow"}
    narrow["mappings"][0]["registry"] = "registry.example"
    await scanner.call("POST", "/v1/policies", json=narrow)

    entry = await scanner.entry(reference, GOOD.digest, policyId="narrow")
    result = entry["detail"]["result"]
    assert (entry["status"], result["final_action"]) == ("fail", "stop")
    assert result["matched_mapping_rule"] is False
    assert result["evaluation_problems"][0]["problem_type"] == "NoMatchingMapping"


async def test_an_evaluation_that_never_ends_is_no_pass(
    open_scanner: Open, registry: FakeRegistry
) -> None:
    scanner = await open_scanner(imagegate_scanner_evaluation_seconds=5.0)
    reference = await scanner.analysed(
        registry, GOOD, dockerfile=b"FROM a:1\nRUN " + b"a" * 64 + b"!"
    )
    asked = rule("dockerfile", "instruction", instruction="RUN", check="like", value="(a+)+$")
    await scanner.call("POST", "/v1/policies", json=bundle_of(asked) | {"id": "slow"})

    entry = await scanner.entry(reference, GOOD.digest, policyId="slow")
    assert entry["status"] == "fail"
    (problem,) = entry["detail"]["result"]["evaluation_problems"]
    assert problem["problem_type"] == "EvaluationTimeout"
    assert (await scanner.entry(reference, GOOD.digest))["status"] == "pass"


@pytest.fixture
async def anchore(scanner: Client) -> Any:
    async with AnchoreTransport(url=scanner.url, user="admin", password="") as transport:
        yield AnchoreV1(transport=transport, clock=SystemClock())


async def analysed(anchore: AnchoreV1, subject: Subject) -> Analysis:
    while (state := (await anchore.analysis(subject, Question())).state) in (
        Analysis.WAITING,
        Analysis.RUNNING,
    ):
        pass
    return state


async def test_the_v1_client_believes_what_the_scanner_says(
    anchore: AnchoreV1, registry: FakeRegistry
) -> None:
    for image, outcome in (
        (GOOD, Outcome.PASS),
        (debian_image(BASE_FILES, config={}), Outcome.FAIL),
    ):
        reference = registry.put(image, "team/app:1.0")
        for tag in ("1.0", None):
            subject = Subject(reference.repository, image.digest, tag)
            if (await anchore.analysis(subject, Question())).state is Analysis.UNKNOWN:
                await anchore.submit(subject, Question())
            assert await analysed(anchore, subject) is Analysis.DONE
            verdict = judge(subject, Question(), await anchore.evaluate(subject, Question()))
            assert (verdict.outcome, verdict.message) == (outcome, "")
            assert bool(verdict.stops) is (outcome is Outcome.FAIL)


async def test_the_v1_client_knows_what_went_wrong(
    anchore: AnchoreV1, registry: FakeRegistry
) -> None:
    reference = registry.put(GOOD, "team/app:1.0")
    subject = Subject(reference.repository, GOOD.digest, "1.0")
    assert (await anchore.analysis(subject, Question())).state is Analysis.UNKNOWN

    missing = msgspec.structs.replace(subject, digest="sha256:" + "0" * 64)
    with pytest.raises(PermanentFailure) as caught:
        await anchore.submit(missing, Question())
    assert caught.value.kind is ErrorKind.NOT_FOUND
    with pytest.raises(PermanentFailure) as caught:
        await anchore.submit(msgspec.structs.replace(subject, repository="10.0.0.1/a"), Question())
    assert caught.value.kind is ErrorKind.REFUSED
    registry.fault("blobs", answer(404))
    await anchore.submit(subject, Question())
    assert await analysed(anchore, subject) is Analysis.FAILED
    assert "could not be pulled" in await anchore.failure_reason(subject, Question())
    info = await anchore.info()
    assert info.api == "v1"


async def test_the_v1_client_hands_a_dockerfile_over(
    anchore: AnchoreV1, registry: FakeRegistry
) -> None:
    reference = registry.put(GOOD, "team/app:1.0")
    subject = Subject(reference.repository, GOOD.digest, "1.0")
    await anchore.submit(subject, Question())
    await analysed(anchore, subject)

    await anchore.submit(subject, Question(), dockerfile=b"FROM debian\n")
    await analysed(anchore, subject)
    verdict = judge(subject, Question(), await anchore.evaluate(subject, Question()))
    assert [finding.trigger for finding in verdict.stops] == ["instruction"]


def test_the_recordings_of_the_policy_are_the_bundle_that_tests_push(tmp_path: Path) -> None:
    recorded = recording("policy-post-new").request_body

    assert recorded == baseline()
