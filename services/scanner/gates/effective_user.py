"""Whom a container runs as: root in all its spellings, by the config's User.

Engine reads the last USER line of the Dockerfile, given or guessed, and so judges images
without such a line "root" that set User in their config, and compares text exactly. What runs
is the config's User (docs/design/scanner.md, "Differences from Engine").
"""

import re
from collections.abc import Iterator

from services.scanner.gates.params import Values
from services.scanner.gates.trigger import Hit, Sight

# Runtimes read the part before the colon with Go's Atoi: signs and leading zeros are allowed,
# and what does not fit 32 bits has become 0 in some of them (CVE-2024-40635).
_NUMBER = re.compile(r"[+-]?[0-9]+")
_LARGEST_ID = 2**31 - 1


def effective_user(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for a user who is on a blacklist, or not on a whitelist, and for one who is nobody."""
    user = sight.facts.user.strip()
    if sight.facts.user_problem and not is_root(user):
        yield Hit(
            f"User {user} found as effective user, of whom nobody can say that it is not root: "
            f"{sight.facts.user_problem}. No container of it would start"
        )
        return
    root = is_root(user) or sight.facts.user_id == 0
    shown = user or "root"
    if root and shown not in {*values["users"], "root"}:
        shown = f"{shown} (root)"
    listed = any(map(is_root, values["users"])) if root else user in values["users"]
    if values["type"] == "blacklist" and listed:
        yield Hit(f"User {shown} found as effective user, which is explicity not allowed")
    if values["type"] == "whitelist" and not listed:
        yield Hit(f"User {shown} found as effective user, which is not on the allowed list")


def is_root(user: str) -> bool:
    """Whether `user[:group]` is root: empty, `root`, 0 in any spelling, or an impossible id."""
    name = user.partition(":")[0].strip()
    if not _NUMBER.fullmatch(name):
        return name in ("", "root")
    digits = name.lstrip("+-0")
    if not digits or name.startswith("-"):
        return True
    return len(digits) > len(str(_LARGEST_ID)) or int(digits) > _LARGEST_ID
