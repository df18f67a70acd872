"""One policy has one revision in every answer of a real Engine's (tests/data/anchore)."""

from typing import Any

import pytest

from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_evaluation import read_evaluation
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.domain.policy import bundle_revision
from tests.fakes.anchore_replay import Replay, recording
from tests.functional.anchore.conftest import NOW, QUICK


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
