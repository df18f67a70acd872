"""The policies of a scanner: what the command line and policy sync change."""

from typing import Protocol

from shared.domain.policy import Bundle, Policy
from shared.domain.policy_forms import Form


class Policies(Protocol):
    """The policies of one Anchore server.

    docs/design/anchore-engine.md 7, docs/design/anchore-v2.md 4.

    `account` empty: the account of the credentials. At no moment of any call here is an account
    that had an active policy without one.
    Errors: TransientFailure (down, 5xx, 429, a hang, an answer that cannot be read),
    PermanentFailure of kind misconfigured (credentials, rights, an unknown account), refused (an
    unknown policy, a bundle that the scanner does not accept: the message lists what it said) or
    untrusted (the answer is for another account).
    """

    async def form(self) -> Form:
        """The form of the documents that it takes and gives: of the API that the server speaks."""

    async def all(self, *, account: str = "") -> tuple[Policy, ...]:
        """All policies, without their bundles; an account has one at least."""

    async def get(self, policy_id: str, *, account: str = "") -> Policy | None:
        """One policy with its bundle; None where there is none of that id."""

    async def push(self, bundle: Bundle, *, account: str = "", activate: bool = True) -> Policy:
        """Store `bundle` under its own `id`, new or not, and return what the scanner now has.

        A policy that is active stays active, whatever `activate` says. Only where somebody else
        makes it the active one in the very moment may none be, until this is done.
        """

    async def activate(self, policy_id: str, *, account: str = "") -> Policy:
        """Make it the account's active policy; the one that was active no longer is."""
