"""Records in words: what each says, and how old that is."""

from collections.abc import Sequence, Set

import msgspec

from services.cli.tables import age
from services.webhook.catalogue import Image
from shared.domain.platforms import Platforms, PlatformSeen
from shared.domain.pointer import Index, Pointer, Standing
from shared.domain.revision import Revision
from shared.domain.rules import Rules
from shared.domain.verdict import Outcome, Verdict

SHOWN = 8
"""Manifests of an index in its line."""

_STANDING = {
    Standing.YOUNG: "young enough for this pull policy",
    Standing.USABLE: "used at once, its registry is asked behind the answer",
    Standing.OLD: "its registry is asked first, and is taken here to say the same again",
}
_BY_ITS_TAG = "the image names its digest, it is judged by that tag"
_MOVED_ON = (
    "it has moved on from the digest that the image names: it is judged anew without the tag, and "
    "what was judged last counts"
)
_IMMUTABLE = "young enough, the rules say that this tag never moves"


class Telling:
    """Tells records as they stand at `now` (ms)."""

    def __init__(self, now: int, rules: Rules) -> None:
        self._now = now
        self._rules = rules

    def records(
        self,
        keys: Sequence[str],
        records: Sequence[msgspec.Struct | None],
        *,
        strange: Set[str],
        image: Image,
    ) -> tuple[str, ...]:
        """A line or some for each record that a webhook would look at."""
        lines: list[str] = []
        judged = any(_judges(record) for record in records)
        for key, record in zip(keys, records, strict=True):
            if key in strange:
                lines.append(
                    f"{_named(key)}: not believed, nobody we trust signed it: as if it were not "
                    "there"
                )
            elif isinstance(record, Pointer):
                lines += self.pointer(image, record)
            elif isinstance(record, Index):
                lines.append(self._index(record))
            elif isinstance(record, Verdict):
                lines += self._verdict(record)
            elif isinstance(record, Revision):
                lines.append(self._revision(record))
            elif isinstance(record, Platforms):
                lines.append(self._nodes(record))
            elif key.startswith("platforms:"):
                lines.append("nodes of the cluster: no worker has told their platforms")
            elif key.startswith("pointer:"):
                lines.append(f"{_named(key)}: nobody has asked its registry lately")
            elif key.startswith("verdict:") and not judged:
                lines.append(f"{_named(key)}: nothing is known")
        return tuple(lines)

    def pointer(self, image: Image, pointer: Pointer) -> tuple[str, ...]:
        """What the registry said of the image's tag."""
        asked = f"asked {self._ago(pointer.asked_at)} ago"
        if pointer.digest is None:
            return (f"pointer {pointer.reference}: {pointer.error}: {pointer.message} ({asked})",)
        kind = "the index " if pointer.is_index else ""
        standing = self._standing(image, pointer)
        lines = [f"pointer {pointer.reference}: {kind}{pointer.digest} ({asked}: {standing})"]
        if pointer.previous:
            lines.append(f"  before the tag moved: {pointer.previous}")
        return tuple(lines)

    def _standing(self, image: Image, pointer: Pointer) -> str:
        always, digest = image.always, image.reference.digest
        if digest is not None:
            named = digest in (pointer.digest, pointer.previous)
            return _BY_ITS_TAG if named else _MOVED_ON
        standing = pointer.standing(self._now, always=always)
        if standing is Standing.YOUNG or not self._rules.immutable(image.reference):
            return _STANDING[standing]
        standing = pointer.standing(self._now, always=always, immutable=True)
        return _IMMUTABLE if standing is Standing.YOUNG else _STANDING[standing]

    def _index(self, index: Index) -> str:
        entries = [
            f"{entry.platform or 'no platform'} {entry.digest[7:19]}" for entry in index.manifests
        ]
        more = f", {len(entries) - SHOWN} more" if len(entries) > SHOWN else ""
        return f"index {index.digest}: {', '.join(entries[:SHOWN])}{more}"

    def _nodes(self, record: Platforms) -> str:
        told = ", ".join(map(self._platform, record.platforms))
        return f"nodes of the cluster: {told}{' and more: all count' if record.too_many else ''}"

    def _platform(self, seen: PlatformSeen) -> str:
        if seen.judged_at:
            return seen.platform
        return (
            f"{seen.platform} (new since {self._ago(seen.since)}: counts once what is in use has "
            "been judged for it, at last when policy_grace is over)"
        )

    def _revision(self, revision: Revision) -> str:
        since = self._ago(revision.since or revision.seen_at)
        named = revision.policy_id or "the active one"
        return f"policy now: {named}, revision {revision.revision[:12]}, seen first {since} ago"

    def _verdict(self, verdict: Verdict) -> list[str]:
        about = f"{verdict.subject.digest[7:19]} as {verdict.subject.scan_tag}"
        when = self._ago(verdict.evaluated_at)
        if verdict.outcome is Outcome.ERROR:
            over = ", over" if verdict.stale(self._now) else ""
            return [f"last error of {about}: {verdict.error}: {verdict.message} ({when} ago{over})"]
        stale = ", stale: asked again behind the answer" if verdict.stale(self._now) else ""
        lines = [
            f"verdict of {about}: {verdict.outcome} by policy {verdict.policy_id or 'active'}, "
            f"revision {verdict.revision[:12]} ({when} ago{stale})"
        ]
        if verdict.turned_at:
            lines.append(f"  it passed until {self._ago(verdict.turned_at)} ago")
        return lines

    def _ago(self, at: int) -> str:
        return age(max(0, self._now - at) / 1000)


def _judges(record: msgspec.Struct | None) -> bool:
    return isinstance(record, Verdict) and record.outcome is not Outcome.ERROR


def _named(key: str) -> str:
    """A key as people name what it is of."""
    kind, _, rest = key.partition(":")
    return f"{kind} {rest.partition('|')[0].replace('#', ' as tag ').removesuffix(' as tag ')}"
