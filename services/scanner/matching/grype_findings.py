"""Grype's JSON about an image, in the shape that all vulnerability data has.

Runs in a judge: descriptions and links come from outside, and there may be many.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from services.scanner.feeds.ecosystems import ECOSYSTEMS, group_of_image, is_of_another_vendor
from services.scanner.feeds.versions import BadVersion, parse_version
from services.scanner.matching.finding import Finding, Matches, Score, Severity
from services.scanner.matching.grype_answer import Answer, Fix, Match, Vulnerability
from services.scanner.matching.grype_releases import GrypeDatabase, Release
from services.scanner.records import OS_PACKAGES, ImageFacts, Package

NVD = "nvd"
_UNTOLD_VERSIONS = ("", "unknown", "(devel)")
"""Grype passes over a package of such a version."""
_WORD = {"deb": re.compile(r"(?:\d+:)?\d\S*")}
_ANY_WORD = re.compile(r"\S+")
"""Beside what our own parser takes: it is kinder to blanks, and to letters in front, than Grype."""
_SCHEMES = {one.package_type: one.scheme for one in ECOSYSTEMS}
"""How versions of a type of packages are compared."""


class OtherDatabase(ValueError):
    """The answer comes from another database than was asked about: it was replaced meanwhile."""


def read_findings(
    answer: bytes, facts: ImageFacts, database: GrypeDatabase, *, data: str, built: int
) -> Matches:
    """Grype's answer about the SBOM of `facts`; `data` and `built` (ms since the epoch) are the
    identity and the age of its database.

    Raises OtherDatabase, ValueError (about other packages), msgspec.DecodeError.
    """
    told = msgspec.json.decode(answer, type=Answer)
    used = told.descriptor.db.status.built
    if used is None or int(used.timestamp() * 1000) != built:
        raise OtherDatabase(f"built at {used}")
    release = database.release_of(facts) if told.distro.name else None
    named = group_of_image(facts)
    group = named.name if named else f"{facts.distro}:{facts.distro_version}"
    as_of = None if release is None else min(built, release.captured or built)
    covered = _Coverage(database, release, facts)
    return Matches(
        data=data,
        group=group,
        as_of=as_of,
        unavailable=_unavailable(release, group, as_of),
        findings=tuple(_findings(told.matches, facts, release)),
        uncovered=tuple(one for one in facts.packages if not covered.holds(one)),
    )


def _unavailable(release: Release | None, group: str, as_of: int | None) -> str:
    if release is None or as_of is None:
        return "Grype's database has no records of this release"
    if ended := release.ended_before(group, as_of):
        return (
            f"support of this release ended on {ended}: nobody looks any more whether new "
            "vulnerabilities concern it"
        )
    return ""


class _Coverage:
    """Whether Grype's silence about a package means that nothing is known against it."""

    def __init__(self, database: GrypeDatabase, release: Release | None, facts: ImageFacts) -> None:
        group = group_of_image(facts)
        self._kinds = frozenset(release.kinds) if release else frozenset()
        self._own = frozenset(
            one.name
            for one in facts.packages
            if one.type in self._kinds and not is_of_another_vendor(one, group)
        )
        self._ecosystems = frozenset(one.type for one in database.ecosystems)
        self._renamed = database.renamed
        self._by_cpe = database.by_cpe

    def holds(self, package: Package) -> bool:
        if not _comparable(package):
            return False
        if package.type in OS_PACKAGES:
            return package.type in self._kinds and package.name in self._own
        if package.owner in self._own:
            return True  # its fixes are the distributor's: what owns it is asked about
        if self._renamed.get(package.type, package.type) in self._ecosystems:
            return True
        # Of a program without a package Syft knows the name that NVD uses; else it guesses.
        return package.type == "binary" and self._by_cpe and bool(package.cpes)


def _comparable(package: Package) -> bool:
    """Of a version that is none of its kind Grype says nothing, as of one without a finding."""
    scheme = _SCHEMES.get(package.type)
    for version in {package.version, package.source_version}:
        if version.casefold() in _UNTOLD_VERSIONS:
            return False
        if not _WORD.get(package.type, _ANY_WORD).fullmatch(version):
            return False
        try:
            if scheme is not None:
                parse_version(scheme, version)
        except BadVersion:
            return False
    return True


