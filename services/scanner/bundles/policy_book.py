"""The policy bundles: pushed, activated, removed. Every bundle kept is one that was checked."""

import msgspec

from services.scanner.bundles.bundle import MAX_BUNDLE
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Accepted, Failed, Refused, Validate
from services.scanner.records import Policy
from services.scanner.store import policies
from services.scanner.store.database import Database
from services.scanner.v1.refusals import Malformed, Refusal
from shared.ports.clock import Clock


class PolicyUpdate(msgspec.Struct, frozen=True, rename={"policy_id": "policyId"}):
    """The policy record that PUT takes."""

    policy_id: str
    policybundle: msgspec.Raw
    active: bool = False


class PolicyBook:
    """Bundles by id, one of them active."""

    def __init__(self, *, database: Database, judges: Judges, clock: Clock) -> None:
        self._database = database
        self._judges = judges
        self._clock = clock

    async def begin(self, default: bytes) -> None:
        """At the very first start the default bundle is there, and active."""
        if not await self.every():
            accepted = await self._accept(default)
            await self._put(accepted, default, active=True)

    async def every(self) -> list[Policy]:
        """All bundles, oldest first."""
        return [*await self._database.run(policies.every)]

    async def get(self, policy_id: str) -> Policy:
        """Raises Refusal (404)."""
        policy = await self._database.run(policies.find, policy_id)
        if policy is None:
            raise Refusal(404, f"Policy bundle {policy_id} not found in DB")
        return policy

    async def push(self, bundle: bytes) -> Policy:
        """Add or replace a bundle. Pushing the active id keeps it active (with Engine nothing
        would be active afterwards). Raises Refusal, Malformed (400)."""
        accepted = await self._accept(bundle)
        return await self._put(accepted, bundle, active=None)

    async def update(self, policy_id: str, update: PolicyUpdate, *, active: bool) -> Policy:
        """Replace a bundle and activate it, or leave it inactive; the active one stays active.
        Raises Refusal (400, 404)."""
        if update.policy_id != policy_id:
            raise Refusal(
                400,
                "policyId in route is different from policyId in payload: "
                f"{policy_id} != {update.policy_id}",
            )
        known = await self.get(policy_id)
        activate = active or update.active
        if known.active and not activate:
            raise Refusal(
                400, "cannot deactivate an active policy - can only activate an inactive policy"
            )
        bundle = bytes(update.policybundle)
        accepted = await self._accept(bundle)
        if accepted.id != policy_id:
            raise Refusal(400, f"the bundle's id is {accepted.id}, not {policy_id}")
        return await self._put(accepted, bundle, active=activate)

    async def delete(self, policy_id: str) -> None:
        """Raises Refusal (400, 404); the active bundle stays."""
        if (await self.get(policy_id)).active:
            raise Refusal(
                400,
                "cannot delete an active policy - activate a different policy then delete this one",
            )
        await self._database.run(policies.delete, policy_id)

    async def _accept(self, bundle: bytes) -> Accepted:
        """A judge reads it: a policy's regular expressions are not compiled in the server."""
        if len(bundle) > MAX_BUNDLE:
            raise Refusal(400, f"the bundle is over {MAX_BUNDLE} bytes")
        answer = await self._judges.ask(Validate(bundle))
        if isinstance(answer, Accepted):
            return answer
        if isinstance(answer, Refused) and answer.shape:
            raise Malformed(answer.shape)
        if isinstance(answer, Refused):
            details = msgspec.to_builtins(answer.problems)
            raise Refusal(400, "Bundle failed validation", validation_details=details)
        why = answer.details if isinstance(answer, Failed) else type(answer).__name__
        raise Refusal(400, f"the bundle could not be checked: {why}")

    async def _put(self, accepted: Accepted, bundle: bytes, *, active: bool | None) -> Policy:
        await self._database.run(
            policies.put,
            policy_id=accepted.id,
            name=accepted.name,
            bundle=bundle,
            now=self._clock.now(),
            active=active,
        )
        return await self.get(accepted.id)
