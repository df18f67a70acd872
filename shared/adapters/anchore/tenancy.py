"""Accounts: who may be asked for, and whether an answer is theirs.

Engine answers for an account that it does not know with an empty list and no error, and a proxy
that drops `x-anchore-account` has everything answered, and changed, in the account of our
credentials (docs/design/anchore-engine.md 2).
"""

from collections.abc import Iterable
from typing import Any

from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.wording import one_line
from shared.domain.errors import ErrorKind, PermanentFailure


def askable(account: str) -> str:
    """The account, as a header can name it; raises PermanentFailure (refused)."""
    if account and not (account.isascii() and account.isprintable()):
        raise PermanentFailure(
            f"the account {one_line(account)!r} cannot be asked for: Anchore's account names are "
            "plain ASCII; correct it",
            kind=ErrorKind.REFUSED,
        )
    return account


def check_known(call: Call, records: Iterable[Any]) -> None:
    """Of a list that no account has empty. Raises PermanentFailure (misconfigured)."""
    if call.account and not list(records):
        raise PermanentFailure(
            f"Anchore has no account {call.account}, or nothing in it: correct its name",
            kind=ErrorKind.MISCONFIGURED,
        )


def check_owner(call: Call, owner: object) -> None:
    """Whose record was answered with. Raises PermanentFailure (untrusted)."""
    if call.account and owner != call.account:
        raise PermanentFailure(
            f"Anchore answered {call.operation} for the account {one_line(str(owner))} instead of "
            f"{call.account}: does a proxy drop the header x-anchore-account?",
            kind=ErrorKind.UNTRUSTED,
        )
