"""The policies of an Engine, over its v1 API (docs/design/anchore-engine.md 7)."""

from typing import Any
from urllib.parse import quote

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.refusals import Refusals
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.policy import Bundle, Policy, bundle_revision

Records = list[Any]


class AnchorePolicies:
    """`shared.ports.policies.Policies` over Engine's v1 API.

    An existing policy is only ever changed by PUT: POST of the id that is active leaves the
    account without an active policy, and every check is refused until somebody activates one.
    """

    def __init__(self, *, transport: AnchoreTransport) -> None:
        self._transport = transport
        self._refusals = Refusals(transport)

    async def all(self, *, account: str = "") -> tuple[Policy, ...]:
        """All policies, without their bundles."""
        call = Call(operation="policies", method="GET", path="/v1/policies", account=account)
        records = self._records(call, await self._transport.call(call))
        return tuple(self._policy(call, record) for record in records)

    async def get(self, policy_id: str, *, account: str = "") -> Policy | None:
        """One policy with its bundle."""
        call = Call(operation="policy_get", method="GET", path=_path(policy_id), account=account)
        answer = await self._transport.call(call)
        if answer.status == 404 and complaint_of(answer).by_anchore:
            return None
        return self._one(call, self._records(call, answer), policy_id)

    async def push(self, bundle: Bundle, *, account: str = "", activate: bool = True) -> Policy:
        """Store it; what is active stays active."""
        policy_id = bundle.get("id")
        if not isinstance(policy_id, str) or not policy_id:
            raise PermanentFailure(
                "the policy bundle has no id: give it one", kind=ErrorKind.REFUSED
            )
        known = await self.get(policy_id, account=account)
        if known is None:
            await self._add(policy_id, bundle, account)
            if activate:
                await self._put(policy_id, bundle, account, active=True)
        else:
            await self._put(policy_id, bundle, account, active=known.active or activate)
        return await self._stored(policy_id, bundle, account)

    async def activate(self, policy_id: str, *, account: str = "") -> Policy:
        """Make it the active one, as it is."""
        known = await self.get(policy_id, account=account)
        if known is None:
            raise PermanentFailure(
                f"Anchore has no policy {policy_id} to activate: push it first",
                kind=ErrorKind.REFUSED,
            )
        await self._put(policy_id, known.bundle, account, active=True)
        return await self._stored(policy_id, known.bundle, account)

    async def _stored(self, policy_id: str, bundle: Bundle, account: str) -> Policy:
        """What is there now: answers to POST and PUT hold more than was stored."""
        stored = await self.get(policy_id, account=account)
        if stored is None or bundle_revision(stored.bundle) != bundle_revision(bundle):
            raise TransientFailure(
                f"Anchore took the policy {policy_id} but has another now: did somebody else "
                "change it? Look at it and push it again"
            )
        return stored

    async def _add(self, policy_id: str, bundle: Bundle, account: str) -> None:
        call = Call(
            operation="policy_add",
            method="POST",
            path="/v1/policies",
            body=bundle,
            account=account,
            repeatable=False,
        )
        answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusals.of_call(call, answer)
        self._one(call, [answer.body], policy_id)

    async def _put(self, policy_id: str, bundle: Bundle, account: str, *, active: bool) -> None:
        record = {"policyId": policy_id, "policybundle": bundle, "active": active}
        call = Call(
            operation="policy_put",
            method="PUT",
            path=_path(policy_id),
            body=record,
            account=account,
        )
        records = self._records(call, await self._transport.call(call))
        stored = self._one(call, records, policy_id)
        if stored.active != active:
            raise TransientFailure(
                f"Anchore stored the policy {policy_id} and says active is {stored.active}, "
                f"although {active} was asked for: look at its policies and try again"
            )

    def _records(self, call: Call, answer: Answer) -> Records:
        if answer.status != 200 or not isinstance(answer.body, list):
            raise self._refusals.of_call(call, answer)
        return answer.body

    def _one(self, call: Call, records: Records, policy_id: str) -> Policy:
        policies = [self._policy(call, record) for record in records]
        if [policy.id for policy in policies] != [policy_id]:
            raise TransientFailure(
                f"Anchore's answer to {call.operation} is not about the policy {policy_id}"
            )
        return policies[0]

    def _policy(self, call: Call, record: Any) -> Policy:
        fields = record if isinstance(record, dict) else {}
        policy_id, active = fields.get("policyId"), fields.get("active")
        bundle = fields.get("policybundle")
        if not isinstance(policy_id, str) or not isinstance(active, bool):
            raise TransientFailure(f"Anchore's answer to {call.operation} holds no policy record")
        return Policy(
            id=policy_id,
            name=self._transport.clean(fields.get("name") or ""),
            active=active,
            bundle=bundle if isinstance(bundle, dict) else {},
        )


def _path(policy_id: str) -> str:
    return f"/v1/policies/{quote(policy_id, safe='')}"
