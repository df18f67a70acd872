"""Policies on a FakeAnchore of each API: at no moment without an active one."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shared.adapters.anchore.detect import Detection
from shared.adapters.anchore.either import PoliciesOfEither
from shared.adapters.anchore.policies import AnchorePolicies, PolicyDialect
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.adapters.anchore.v2_policies import V2_POLICIES
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.policy import Bundle, Policy, bundle_revision
from shared.domain.policy_forms import Form
from shared.ports.policies import Policies
from tests.fakes import anchore_v2_wire, anchore_wire
from tests.fakes.anchore import FakeAnchore
from tests.waiting import eventually


class Side(msgspec.Struct, frozen=True):
    """One API."""

    dialect: PolicyDialect
    baseline: Bundle
    rules_key: str
    note_key: str

    @property
    def api(self) -> str:
        return self.dialect.form

    def bundle(self, name: str, *, note: str = "", **changes: Any) -> Bundle:
        """The fake's own policy under another id."""
        named = {"id": name, "name": f"the policy {name}", self.note_key: note}
        return copy.deepcopy(self.baseline) | named | changes

    def wrong_gate(self, name: str) -> Bundle:
        wrong = self.bundle(name)
        rules: Any = wrong[self.rules_key]
        rules[0]["rules"][0]["gate"] = "nosuchgate"
        return wrong

    def record(self, policy_id: str, **fields: Any) -> dict[str, Any]:
        return {self.dialect.id_key: policy_id, "active": True, **fields}


SIDES = {
    "v1": Side(V1_POLICIES, anchore_wire.BASELINE, "policies", "comment"),
    "v2": Side(V2_POLICIES, anchore_v2_wire.BASELINE, "rule_sets", "description"),
}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest) -> Side:
    return SIDES[request.param]


@pytest.fixture
async def anchore(side: Side) -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore(api=side.api) as fake:
        yield fake


@pytest.fixture
def policies(transport: AnchoreTransport, side: Side) -> AnchorePolicies:
    return AnchorePolicies(transport=transport, dialect=side.dialect)


def active(anchore: FakeAnchore, account: str = "admin") -> list[str]:
    policies = anchore.store.policies[account]
    return [name for name, record in policies.items() if record["active"]]


def unchanged(policy: Policy) -> Policy:
    """Whenever it was stored."""
    return msgspec.structs.replace(policy, changed="")


def methods(anchore: FakeAnchore) -> dict[str, int]:
    changing = ("policy_add", "policy_put")
    return {name: anchore.store.calls[name] for name in changing if anchore.store.calls[name]}


async def test_they_are_policies_in_the_form_of_their_api(
    policies: AnchorePolicies, side: Side
) -> None:
    port: Policies = policies
    assert await port.form() == Form(side.api)


async def test_all_are_listed_without_their_bundles(policies: AnchorePolicies) -> None:
    (policy,) = await policies.all()
    assert policy.changed
    assert unchanged(policy) == Policy(id="fake-baseline", name="Fake baseline", active=True)


async def test_one_is_had_with_its_bundle_and_an_unknown_one_is_none(
    policies: AnchorePolicies, side: Side
) -> None:
    known = await policies.get("fake-baseline")
    assert known is not None
    assert known.bundle == side.baseline
    assert await policies.get("no such policy?") is None


