"""Policies on a FakeAnchore: at no moment without an active one."""

import copy
import json
from typing import Any

import pytest

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_policies import AnchorePolicies
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.policy import Bundle, Policy, bundle_revision
from shared.ports.policies import Policies
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_wire import BASELINE


def bundle(name: str, **changes: Any) -> Bundle:
    return copy.deepcopy(BASELINE) | {"id": name, "name": f"the policy {name}"} | changes


def active(anchore: FakeAnchore, account: str = "admin") -> list[str]:
    policies = anchore.store.policies[account]
    return [name for name, record in policies.items() if record["active"]]


def methods(anchore: FakeAnchore) -> dict[str, int]:
    changing = ("policy_add", "policy_put")
    return {name: anchore.store.calls[name] for name in changing if anchore.store.calls[name]}


def test_they_are_policies(policies: AnchorePolicies) -> None:
    port: Policies = policies
    assert port is policies


async def test_all_are_listed_without_their_bundles(policies: AnchorePolicies) -> None:
    assert await policies.all() == (Policy(id="fake-baseline", name="Fake baseline", active=True),)


async def test_one_is_had_with_its_bundle_and_an_unknown_one_is_none(
    policies: AnchorePolicies,
) -> None:
    known = await policies.get("fake-baseline")
    assert known is not None
    assert known.bundle == BASELINE
    assert await policies.get("no/such policy?") is None


async def test_a_new_policy_is_added_and_then_activated(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    stored = await policies.push(bundle("strict"))
    assert (stored.id, stored.active) == ("strict", True)
    assert bundle_revision(stored.bundle) == bundle_revision(bundle("strict"))
    assert active(anchore) == ["strict"]
    assert methods(anchore) == {"policy_add": 1, "policy_put": 1}


async def test_a_new_policy_need_not_be_activated(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    stored = await policies.push(bundle("strict"), activate=False)
    assert not stored.active
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("activate", [True, False])
async def test_the_active_policy_is_changed_and_stays_active(
    anchore: FakeAnchore, policies: AnchorePolicies, activate: bool
) -> None:
    changed = bundle("fake-baseline", comment="changed")
    stored = await policies.push(changed, activate=activate)
    assert stored.active
    assert stored.bundle["comment"] == "changed"
    assert active(anchore) == ["fake-baseline"]
    assert methods(anchore) == {"policy_put": 1}


async def test_an_inactive_policy_is_changed_and_stays_so_unless_asked(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    await policies.push(bundle("strict"), activate=False)
    assert not (await policies.push(bundle("strict", comment="new"), activate=False)).active
    assert (await policies.push(bundle("strict", comment="newer"))).active
    assert active(anchore) == ["strict"]


async def test_pushing_the_same_again_changes_nothing(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    first = await policies.push(bundle("strict"))
    assert await policies.push(bundle("strict")) == first
    assert active(anchore) == ["strict"]


async def test_another_policy_is_activated_as_it_is(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    await policies.push(bundle("strict"))
    assert (await policies.activate("fake-baseline")).bundle == BASELINE
    assert active(anchore) == ["fake-baseline"]


async def test_an_unknown_policy_cannot_be_activated(policies: AnchorePolicies) -> None:
    with pytest.raises(PermanentFailure, match="no policy strict to activate: push it first"):
        await policies.activate("strict")


async def test_an_account_has_policies_of_its_own(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    anchore.store.add_account("payments")
    await policies.push(bundle("strict"), account="payments")
    assert active(anchore, "payments") == ["strict"]
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_bundle_that_is_not_accepted_says_why_and_changes_nothing(
    anchore: FakeAnchore, policies: AnchorePolicies, known: bool
) -> None:
    wrong = json.loads(json.dumps(bundle("fake-baseline" if known else "wrong")))
    wrong["policies"][0]["rules"][0]["gate"] = "nosuchgate"
    with pytest.raises(PermanentFailure) as failure:
        await policies.push(wrong)
    assert failure.value.kind is ErrorKind.REFUSED
    assert "Bundle failed validation; GateNotFoundError: " in str(failure.value)
    assert "nosuchgate" in str(failure.value)
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("name", [None, "", 5])
async def test_a_bundle_without_an_id_is_refused_before_anything_is_sent(
    anchore: FakeAnchore, policies: AnchorePolicies, name: Any
) -> None:
    with pytest.raises(PermanentFailure, match="has no id"):
        await policies.push(bundle("x", id=name))
    assert not anchore.store.calls


async def test_a_bundle_that_lacks_a_part_is_refused(policies: AnchorePolicies) -> None:
    wrong = bundle("wrong")
    del wrong["mappings"]
    with pytest.raises(PermanentFailure, match="'mappings' is a required property"):
        await policies.push(wrong)


async def test_adding_is_not_repeated_blindly(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    anchore.store.fault("policy_add", "close", times=1)
    with pytest.raises(TransientFailure):
        await policies.push(bundle("strict"))
    assert anchore.store.calls["policy_add"] == 1
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("kind", ["401", "403", "500", "429", "html", "404-path", "close"])
@pytest.mark.parametrize("operation", ["policy_get", "policy_put", "policy_add"])
async def test_whatever_goes_wrong_is_a_failure_and_leaves_a_policy_active(
    anchore: FakeAnchore, policies: AnchorePolicies, operation: str, kind: str
) -> None:
    anchore.store.fault(operation, kind)
    with pytest.raises(StepFailure):
        await policies.push(bundle("strict"))
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("operation", ["policy_get", "policy_put", "policy_add"])
async def test_a_server_that_hangs_leaves_a_policy_active(
    anchore: FakeAnchore, hasty: AnchoreTransport, operation: str
) -> None:
    anchore.store.fault(operation, "hang")
    with pytest.raises(TransientFailure, match="did not answer"):
        await AnchorePolicies(transport=hasty).push(bundle("strict"))
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("body", ["[]", "{}", "[5]", '[{"policyId": "x", "active": true}]'])
async def test_an_answer_about_another_policy_is_not_taken(
    anchore: FakeAnchore, policies: AnchorePolicies, body: str
) -> None:
    anchore.store.fault("policy_get", "json", value=body)
    with pytest.raises(TransientFailure):
        await policies.get("strict")


async def test_a_policy_that_somebody_else_changed_meanwhile_is_noticed(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    anchore.store.fault("policy_put", "json", value='[{"policyId": "strict", "active": true}]')
    await policies.push(bundle("strict", comment="theirs"), activate=False)
    with pytest.raises(TransientFailure, match="did somebody else change it"):
        await policies.push(bundle("strict", comment="ours"))
