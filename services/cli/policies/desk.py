"""What an operator does with policies: looks, pushes, activates, and is told what changed."""

import asyncio

import msgspec

from shared.domain.errors import ImagegateError
from shared.domain.policy import Bundle, Policy, bundle_revision
from shared.domain.policy_forms import Form, converted, form_of
from shared.ports.policies import Policies


class NoSuchPolicy(ImagegateError):
    """Anchore has none of that id."""


class PolicyRow(msgspec.Struct, frozen=True):
    """One policy of an account."""

    id: str
    name: str
    active: bool
    revision: str
    changed: str


class Change(msgspec.Struct, frozen=True):
    """What a push or an activation did. Revisions are whole; empty: there was none."""

    id: str
    account: str
    form: Form
    revision: str
    revision_before: str
    active: bool
    active_before: str
    """The policy that was active before; empty: none was."""
    pushed: bool
    given: Form
    """The form that the document came in."""
    left_out: tuple[str, ...] = ()
    """The ways to what the form that Anchore takes has no place for."""


class PolicyDesk:
    """The operator's side of a scanner's policies. Errors: those of the port, InvalidPolicy."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def listed(self, *, account: str) -> tuple[PolicyRow, ...]:
        """All of them, the active one first."""
        known = await self._policies.all(account=account)
        whole = await asyncio.gather(
            *(self._policies.get(policy.id, account=account) for policy in known)
        )
        rows = [_row(policy) for policy in whole if policy is not None]
        return tuple(sorted(rows, key=lambda row: (not row.active, row.id)))

    async def one(self, policy_id: str, *, account: str) -> Policy:
        """With its document; raises NoSuchPolicy."""
        policy = await self._policies.get(policy_id, account=account)
        if policy is None:
            where = f" in the account {account}" if account else ""
            raise NoSuchPolicy(
                f"Anchore has no policy {policy_id}{where}: `imagegate policies list` shows those "
                "that it has"
            )
        return policy

    async def push(self, document: Bundle, *, account: str, activate: bool) -> Change:
        """Store the document, in the form that the server takes."""
        given = form_of(document)
        form = await self._policies.form()
        told = converted(document, form)
        known = await self._policies.all(account=account)
        policy_id = str(told.document.get("id", ""))
        before = None
        if any(policy.id == policy_id for policy in known):
            before = await self._policies.get(policy_id, account=account)
        stored = await self._policies.push(told.document, account=account, activate=activate)
        return Change(
            id=stored.id,
            account=account,
            form=form,
            revision=bundle_revision(stored.bundle),
            revision_before=bundle_revision(before.bundle) if before else "",
            active=stored.active,
            active_before=_active(known),
            pushed=True,
            given=given,
            left_out=told.left_out,
        )

    async def activate(self, policy_id: str, *, account: str) -> Change:
        """Have the account's images judged by it."""
        known = await self._policies.all(account=account)
        stored = await self._policies.activate(policy_id, account=account)
        revision, form = bundle_revision(stored.bundle), await self._policies.form()
        return Change(
            id=stored.id,
            account=account,
            form=form,
            revision=revision,
            revision_before=revision,
            active=stored.active,
            active_before=_active(known),
            pushed=False,
            given=form,
        )


def _active(policies: tuple[Policy, ...]) -> str:
    return next((policy.id for policy in policies if policy.active), "")


def _row(policy: Policy) -> PolicyRow:
    return PolicyRow(
        id=policy.id,
        name=policy.name,
        active=policy.active,
        revision=bundle_revision(policy.bundle),
        changed=policy.changed,
    )
