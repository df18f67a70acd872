"""How severe a record says that it is: CVSS by the library `cvss`, else the distributor's word."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from services.scanner.feeds.records import Affected, OsvScore, Record
from services.scanner.matching.finding import Score, Severity

_WORDS: Mapping[str, Severity] = {
    "critical": Severity.CRITICAL,
    "important": Severity.HIGH,
    "high": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.NEGLIGIBLE,
    "unimportant": Severity.NEGLIGIBLE,
}
"""Of GitHub, Red Hat and its rebuilds, SUSE, Ubuntu (priority) and Debian (urgency)."""

_SUMMARY = re.compile(r"(critical|important|moderate|low)\b\s*:", re.IGNORECASE)
_VENDORS = ("RHSA-", "RHBA-", "RHEA-", "SUSE-", "openSUSE-")
"""Whose records carry scores of the distributor's own."""


def scores_of(record: Record, entry: Affected | None = None) -> tuple[Score, ...]:
    """By CVSS: the entry's, else the whole record's."""
    vendor = record.id.startswith(_VENDORS)
    own = _scores((entry and entry.severity) or (), vendor)
    return own or _scores(record.severity or (), vendor)


def _scores(written: Iterable[OsvScore], vendor: bool) -> tuple[Score, ...]:
    found = (_score(one.score, vendor) for one in written if one.type.startswith("CVSS"))
    return tuple(dict.fromkeys(one for one in found if one))


@lru_cache(maxsize=16_384)
def _score(vector: str, vendor: bool) -> Score | None:
    """None for a text that is no vector: a severity that nobody can compute is unknown."""
    try:
        if vector.startswith("CVSS:4"):
            return Score(float(CVSS4(vector).base_score), vector, vendor=vendor)
        if vector.startswith("CVSS:3"):
            third = CVSS3(vector)
            return Score(
                base=float(third.base_score),
                vector=vector,
                exploitability=round(float(third.esc), 1),
                impact=round(max(float(third.isc), 0.0), 1),
                vendor=vendor,
            )
        return Score(float(CVSS2(vector).base_score), vector, vendor=vendor)
    except (CVSSError, ValueError, ArithmeticError, LookupError):
        return None


def severity_of(scores: Iterable[Score]) -> Severity:
    """By the highest: who says that it is worse may be right. A score of CVSS 2 counts as one
    of CVSS 3 would, so that a 10.0 of old is critical."""
    highest = max((one.base for one in scores), default=None)
    return Severity.UNKNOWN if highest is None else Severity.of_score(highest)


def rating_of(record: Record, entry: Affected) -> Severity:
    """By the distributor's word, where there is one."""
    words = (
        *(
            _word(entry.ecosystem_specific, key)
            for key in ("urgency", "severity", "ubuntu_priority")
        ),
        _word(entry.database_specific, "severity"),
        *(one.score for one in record.severity or () if one.type == "Ubuntu"),
        _word(record.database_specific, "severity"),
        _summary(record.summary),
    )
    known = (_WORDS.get(word.strip(" *").lower()) for word in words)
    return next((rating for rating in known if rating is not None), Severity.UNKNOWN)


def is_unimportant(entry: Affected) -> bool:
    """Debian's own judgement that it is none in practice, which counts more than any score."""
    return _word(entry.ecosystem_specific, "urgency") == "unimportant"


def _word(where: Any, key: str) -> str:
    value = where.get(key) if isinstance(where, dict) else None
    return value if isinstance(value, str) else ""


def _summary(summary: Any) -> str:
    """Red Hat and its rebuilds begin it with the severity: `Important: openssl security update`."""
    found = _SUMMARY.match(summary) if isinstance(summary, str) else None
    return found[1] if found else ""
