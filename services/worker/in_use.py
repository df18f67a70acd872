"""How what is in use stands: an image by its verdicts, and all of it together."""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from shared.domain.platforms import PlatformSeen
from shared.domain.reference import ImageReference
from shared.domain.revision import Revision
from shared.domain.verdict import Outcome, Question, Subject, Turn, Verdict, verdict_key
from shared.ports.usage import Use

MAX_LEFT = 1_000
"""Images of a survey that are told as to be judged anew, and as to be renewed. The next survey,
when these are done, tells more."""

ROUND_OF_A_FEED = 3600 * 1000
"""Milliseconds: what turns in such a time without another policy is one round."""


class Stand(StrEnum):
    """How an image in use stands; of several manifests, the worst."""

    REPLACED = "replaced"
    """Judged by a policy that has been replaced."""
    NEW = "new"
    """Judged, but not for a platform that is new in the cluster."""
    STALE = "stale"
    DUE = "due"
    """Fresh still, and to be renewed."""
    FRESH = "fresh"
    UNKNOWN = "unknown"
    """No verdict of it is known (any more): whoever needs it asks."""


FIRST = (Stand.REPLACED, Stand.NEW)
"""What is judged anew before all that is due."""

_WORST_FIRST = tuple(Stand)


class Left(msgspec.Struct, frozen=True):
    """An image in use that is to be judged anew."""

    use: Use
    host: str
    stand: Stand
    subjects: tuple[Subject, ...]
    """The manifests that it is about: each is an evaluation."""
    since: int
    """When the first of them was due (ms)."""
    platforms: tuple[str, ...] = ()
    """Those that are new, and for which it has not been judged."""


class Round(msgspec.Struct):
    """How far what is in use has been judged by the policy that answers now."""

    revision: Revision
    left: int = 0
    """Verdicts by another one."""
    kept: int = 0
    """Passes by this one."""
    turned: int = 0
    """Fails by this one that were passes by another."""


class Surveyed(msgspec.Struct):
    """What is in use, as a survey found it."""

    at: int
    """When it began (ms)."""
    stands: Counter[Stand] = msgspec.field(default_factory=Counter)
    questions: dict[Question, None] = {}
    """Those that are asked, the last used first."""
    rounds: dict[Question, Round] = {}
    """Of those whose policy is known."""
    feed_kept: int = 0
    """Passes that were evaluated in the last hour."""
    feed_turned: int = 0
    """Passes that turned in it, by the same policy as before."""
    new: dict[str, int] = {}
    """Images left to be judged for each platform that is new in the cluster."""
    new_asked: bool = False
    """Whether some platform is new, also one for which nothing more is asked."""
    first: list[Left] = []
    """What a policy replaced and what is not judged for a new platform; the most recently used
    first."""
    due: list[Left] = []
    """What was due first comes first; what is stale by now among it."""
    resting: int = 0
    """Images that would be asked about, had that not failed a moment ago."""

    @property
    def in_use(self) -> int:
        """Images that are in use and judged."""
        return self.stands.total() - self.stands[Stand.UNKNOWN]

    def add(self, left: Left) -> None:
        """There is room for a bounded number of the first ones."""
        self._count_new(left)
        if left.stand in FIRST:
            if len(self.first) < MAX_LEFT:
                self.first.append(left)
            return
        self.due.append(left)
        if len(self.due) >= 2 * MAX_LEFT:
            self.settle()

    def rests(self, left: Left, *, passing: bool) -> None:
        """Asking about it failed a moment ago; `passing`: by what passes, so that nobody has really
        tried."""
        self.resting += 1
        if passing:
            self._count_new(left)

    def _count_new(self, left: Left) -> None:
        for platform in left.platforms:
            self.new[platform] += 1

    def settle(self) -> None:
        """Put what is due in its order."""
        self.due = sorted(self.due, key=lambda left: left.since)[:MAX_LEFT]


