"""One policy has one revision in every answer: of a real Engine (tests/data/anchore), and of the
examples of v2 (tests/data/anchore-v2)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_evaluation import read_evaluation
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.adapters.anchore.v2_evaluation import read_evaluation as read_v2_evaluation
from shared.adapters.anchore.v2_policies import V2_POLICIES
from shared.domain.policy import bundle_revision
from tests.fakes.anchore_replay import Replay, recording
from tests.functional.anchore.conftest import NOW, QUICK
from tests.functional.anchore.test_v2_shapes import example


async def revision_by_get() -> str:
    """Of the policy oci-baseline, as GET answers with it."""
    async with (
        Replay([recording("policy-get")]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        policy = await AnchorePolicies(transport=transport, dialect=V1_POLICIES).get("oci-baseline")
    assert policy is not None
    return bundle_revision(policy.bundle)


@pytest.mark.parametrize(
    "name",
    [
        "check-baseline-active-good",
        "check-baseline-active-bad",
        "check-baseline-armonly",
        "check-baseline-multi-docker",
        "check-good-after-new-cve-baseline",
    ],
)
async def test_a_check_names_the_revision_that_get_has(name: str) -> None:
    evaluation = read_evaluation(recording(name).body, account="", asked_at=NOW)
    assert evaluation.revision == await revision_by_get()


@pytest.mark.parametrize(
    "name",
    ["policy-post-new", "policy-post-active-bundle-again", "policy-put-activate-minimal-record"],
)
async def test_an_answer_to_post_or_put_has_it_too_though_it_holds_more(name: str) -> None:
    told = recording(name)
    record: dict[str, Any] = told.body[0] if isinstance(told.body, list) else told.body
    assert record["policybundle"].keys() & {"active", "last_updated"}
    assert bundle_revision(record["policybundle"]) == await revision_by_get()


async def test_another_policy_has_another_revision() -> None:
    evaluation = read_evaluation(recording("check-v-warn-bad").body, account="", asked_at=NOW)
    assert evaluation.revision != await revision_by_get()


@asynccontextmanager
async def v2_says(*names: str) -> AsyncIterator[AnchorePolicies]:
    """What the examples of v2 are read by."""
    methods = {"policy-put-activate": "PUT", "policy-post-created": "POST"}
    told = [msgspec.structs.replace(example(one), method=methods.get(one, "GET")) for one in names]
    async with (
        Replay(told) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        yield AnchorePolicies(transport=transport, dialect=V2_POLICIES)


async def test_the_examples_of_v2_are_read() -> None:
    async with v2_says("policies-list") as policies:
        listed = await policies.all(account="oci")
    assert [(one.id, one.active, bool(one.bundle)) for one in listed] == [
        ("oci-baseline", True, False),
        ("anchore_secure_default", False, False),
    ]
    async with v2_says("policy-get") as policies:
        policy = await policies.get("oci-baseline", account="oci")
    assert policy is not None
    assert (policy.name, policy.active) == ("OCI baseline", True)


@pytest.mark.parametrize("name", ["policy-put-activate", "policy-post-created", "policy-get"])
def test_an_example_of_a_check_names_the_revision_that_the_others_have(name: str) -> None:
    checked = read_v2_evaluation(example("check-pass").body, account="", asked_at=NOW)
    assert checked.revision == bundle_revision(example(name).body["policy"])


async def test_a_policy_goes_through_put_as_the_example_answers() -> None:
    document = example("policy-get").body["policy"]
    async with v2_says("policies-list", "policy-get", "policy-put-activate") as policies:
        stored = await policies.push(document, account="oci")
    assert stored.active
    assert bundle_revision(stored.bundle) == bundle_revision(document)
