"""Policies on a FakeAnchore: at no moment without an active one."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.policy import Bundle, Policy, bundle_revision
from shared.ports.policies import Policies
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_wire import BASELINE
from tests.house import eventually


def bundle(name: str, **changes: Any) -> Bundle:
    return copy.deepcopy(BASELINE) | {"id": name, "name": f"the policy {name}"} | changes


def active(anchore: FakeAnchore, account: str = "admin") -> list[str]:
    policies = anchore.store.policies[account]
    return [name for name, record in policies.items() if record["active"]]


def unchanged(policy: Policy) -> Policy:
    """Whenever it was stored."""
    return msgspec.structs.replace(policy, changed="")


def methods(anchore: FakeAnchore) -> dict[str, int]:
    changing = ("policy_add", "policy_put")
    return {name: anchore.store.calls[name] for name in changing if anchore.store.calls[name]}


def test_they_are_policies(policies: AnchorePolicies) -> None:
    port: Policies = policies
    assert port is policies


async def test_all_are_listed_without_their_bundles(policies: AnchorePolicies) -> None:
    (policy,) = await policies.all()
    assert policy.changed
    assert unchanged(policy) == Policy(id="fake-baseline", name="Fake baseline", active=True)


async def test_one_is_had_with_its_bundle_and_an_unknown_one_is_none(
    policies: AnchorePolicies,
) -> None:
    known = await policies.get("fake-baseline")
    assert known is not None
    assert known.bundle == BASELINE
    assert await policies.get("no such policy?") is None


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
    assert unchanged(await policies.push(bundle("strict"))) == unchanged(first)
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
@pytest.mark.parametrize("operation", ["policies", "policy_get", "policy_put", "policy_add"])
async def test_whatever_goes_wrong_is_a_failure_and_leaves_a_policy_active(
    anchore: FakeAnchore, policies: AnchorePolicies, operation: str, kind: str
) -> None:
    anchore.store.fault(operation, kind)
    with pytest.raises(StepFailure):
        await policies.push(bundle("strict"))
    # What is read at the end, to see what was stored, fails after the work is done.
    assert active(anchore) == ["strict" if operation == "policy_get" else "fake-baseline"]


@pytest.mark.parametrize("operation", ["policies", "policy_get", "policy_put", "policy_add"])
async def test_a_server_that_hangs_leaves_a_policy_active(
    anchore: FakeAnchore, hasty: AnchoreTransport, operation: str
) -> None:
    anchore.store.fault(operation, "hang")
    with pytest.raises(TransientFailure, match="did not answer"):
        await AnchorePolicies(transport=hasty, dialect=V1_POLICIES).push(bundle("strict"))
    assert active(anchore) == ["strict" if operation == "policy_get" else "fake-baseline"]


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


@pytest.mark.parametrize("policy_id", ["a/b", ".", ".."])
async def test_an_id_that_would_lead_to_another_path_is_refused_before_anything_is_sent(
    anchore: FakeAnchore, policies: AnchorePolicies, policy_id: str
) -> None:
    for ask in (
        policies.push(bundle(policy_id)),
        policies.get(policy_id),
        policies.activate(policy_id),
    ):
        with pytest.raises(PermanentFailure, match="cannot stand in a path"):
            await ask
    assert not anchore.store.calls


@pytest.mark.parametrize("account", ["zahlungen-ü", "a\nb"])
async def test_an_account_that_no_header_can_name_is_refused(
    anchore: FakeAnchore, policies: AnchorePolicies, account: str
) -> None:
    with pytest.raises(PermanentFailure, match="plain ASCII"):
        await policies.push(bundle("strict"), account=account)
    assert not anchore.store.calls


async def test_an_account_that_anchore_does_not_have_is_said_and_nothing_is_pushed(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    for ask in (
        policies.all(account="paymants"),
        policies.get("fake-baseline", account="paymants"),
        policies.push(bundle("strict"), account="paymants"),
        policies.activate("fake-baseline", account="paymants"),
    ):
        with pytest.raises(PermanentFailure, match="no account paymants") as failure:
            await ask
        assert failure.value.kind is ErrorKind.MISCONFIGURED
    assert not methods(anchore)


async def test_a_proxy_that_drops_the_account_has_nothing_changed_in_another(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    # What such a proxy passes on: the answer is the admin's.
    answer = json.dumps(list(anchore.store.policies["admin"].values()))
    anchore.store.add_account("payments")
    anchore.store.fault("policies", "json", value=answer)
    for ask in (
        policies.push(bundle("strict"), account="payments"),
        policies.activate("fake-baseline", account="payments"),
    ):
        with pytest.raises(PermanentFailure, match="for the account admin instead of payments"):
            await ask
    assert not methods(anchore)


async def test_whoever_reads_meanwhile_finds_the_active_policy_active(
    anchore: FakeAnchore, policies: AnchorePolicies
) -> None:
    async with reading_all_the_time(policies) as seen:
        for number in range(30):
            await policies.push(bundle("fake-baseline", comment=str(number)))
            await policies.push(bundle("fake-baseline", comment=str(number)), activate=False)
        assert len(seen) >= 10
        assert set(seen) == {("fake-baseline",)}
        # That it would be seen: what Engine does with a POST of the active policy.
        await policies._add("fake-baseline", bundle("fake-baseline"), "")
        await eventually(lambda: () in seen)


async def test_one_policy_or_the_other_is_active_while_another_is_activated(
    policies: AnchorePolicies,
) -> None:
    async with reading_all_the_time(policies) as seen:
        for number in range(20):
            await policies.push(bundle(f"strict-{number}"))
            await policies.activate("fake-baseline")
    assert {len(active) for active in seen} == {1}


@asynccontextmanager
async def reading_all_the_time(policies: AnchorePolicies) -> AsyncIterator[list[tuple[str, ...]]]:
    """Which were active, by each answer that came meanwhile."""
    seen: list[tuple[str, ...]] = []

    async def read() -> None:
        while True:
            listed = await policies.all()
            seen.append(tuple(policy.id for policy in listed if policy.active))

    readers = [asyncio.create_task(read()) for _ in range(4)]
    try:
        yield seen
    finally:
        for reader in readers:
            reader.cancel()
        outcomes = await asyncio.gather(*readers, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
