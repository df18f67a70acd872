"""What selectors ask for, and in the terms of rules.

By its source (`admission/hook.go`): who is no user of credentials.json, or a mode that is none,
has the image refused, and a user's own account is asked. For breakglass earlier releases asked for
no user.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from services.cli.rules.controller.files import Controller, Selector

Terms = Mapping[str, object]

LET_IN_BEFORE = (
    "earlier releases of the controller asked for no user in mode breakglass, and let all of it "
    "in: where that is meant, name a user that credentials.json has, and import again"
)


class Ask(StrEnum):
    """What an image must be."""

    NEVER = "never"
    """It is refused."""
    ANYTHING = "anything"
    """What the login's active policy asks for: what `default` asks for of itself."""
    POLICY = "policy"
    ANALYSIS = "analysis"
    NOTHING = "breakglass"


class Target(msgspec.Struct, frozen=True):
    """What a selector asks for."""

    ask: Ask
    user: str = ""
    bundle: str = ""
    notes: tuple[str, ...] = ()
    let_in_before: bool = False
    """It is refused, and earlier releases of the controller let it in."""

    def implies(self, other: "Target") -> bool:
        """Whether what satisfies this one satisfies `other` too."""
        if self.ask is Ask.NEVER or other.ask is Ask.NOTHING:
            return True
        if self.user != other.user or self.ask is Ask.ANYTHING:
            return False
        same = (self.ask, self.bundle) == (other.ask, other.bundle)
        return same or (self.ask is Ask.POLICY and other.ask is Ask.ANALYSIS)


class Targets(msgspec.Struct, frozen=True):
    """Those of all selectors."""

    each: tuple[Target, ...]
    accounts: Mapping[str, str]
    """By user; empty for the login's own."""
    request_analysis: bool

    def terms(self, target: Target) -> Terms:
        """What a rule says beside name and match."""
        if target.ask is Ask.NEVER:
            return {"mode": "deny"}
        if target.ask is Ask.NOTHING and not self.request_analysis:
            return {"mode": "allow"}
        account = self.accounts.get(target.user, "")
        policy = {"account": account, "id": "" if target.ask is Ask.ANALYSIS else target.bundle}
        terms: dict[str, object] = {
            "mode": "audit" if target.ask is Ask.NOTHING else "enforce",
            "require": "analysis" if target.ask is Ask.ANALYSIS else "policy",
        }
        named = {key: text for key, text in policy.items() if text}
        return {**terms, "policy": named} if named else terms


def targets_of(controller: Controller, *, accounts: Mapping[str, str]) -> Targets:
    """`accounts`: of a user, where it is not called as the user is."""
    each = tuple(_target(selector, controller) for selector in controller.selectors)
    users = dict.fromkeys(one.user for one in each if one.ask is not Ask.NEVER)
    # Of one user the login is that user: no account has to be named, and no admin is needed.
    alone = len(users) == 1 and not accounts
    named = {user: "" if alone else accounts.get(user, user) for user in users}
    return Targets(each, named, controller.request_analysis)


def _target(selector: Selector, controller: Controller) -> Target:
    notes = []
    if selector.mode not in (Ask.POLICY, Ask.ANALYSIS, Ask.NOTHING):
        notes.append("its mode is none of policy, analysis, breakglass: all of it was refused")
    if not selector.user:
        notes.append("it names no user, so that Anchore was asked as nobody: all of it was refused")
    elif controller.users is not None and selector.user not in controller.users:
        notes.append(f"credentials.json has no user {selector.user!r}: all of it was refused")
    let_in_before = bool(notes) and selector.mode == Ask.NOTHING
    if let_in_before:
        notes.append(LET_IN_BEFORE)
    if notes:
        return Target(Ask.NEVER, notes=tuple(notes), let_in_before=let_in_before)
    return Target(Ask(selector.mode), selector.user, selector.bundle)
