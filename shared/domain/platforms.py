"""The platforms of a cluster's nodes, and which of them count for an image of several platforms.

A worker that may list nodes writes them down, signed. Rules that name platforms have the last word
(docs/design/inventory.md).
"""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from shared.domain.pointer import DAY, FOREVER
from shared.domain.rules import DEFAULT_PLATFORMS, Rules
from shared.domain.verdict import MAX_AGE

MAX_PLATFORMS = 16
"""Of one cluster. Where nodes name more, nobody knows what runs there, and every one counts."""

GONE_AFTER = DAY
"""Milliseconds for which a platform counts after its last node went: nodes come and go."""

NEW_FOR = DAY
"""Milliseconds after which what is in use is taken to be judged for a platform: what could not be
until then is asked for by who uses it."""

Counted: TypeAlias = tuple[str, ...] | None
"""Platforms that count; None: it is not known which, and so every one does."""


class PlatformSeen(msgspec.Struct, frozen=True):
    """One platform of a cluster's nodes. Times in milliseconds."""

    platform: str
    since: int
    """When a node of it was seen first."""
    seen_at: int
    """When one was seen last; 0: never, it counted before anybody looked."""
    judged_at: int = 0
    """When all that was in use had been judged for it; 0: not yet."""

    def counts_from(self, grace: int) -> int:
        """When webhooks begin to count it whose policy grace is `grace`."""
        return min(self.judged_at or FOREVER, self.since + grace)

    def beside(self, other: "PlatformSeen") -> "PlatformSeen":
        """What two that saw the same platform know together."""
        judged = [at for at in (self.judged_at, other.judged_at) if at]
        return PlatformSeen(
            self.platform,
            min(self.since, other.since),
            max(self.seen_at, other.seen_at),
            min(judged, default=0),
        )


class Platforms(msgspec.Struct, frozen=True):
    """The platforms of a cluster's nodes, as they were seen; newest first."""

    cluster: str
    """The name that the clusters of one store are told apart by; empty for one alone."""
    at: int
    """When it was written down (ms): orders such records."""
    platforms: tuple[PlatformSeen, ...] = ()
    too_many: bool = False
    """There are more than are told, and every one counts."""

    @property
    def ends_at(self) -> int:
        """When the record itself ends: as late as the verdicts that were made by it."""
        return self.at + MAX_AGE

    @property
    def all(self) -> Counted:
        """Those to be judged: also those that do not count yet."""
        if self.too_many:
            return None
        return tuple(each.platform for each in self.platforms) or DEFAULT_PLATFORMS

    @property
    def new(self) -> tuple[PlatformSeen, ...]:
        """Those for which not all that is in use has been judged."""
        return tuple(each for each in self.platforms if not each.judged_at)

    def counted(self, now: int, grace: int) -> Counted:
        """Those that count; before any of them does, what counted without them."""
        if self.too_many:
            return None
        count = [each.platform for each in self.platforms if each.counts_from(grace) <= now]
        return tuple(count) or DEFAULT_PLATFORMS

    def changes_at(self, now: int, grace: int) -> int:
        """When time alone makes another one count."""
        coming = [at for each in self.platforms if (at := each.counts_from(grace)) > now]
        return min(coming, default=FOREVER)

    def seeing(self, named: Iterable[str], now: int) -> "Platforms":
        """This record as it follows when nodes of these, and of no others, are there now. Without
        any it is this one: an empty list is nothing to go by.

        What went away counts on for a day; what counted before anybody looked until what is there
        has taken its place. Where every one counted so far, none is new.
        """
        there = dict.fromkeys(named)
        if not there:
            return self
        counted = now if self.too_many else 0
        known = {
            each.platform: msgspec.structs.replace(each, judged_at=each.judged_at or counted)
            for each in self.platforms
        }
        now_there = [
            msgspec.structs.replace(known[each], seen_at=now)
            if each in known
            else PlatformSeen(each, now, now, judged_at=counted)
            for each in there
        ]
        new = any(not each.judged_at for each in now_there)
        gone = [each for each in known.values() if each.platform not in there]
        kept = [
            each for each in gone if (now < each.seen_at + GONE_AFTER) or (not each.seen_at and new)
        ]
        # Those that were known first stand first: where there is no room, the newest are left out.
        order = [*known, *there]
        platforms = sorted((*kept, *now_there), key=lambda each: order.index(each.platform))
        return self._of(tuple(platforms), now)

    def judged(self, named: Iterable[str], at: int) -> "Platforms":
        """This record as it follows when all that is in use has been judged for these."""
        done = set(named)
        platforms = tuple(
            msgspec.structs.replace(each, judged_at=at)
            if each.platform in done and not each.judged_at
            else each
            for each in self.platforms
        )
        return msgspec.structs.replace(self, platforms=platforms, at=max(at, self.at + 1))

    def beside(self, other: "Platforms | None") -> "Platforms":
        """What both say: nobody takes a platform away by having one of two records forgotten."""
        if other is None:
            return self
        merged = {each.platform: each for each in self.platforms}
        for each in other.platforms:
            known = merged.get(each.platform)
            merged[each.platform] = each if known is None else each.beside(known)
        both = self._of(tuple(merged.values()), max(self.at, other.at))
        too_many = both.too_many or self.too_many or other.too_many
        return msgspec.structs.replace(both, too_many=too_many)

    def _of(self, platforms: tuple[PlatformSeen, ...], at: int) -> "Platforms":
        """With these, as far as there is room for them; newer than this one."""
        too_many = len(platforms) > MAX_PLATFORMS
        return Platforms(self.cluster, max(at, self.at + 1), platforms[:MAX_PLATFORMS], too_many)


def platforms_key(cluster: str) -> str:
    """The store's key of the platforms of the cluster of that name."""
    return f"platforms:{cluster}"


def assumed(cluster: str, at: int, *, every: bool = False) -> Platforms:
    """What counts before anybody has looked; `every`: there has to be a record, so that without
    one each does."""
    if every:
        return Platforms(cluster, at, too_many=True)
    seen = [PlatformSeen(each, at, 0, judged_at=at) for each in DEFAULT_PLATFORMS]
    return Platforms(cluster, at, tuple(seen))


class PlatformTerms(msgspec.Struct, frozen=True):
    """What settings say of the platforms that rules do not name."""

    cluster: str = ""
    read: bool = True
    """False: the record does not matter, there is none."""
    needed: bool = False
    """There has to be a record: without one every platform counts."""

    @classmethod
    def told(cls, *, cluster: str, inventory: str) -> "PlatformTerms":
        """As the settings say them: auto, on or off."""
        return cls(cluster, read=inventory != "off", needed=inventory == "on")

    def key(self, rules: Rules) -> str:
        """The store's key of the record that matters; empty where none does."""
        return platforms_key(self.cluster) if self.read and not rules.platforms else ""

    def counted(self, rules: Rules, record: Platforms | None, *, now: int, grace: int) -> Counted:
        """The platforms that count for a pod."""
        if record is not None and self.key(rules):
            return record.counted(now, grace)
        return self._without(rules)

    def to_judge(self, rules: Rules, record: Platforms | None) -> Counted:
        """Those for which images are judged: also those that do not count yet."""
        if record is not None and self.key(rules):
            return record.all
        return self._without(rules)

    def _without(self, rules: Rules) -> Counted:
        if rules.platforms:
            return rules.platforms
        return None if self.needed and self.read else DEFAULT_PLATFORMS