class InUse:
    """An image in use, while it is read what is known of it."""

    def __init__(self, use: Use, reference: ImageReference) -> None:
        self.use = use
        self.reference = reference
        self.digest = reference.digest or ""
        """What it stands for; empty: nobody knows."""
        self.manifests: tuple[str, ...] = ()
        self.new: dict[str, PlatformSeen] = {}
        """By manifest: the platform that is new, where it counts for no other."""
        self.verdicts: dict[str, list[Verdict]] = {}
        """By manifest: the verdicts of its tag and of none."""

    def subjects(self) -> Iterator[Subject]:
        """What there may be verdicts of. A tag that has moved on no longer counts for the digest
        beside it, and the same is then judged without a tag."""
        reference = self.reference
        tags = (reference.tag, None) if reference.tag and reference.digest else (reference.tag,)
        for manifest in self.manifests:
            for tag in tags:
                yield Subject(reference.repository, manifest, tag)

    def take(self, verdict: Verdict) -> None:
        """One of its verdicts is known."""
        self.verdicts.setdefault(verdict.subject.digest, []).append(verdict)

    def weigh(self, found: Surveyed, counted: set[str]) -> Left | None:
        """Count it in `found`; what is to be judged anew of it. `counted` are the keys of verdicts
        that other images brought before: one verdict counts once, and is asked for once."""
        kept = found.rounds.get(self.use.question)
        stands = [Stand.UNKNOWN]
        subjects: list[Subject] = []
        since: list[int] = []
        for verdicts in self.verdicts.values():
            verdict = _that_counts(verdicts, kept)
            stand, due_at = _stand_of(verdict, kept, found.at)
            stands.append(stand)
            key = verdict_key(verdict.subject, self.use.question)
            if key in counted:
                continue
            counted.add(key)
            _count(verdict, stand, kept, found)
            if stand is not Stand.FRESH:
                subjects.append(verdict.subject)
                since.append(due_at)
        platforms = self._unjudged(stands, subjects, since, counted)
        worst = min(stands, key=_WORST_FIRST.index)
        found.stands[worst] += 1
        if not subjects:
            return None
        return Left(self.use, self.reference.host, worst, tuple(subjects), min(since), platforms)

    def _unjudged(
        self, stands: list[Stand], subjects: list[Subject], since: list[int], counted: set[str]
    ) -> tuple[str, ...]:
        """Add the manifests of new platforms that nobody has judged; of an image that has been
        judged: of any other nothing is asked for."""
        if not self.verdicts:
            return ()
        left: dict[str, None] = {}
        for manifest, platform in self.new.items():
            if manifest in self.verdicts:
                continue
            stands.append(Stand.NEW)
            left[platform.platform] = None
            subject = Subject(self.reference.repository, manifest, self.reference.tag)
            key = verdict_key(subject, self.use.question)
            if key not in counted:
                counted.add(key)
                subjects.append(subject)
                since.append(platform.since)
        return tuple(left)


def _that_counts(verdicts: list[Verdict], kept: Round | None) -> Verdict:
    """The last of those whose policy answers still, if there is one."""
    current = [each for each in verdicts if kept is None or not kept.revision.outdates(each)]
    return max(current or verdicts, key=lambda verdict: verdict.order)


def _stand_of(verdict: Verdict, kept: Round | None, now: int) -> tuple[Stand, int]:
    """How it stands, and since when it is to be judged anew (ms)."""
    if kept is not None and kept.revision.outdates(verdict):
        return Stand.REPLACED, kept.revision.since
    if verdict.stale(now):
        return Stand.STALE, verdict.renew_at
    return (Stand.DUE if now >= verdict.renew_at else Stand.FRESH), verdict.renew_at


def _count(verdict: Verdict, stand: Stand, kept: Round | None, found: Surveyed) -> None:
    turned_at, passes = verdict.turned_at or 0, verdict.outcome is Outcome.PASS
    if kept is not None:
        kept.left += stand is Stand.REPLACED
        if verdict.revision == kept.revision.revision:
            turned = verdict.turned_by is Turn.POLICY and turned_at >= kept.revision.since
            kept.kept += passes
            kept.turned += turned
    since = found.at - ROUND_OF_A_FEED
    found.feed_kept += passes and verdict.evaluated_at >= since
    found.feed_turned += verdict.turned_by is Turn.FEED and turned_at >= since
