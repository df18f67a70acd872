"""What one record says of one package: which CVEs it is about, and which versions."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from services.scanner.feeds.ecosystems import Group
from services.scanner.feeds.known import PLAIN, SOME_MODULE
from services.scanner.feeds.merging import START, Entry, Events
from services.scanner.feeds.records import Affected, Record
from services.scanner.feeds.scoring import is_unimportant, rating_of, scores_of
from services.scanner.matching.finding import Severity

_CVE = re.compile(r"(?:[A-Z]+-)?(CVE-\d{4}-\d{4,})")
_NAMES_BY_RELATED = re.compile(
    r"(?:AL[SBE]A|RL[SBE]A|RXSA|RH[SBE]A|(?:open)?SUSE-[A-Z]U|USN|DSA|DLA|DTSA)-"
)
"""Advisories that named their CVEs in `related` before the schema had `upstream`; elsewhere
`related` names other vulnerabilities."""

_EPOCH = re.compile(r"[?&]epoch=([1-9][0-9]{0,9})(?=[&#]|$)")
_MODULAR = re.compile(r"\.module[+_]el")
_STREAM = re.compile(r"(?<![\w.+-])([\w.+-]+:[\w.+-]+)(?![\w.+:-])")


def entry_of(record: Record, entry: Affected, group: Group) -> Entry | None:
    """None where no version can be compared with what it says."""
    usable = [one for one in entry.ranges if one.type in {"ECOSYSTEM", "SEMVER"}]
    ranges = tuple(_events(one.events, _epoch(group, entry)) for one in usable)
    if any(all(kind != "introduced" for kind, _ in events) for events in ranges):
        return None
    if not ranges and not entry.versions:
        if entry.ranges:
            return None
        ranges = ((("introduced", START),),)
    scores = scores_of(record, entry)
    return Entry(
        record=record.id,
        subjects=subjects_of(record),
        own=_CVE.fullmatch(record.id) is not None,
        ranges=ranges,
        versions=entry.versions,
        paid=group.paid,
        unimportant=group.ecosystem.name == "Debian" and is_unimportant(entry),
        scores=scores,
        rating=Severity.UNKNOWN if scores else rating_of(record, entry),
        published=milliseconds(record.published),
        module=_module(record, entry, ranges) if group.ecosystem.scheme == "rpm" else PLAIN,
    )


def _events(events: Iterable[msgspec.Struct], epoch: str) -> Events:
    return tuple(
        (kind, _with_epoch(text, epoch))
        for event in events
        for kind in event.__struct_fields__
        if (text := getattr(event, kind)) is not None
    )


def _epoch(group: Group, entry: Affected) -> str:
    """Rocky's older records have the epoch in the purl alone: `...?distro=rocky-9&epoch=1`."""
    purl = entry.package.purl if entry.package else ""
    if group.ecosystem.scheme != "rpm" or not isinstance(purl, str):
        return ""
    epoch = _EPOCH.search(purl)
    return epoch[1] if epoch else ""


def _with_epoch(text: str, epoch: str) -> str:
    return f"{epoch}:{text}" if epoch and text not in {START, "*"} and ":" not in text else text


def _module(record: Record, entry: Affected, ranges: Iterable[Events]) -> str:
    """The stream stands in the summary alone: `Important: nodejs:22 security update`."""
    versions = (*entry.versions, *(text for events in ranges for _, text in events))
    if not any(map(_MODULAR.search, versions)):
        return PLAIN
    summary = record.summary if isinstance(record.summary, str) else ""
    streams = set(_STREAM.findall(summary.partition(": ")[2]))
    return streams.pop() if len(streams) == 1 else SOME_MODULE


def subjects_of(record: Record) -> tuple[str, ...]:
    """The CVEs that a record is about; without any GitHub's id or its own."""
    named = [record.id, *(record.aliases or ()), *(record.upstream or ())]
    if _NAMES_BY_RELATED.match(record.id) and not any(map(_CVE.fullmatch, named)):
        named += record.related or ()
    cves = [found[1] for name in named if (found := _CVE.fullmatch(name))]
    if cves:
        return tuple(dict.fromkeys(cves))
    return (next((name for name in named if name.startswith("GHSA-")), record.id),)


@lru_cache(maxsize=1024)
def milliseconds(written: str | None) -> int | None:
    """Since the epoch, of RFC 3339 or a day; None for a text that is none."""
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", written or ""))
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