def _findings(
    matches: Iterable[Match], facts: ImageFacts, release: Release | None
) -> Iterator[Finding]:
    """One for each package and CVE, whatever number of records names it."""
    found: dict[tuple[int, str], Finding] = {}
    for match in matches:
        number = int(match.artifact.id)
        if not 0 <= number < len(facts.packages):
            raise ValueError(f"an answer about package {number} of {len(facts.packages)}")
        package = facts.packages[number]
        if package.type in OS_PACKAGES and release is None:
            continue  # by the records of another release, whose fixed versions are not this one's
        for name in _names(match):
            finding = _finding(match, name, package)
            known = found.get((number, name))
            found[number, name] = finding if known is None else _merged(known, finding)
    return iter(found.values())


def _names(match: Match) -> tuple[str, ...]:
    """The CVEs that it stands for; itself where it names none."""
    ids = (match.vulnerability.id, *(one.id for one in match.related))
    cves = dict.fromkeys(one for one in ids if one.startswith("CVE-"))
    return tuple(cves) or (match.vulnerability.id,)


def _finding(match: Match, name: str, package: Package) -> Finding:
    vulnerability, fixed = match.vulnerability, match.fixed
    related = [one for one in match.related if one.id == name]
    aliases = (one.id for one in match.related if not one.id.startswith("CVE-"))
    others = (*(one.id for one in vulnerability.advisories or ()), vulnerability.id, *aliases)
    return Finding(
        id=name,
        package=package,
        severity=_severity(vulnerability, related, name),
        fixed=fixed,
        will_not_fix=vulnerability.fix.state == "wont-fix",
        scores=tuple(dict.fromkeys(_scores(vulnerability, related))),
        advisories=tuple(
            dict.fromkeys(one for one in (*others, *aliases) if one not in ("", name))
        ),
        url=vulnerability.url,
        group=_group(vulnerability.namespace),
        fix_published=_fix_published(vulnerability.fix, fixed),
    )


def _severity(
    vulnerability: Vulnerability, related: Iterable[Vulnerability], name: str
) -> Severity:
    """The distributor's word; else the CVE's. Of an advisory with several CVEs each has its own."""
    own = _level(vulnerability.severity)
    published = max((_level(one.severity) for one in related), default=Severity.UNKNOWN)
    if vulnerability.id == name:
        return own or published
    return max(own, published)


def _level(word: str) -> Severity:
    return Severity.__members__.get(word.upper(), Severity.UNKNOWN)


def _scores(vulnerability: Vulnerability, related: Iterable[Vulnerability]) -> Iterator[Score]:
    for record in (vulnerability, *related):
        vendors = not record.namespace.startswith(NVD)
        for cvss in record.cvss or ():
            if cvss.version.startswith("3"):
                yield Score(
                    base=cvss.metrics.base_score,
                    vector=cvss.vector,
                    exploitability=cvss.metrics.exploitability_score,
                    impact=cvss.metrics.impact_score,
                    vendor=vendors and not cvss.source.startswith(NVD),
                )


def _group(namespace: str) -> str:
    """`debian:distro:debian:12` in Engine's words."""
    source, _, rest = namespace.partition(":")
    kind, _, name = rest.partition(":")
    if kind == "distro":
        return name.replace("redhat:", "rhel:", 1)
    return f"{source}:{name}" if kind == "language" else "nvdv2:cves"


def _fix_published(fix: Fix, fixed: str | None) -> int | None:
    day = next((one.date for one in fix.available or () if one.version == fixed and one.date), "")
    if not day:
        return None
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def _merged(one: Finding, other: Finding) -> Finding:
    """Two records of one CVE: the worse severity, and all that either knows."""
    fixed = one.fixed or other.fixed
    return msgspec.structs.replace(
        one,
        severity=max(one.severity, other.severity),
        fixed=fixed,
        will_not_fix=not fixed and (one.will_not_fix or other.will_not_fix),
        scores=tuple(dict.fromkeys((*one.scores, *other.scores))),
        advisories=tuple(dict.fromkeys((*one.advisories, *other.advisories))),
        fix_published=one.fix_published or other.fix_published,
    )
