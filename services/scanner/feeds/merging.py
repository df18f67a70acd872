"""All that records say of one package, put together: each CVE once.

Where a record is about the CVE itself (DEBIAN-CVE-..., UBUNTU-CVE-...), it decides, and
advisories (DSA, USN) only lend it their names: it is the distributor's last word on that package
in that release. Else a version is affected as long as any advisory says so. The fix that is shown
is the first version that none of those who decide calls affected.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from services.scanner.feeds.ecosystems import Scheme
from services.scanner.feeds.known import (
    OPEN,
    PLAIN,
    Known,
    Span,
    Vulnerability,
    rung_among,
    sort_versions,
)
from services.scanner.feeds.scoring import severity_of
from services.scanner.feeds.versions import BadVersion, parse_version
from services.scanner.matching.finding import Score, Severity

START = "0"
"""`introduced` of what has always been affected; it is no version."""

Events = tuple[tuple[str, str], ...]

_FREE = {("introduced", START), ("fixed", START), ("limit", "*")}
"""Events whose texts are no versions: before all of them, or beyond."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What one record says of one package."""

    record: str
    subjects: tuple[str, ...]
    """CVEs that it is about; without any its own id."""
    own: bool
    """It is the record of one CVE, no advisory."""
    ranges: tuple[Events, ...]
    """Pairs of `introduced`, `fixed`, `last_affected`, `limit` and a version."""
    versions: tuple[str, ...] = ()
    paid: bool = False
    unimportant: bool = False
    scores: tuple[Score, ...] = ()
    rating: Severity = Severity.UNKNOWN
    published: int | None = None
    module: str = PLAIN


def merge(scheme: Scheme, entries: Sequence[Entry]) -> Known:
    """Raises BadVersion."""
    bounds = {text for entry in entries for text in _bounds(entry.ranges)}
    versions, rungs = sort_versions(scheme, bounds)
    listed = _rungs(scheme, versions, {text for entry in entries for text in entry.versions})
    entries = [_narrowed(entry, rungs, listed) for entry in entries]
    if outside := {text for entry in entries for text in entry.versions}:
        versions, rungs = sort_versions(scheme, bounds | outside)
    by_subject: dict[str, list[Entry]] = {}
    for entry in entries:
        for subject in entry.subjects:
            by_subject.setdefault(subject, []).append(entry)
    return Known(
        versions,
        tuple(_vulnerability(subject, of, rungs) for subject, of in sorted(by_subject.items())),
    )


def _rungs(scheme: Scheme, versions: tuple[str, ...], texts: Iterable[str]) -> dict[str, int]:
    """Where versions that are listed one by one stand among those that ranges name.

    A text that is no version is left out: an installed one like it is never covered anyway.
    """
    parsed = [parse_version(scheme, text) for text in versions]
    rungs = {}
    for text in texts:
        with suppress(BadVersion):
            rungs[text] = rung_among(parsed, parse_version(scheme, text), lambda each: each)
    return rungs


def _narrowed(entry: Entry, rungs: dict[str, int], listed: dict[str, int]) -> Entry:
    """Of the versions that it lists one by one only those that lie in none of its ranges."""
    if not entry.versions:
        return entry
    spans = [span for events in entry.ranges for span in _spans(events, rungs)]
    outside = tuple(
        text
        for text in entry.versions
        if text in listed and not any(span.holds(listed[text]) for span in spans)
    )
    return msgspec.structs.replace(entry, versions=outside)


def _bounds(ranges: tuple[Events, ...]) -> set[str]:
    return {text for events in ranges for step in events for text in step[1:] if step not in _FREE}


def _spans(events: Events, rungs: dict[str, int], module: str = PLAIN) -> list[Span]:
    """By OSV's own rule: events in the order of their versions, each opens or ends."""
    steps = sorted(((_rung(kind, text, rungs), kind) for kind, text in events), key=_by_rung)
    limits = [rung for rung, kind in steps if kind == "limit"]
    cap = OPEN if not limits or OPEN in limits else max(limits)
    spans: list[Span] = []
    begun: int | None = None
    for rung, kind in steps:
        if kind == "introduced":
            begun = rung if begun is None else begun
        elif kind != "limit" and begun is not None:
            spans.append(Span(begun, rung, module))
            begun = None
    if begun is not None:
        spans.append(Span(begun, OPEN, module))
    return [one for span in spans if (one := _capped(span, cap)) and one.low != one.high]


def _rung(kind: str, text: str, rungs: dict[str, int]) -> int:
    if kind == "limit" and text == "*":
        return OPEN
    rung = 0 if (kind, text) in _FREE else rungs[text]
    return rung + 1 if kind == "last_affected" else rung


def _by_rung(step: tuple[int, str]) -> int:
    return step[0]


def _capped(span: Span, cap: int) -> Span | None:
    if cap == OPEN:
        return span
    if span.low >= cap:
        return None
    high = cap if span.high == OPEN else min(span.high, cap)
    return Span(span.low, high, span.module)


def _entry_spans(entry: Entry, rungs: dict[str, int]) -> list[Span]:
    spans = [span for events in entry.ranges for span in _spans(events, rungs, entry.module)]
    spans += [Span(rungs[text], rungs[text] + 1, entry.module) for text in entry.versions]
    if entry.paid:
        return [Span(span.low, OPEN, span.module) for span in spans]
    return spans


def _vulnerability(subject: str, entries: Sequence[Entry], rungs: dict[str, int]) -> Vulnerability:
    free = [one for one in entries if not one.paid]
    deciding = [one for one in free if one.own] or free or list(entries)
    exact = [one for one in entries if one.own or len(one.subjects) == 1]
    own_scores = _scores(exact)
    scores = own_scores or _scores(entries)
    unimportant = all(one.unimportant for one in deciding)
    severity = severity_of(scores) if scores else max(one.rating for one in entries)
    return Vulnerability(
        id=subject,
        spans=tuple(dict.fromkeys(s for one in deciding for s in _entry_spans(one, rungs))),
        severity=Severity.NEGLIGIBLE if unimportant else severity,
        ask=not own_scores and not unimportant,
        scores=scores,
        advisories=tuple(sorted({one.record for one in entries if not one.own} - {subject})),
        published=_earliest(one.published for one in (exact or entries)),
        fix_published=_earliest(one.published for one in entries if not one.own),
    )


def _scores(entries: Iterable[Entry]) -> tuple[Score, ...]:
    return tuple(dict.fromkeys(score for one in entries for score in one.scores))


def _earliest(times: Iterable[int | None]) -> int | None:
    return min((time for time in times if time is not None), default=None)