async def test_a_new_policy_is_added_and_then_activated(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    stored = await policies.push(side.bundle("strict"))
    assert (stored.id, stored.active) == ("strict", True)
    assert bundle_revision(stored.bundle) == bundle_revision(side.bundle("strict"))
    assert active(anchore) == ["strict"]
    assert methods(anchore) == {"policy_add": 1, "policy_put": 1}


async def test_a_new_policy_need_not_be_activated(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    stored = await policies.push(side.bundle("strict"), activate=False)
    assert not stored.active
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("activate", [True, False])
async def test_the_active_policy_is_changed_and_stays_active(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, activate: bool
) -> None:
    changed = side.bundle("fake-baseline", note="changed")
    stored = await policies.push(changed, activate=activate)
    assert stored.active
    assert stored.bundle[side.note_key] == "changed"
    assert active(anchore) == ["fake-baseline"]
    assert methods(anchore) == {"policy_put": 1}


async def test_an_inactive_policy_is_changed_and_stays_so_unless_asked(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    await policies.push(side.bundle("strict"), activate=False)
    changed = await policies.push(side.bundle("strict", note="new"), activate=False)
    assert not changed.active
    assert (await policies.push(side.bundle("strict", note="newer"))).active
    assert active(anchore) == ["strict"]


async def test_pushing_the_same_again_changes_nothing(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    first = await policies.push(side.bundle("strict"))
    assert unchanged(await policies.push(side.bundle("strict"))) == unchanged(first)
    assert active(anchore) == ["strict"]


async def test_another_policy_is_activated_as_it_is(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    await policies.push(side.bundle("strict"))
    assert (await policies.activate("fake-baseline")).bundle == side.baseline
    assert active(anchore) == ["fake-baseline"]


async def test_an_unknown_policy_cannot_be_activated(policies: AnchorePolicies) -> None:
    with pytest.raises(PermanentFailure, match="no policy strict to activate: push it first"):
        await policies.activate("strict")


async def test_an_account_has_policies_of_its_own(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    anchore.store.add_account("payments")
    await policies.push(side.bundle("strict"), account="payments")
    assert active(anchore, "payments") == ["strict"]
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_bundle_that_is_not_accepted_says_why_and_changes_nothing(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, known: bool
) -> None:
    wrong = side.wrong_gate("fake-baseline" if known else "wrong")
    with pytest.raises(PermanentFailure) as failure:
        await policies.push(wrong)
    assert failure.value.kind is ErrorKind.REFUSED
    assert "Bundle failed validation; GateNotFoundError: " in str(failure.value)
    assert "nosuchgate" in str(failure.value)
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("name", [None, "", 5])
async def test_a_bundle_without_an_id_is_refused_before_anything_is_sent(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, name: Any
) -> None:
    with pytest.raises(PermanentFailure, match="has no id"):
        await policies.push(side.bundle("x", id=name))
    assert not anchore.store.calls


async def test_a_bundle_that_lacks_a_part_is_refused(policies: AnchorePolicies, side: Side) -> None:
    wrong = side.bundle("wrong")
    del wrong["mappings"]
    with pytest.raises(PermanentFailure, match="'mappings' is a required property"):
        await policies.push(wrong)


async def test_adding_is_not_repeated_blindly(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    anchore.store.fault("policy_add", "close", times=1)
    with pytest.raises(TransientFailure):
        await policies.push(side.bundle("strict"))
    assert anchore.store.calls["policy_add"] == 1
    assert active(anchore) == ["fake-baseline"]


@pytest.mark.parametrize("kind", ["401", "403", "500", "429", "html", "404-path", "close"])
@pytest.mark.parametrize("operation", ["policies", "policy_get", "policy_put", "policy_add"])
async def test_whatever_goes_wrong_is_a_failure_and_leaves_a_policy_active(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, operation: str, kind: str
) -> None:
    anchore.store.fault(operation, kind)
    with pytest.raises(StepFailure):
        await policies.push(side.bundle("strict"))
    # What is read at the end, to see what was stored, fails after the work is done.
    assert active(anchore) == ["strict" if operation == "policy_get" else "fake-baseline"]


@pytest.mark.parametrize("operation", ["policies", "policy_get", "policy_put", "policy_add"])
async def test_a_server_that_hangs_leaves_a_policy_active(
    anchore: FakeAnchore, hasty: AnchoreTransport, side: Side, operation: str
) -> None:
    anchore.store.fault(operation, "hang")
    policies = AnchorePolicies(transport=hasty, dialect=side.dialect)
    with pytest.raises(TransientFailure, match="did not answer"):
        await policies.push(side.bundle("strict"))
    # Slow as the machine may be, a call before the one that hangs may have had no time either.
    assert len(active(anchore)) == 1


@pytest.mark.parametrize("body", ["[]", "{}", "[5]", "5", "another"])
async def test_an_answer_about_another_policy_is_not_taken(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, body: str
) -> None:
    answer = json.dumps([side.record("another")]) if body == "another" else body
    anchore.store.fault("policy_get", "json", value=answer)
    with pytest.raises(TransientFailure):
        await policies.get("strict")


async def test_a_policy_that_somebody_else_changed_meanwhile_is_noticed(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    answer = json.dumps([side.record("strict")])
    anchore.store.fault("policy_put", "json", value=answer)
    await policies.push(side.bundle("strict", note="theirs"), activate=False)
    with pytest.raises(TransientFailure, match="did somebody else change it"):
        await policies.push(side.bundle("strict", note="ours"))


async def test_a_server_that_fills_in_what_was_left_out_has_stored_what_was_pushed(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    filled: Any = side.bundle("strict")
    filled[side.rules_key][0]["rules"][0]["params"][0]["hint"] = ""
    filled["last_updated"] = 5
    record = side.record("strict", **{side.dialect.document_key: filled})
    anchore.store.fault("policy_get", "json", value=json.dumps(record))
    assert (await policies.push(side.bundle("strict"))).bundle == filled
    filled["added"] = "something"
    anchore.store.heal()
    anchore.store.fault("policy_get", "json", value=json.dumps(record))
    with pytest.raises(TransientFailure, match="did somebody else change it"):
        await policies.push(side.bundle("strict"))


@pytest.mark.parametrize("policy_id", ["a/b", ".", ".."])
async def test_an_id_that_would_lead_to_another_path_is_refused_before_anything_is_sent(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, policy_id: str
) -> None:
    for ask in (
        policies.push(side.bundle(policy_id)),
        policies.get(policy_id),
        policies.activate(policy_id),
    ):
        with pytest.raises(PermanentFailure, match="cannot stand in a path"):
            await ask
    assert not anchore.store.calls


@pytest.mark.parametrize("account", ["zahlungen-ü", "a\nb"])
async def test_an_account_that_no_header_can_name_is_refused(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side, account: str
) -> None:
    with pytest.raises(PermanentFailure, match="plain ASCII"):
        await policies.push(side.bundle("strict"), account=account)
    assert not anchore.store.calls


async def test_an_account_that_anchore_does_not_have_is_said_and_nothing_is_pushed(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    for ask in (
        policies.all(account="paymants"),
        policies.get("fake-baseline", account="paymants"),
        policies.push(side.bundle("strict"), account="paymants"),
        policies.activate("fake-baseline", account="paymants"),
    ):
        with pytest.raises(PermanentFailure, match="no account paymants") as failure:
            await ask
        assert failure.value.kind is ErrorKind.MISCONFIGURED
    assert not methods(anchore)


async def test_a_proxy_that_drops_the_account_has_nothing_changed_in_another(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    # What such a proxy passes on: the answer is the admin's.
    theirs = side.record("fake-baseline", **{side.dialect.account_key: "admin"})
    anchore.store.add_account("payments")
    anchore.store.fault("policies", "json", value=json.dumps([theirs]))
    for ask in (
        policies.push(side.bundle("strict"), account="payments"),
        policies.activate("fake-baseline", account="payments"),
    ):
        with pytest.raises(PermanentFailure, match="for the account admin instead of payments"):
            await ask
    assert not methods(anchore)


async def test_a_record_that_says_of_no_account_whose_it_is_is_not_taken_for_theirs(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    anchore.store.add_account("payments")
    nobodys = side.record("fake-baseline")
    anchore.store.fault("policies", "json", value=json.dumps([nobodys]))
    with pytest.raises(PermanentFailure, match="for the account None instead of payments"):
        await policies.push(side.bundle("strict"), account="payments")
    assert not methods(anchore)


async def test_whoever_reads_meanwhile_finds_the_active_policy_active(
    policies: AnchorePolicies, side: Side
) -> None:
    async with reading_all_the_time(policies) as seen:
        for number in range(30):
            await policies.push(side.bundle("fake-baseline", note=f"a{number}"))
            await policies.push(side.bundle("fake-baseline", note=f"b{number}"), activate=False)
        assert len(seen) >= 10
        assert set(seen) == {("fake-baseline",)}


async def test_that_none_is_active_would_be_read() -> None:
    """What Engine does with a POST of the active policy: the test above can fail."""
    side = SIDES["v1"]
    async with (
        FakeAnchore() as anchore,
        AnchoreTransport(url=anchore.url, user="admin", password="foobar") as transport,
    ):
        policies = AnchorePolicies(transport=transport, dialect=side.dialect)
        async with reading_all_the_time(policies) as seen:
            await policies._add("fake-baseline", side.bundle("fake-baseline"), "")
            await eventually(lambda: () in seen)


async def test_one_policy_or_the_other_is_active_while_another_is_activated(
    policies: AnchorePolicies, side: Side
) -> None:
    async with reading_all_the_time(policies) as seen:
        for number in range(20):
            await policies.push(side.bundle(f"strict-{number}"))
            await policies.activate("fake-baseline")
    assert {len(active) for active in seen} == {1}


async def test_a_policy_that_somebody_else_activates_this_very_moment_is_active_in_the_end() -> (
    None
):
    """Engine deactivates it by our POST: it was not there when we looked."""
    side = SIDES["v1"]
    async with (
        FakeAnchore() as anchore,
        AnchoreTransport(url=anchore.url, user="admin", password="foobar") as transport,
    ):
        policies = AnchorePolicies(transport=transport, dialect=side.dialect)
        before = [side.record("fake-baseline")]
        await policies.push(side.bundle("strict", note="theirs"))
        anchore.store.fault("policies", "json", value=json.dumps(before), times=1)
        stored = await policies.push(side.bundle("strict", note="ours"), activate=False)
        assert stored.active
        assert active(anchore) == ["strict"]


async def test_where_none_was_active_none_is_made_so(
    anchore: FakeAnchore, policies: AnchorePolicies, side: Side
) -> None:
    anchore.store.policies["admin"]["fake-baseline"]["active"] = False
    await policies.push(side.bundle("strict"), activate=False)
    assert active(anchore) == []


async def test_an_id_that_somebody_added_this_very_moment_is_left_to_them() -> None:
    """v2 says so with a 409; nothing of theirs is overwritten unseen."""
    side = SIDES["v2"]
    async with (
        FakeAnchore(api="v2") as anchore,
        AnchoreTransport(url=anchore.url, user="admin", password="foobar") as transport,
    ):
        policies = AnchorePolicies(transport=transport, dialect=side.dialect)
        anchore.store.fault("policies", "json", value="[]")
        with pytest.raises(TransientFailure, match="somebody else added a policy fake-baseline"):
            await policies.push(side.bundle("fake-baseline", note="ours"))
        assert active(anchore) == ["fake-baseline"]


async def test_which_api_it_is_need_not_be_known(
    anchore: FakeAnchore, transport: AnchoreTransport, side: Side
) -> None:
    policies: Policies = PoliciesOfEither(
        detection=Detection(transport=transport), transport=transport
    )
    assert await policies.form() == Form(side.api)
    await policies.push(side.bundle("strict"))
    known = await policies.get("strict")
    assert known is not None
    assert known.active
    await policies.activate("fake-baseline")
    assert [(one.id, one.active) for one in await policies.all()] == [
        ("fake-baseline", True),
        ("strict", False),
    ]
    assert active(anchore) == ["fake-baseline"]


async def test_a_server_that_is_exchanged_before_a_push_is_given_no_policy_of_the_other_form(
    anchore: FakeAnchore, transport: AnchoreTransport, side: Side
) -> None:
    policies = PoliciesOfEither(detection=Detection(transport=transport), transport=transport)
    form = await policies.form()
    other = next(api for api in SIDES if api != side.api)
    await anchore.upgrade(other)
    with pytest.raises(PermanentFailure, match=f"has the {form} form: push it again"):
        await policies.push(side.bundle("strict"))
    assert not methods(anchore)
    assert active(anchore) == ["fake-baseline"]


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
