"""Whom a container runs as: root in all its spellings, by the config's User.

Engine reads the last USER line of the Dockerfile, given or guessed, and so judges images
without such a line "root" that set User in their config, and compares text exactly. What runs
is the config's User (docs/design/scanner.md, "Differences from Engine").
"""

import re

# Runtimes read the part before the colon with Go's Atoi: signs and leading zeros are allowed,
# and what does not fit 32 bits has become 0 in some of them (CVE-2024-40635).
_NUMBER = re.compile(r"[+-]?[0-9]+")
_LARGEST_ID = 2**31 - 1


def is_root(user: str) -> bool:
    """Whether `user[:group]` is root: empty, `root`, 0 in any spelling, or an impossible id."""
    name = user.partition(":")[0].strip()
    if not _NUMBER.fullmatch(name):
        return name in ("", "root")
    digits = name.lstrip("+-0")
    if not digits or name.startswith("-"):
        return True
    return len(digits) > len(str(_LARGEST_ID)) or int(digits) > _LARGEST_ID


def listed(user: str, users: frozenset[str]) -> bool:
    """Whether a list of a policy means `user`: any spelling of root means every one of them."""
    if is_root(user):
        return any(is_root(one) for one in users)
    return user in users
