"""What the vulnerability data cannot say of an image: never taken for "clean".

Engine's trigger `vulnerability_data_unavailable` knows of releases without data only.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from services.scanner.gates.params import Values
from services.scanner.gates.trigger import Hit, Sight
from services.scanner.gates.vulnerable import fits
from services.scanner.matching.finding import Matches
from services.scanner.records import OS_PACKAGES, Package, os_packages

_NAMED = 10


def data_unavailable(sight: Sight, values: Values) -> Iterator[Hit]:
    """An unknown release, packages that are not covered, findings that a rule of the policy
    cannot decide about, and package databases that contradict each other."""
    facts, matches = sight.facts, sight.matches
    release = matches.group
    if matches.unavailable:
        yield _without_data(matches)
    elif not os_packages(facts):
        yield Hit(
            f"The image says that it is {release} but lists no package of it. "
            "Cannot perform CVE scan OS/distro packages"
        )
    else:
        yield from _uncovered(sight, release)
    for sentence in facts.contradictions:
        yield Hit(f"What the image says of its packages is not to be believed: {sentence}")
    yield from _undecided(sight)


def _without_data(matches: Matches) -> Hit:
    """Engine's words, by which it is accepted too. Where there are records all the same, these
    would send people to import what they have: the reason stands behind."""
    words = (
        f"Distro-specific feed data not found for distro namespace: {matches.group}. "
        "Cannot perform CVE scan OS/distro packages"
    )
    why = "" if matches.as_of is None else f": {matches.unavailable}"
    return Hit(f"{words}{why}", identity=words)


def stale_feed(sight: Sight, values: Values) -> Iterator[Hit]:
    """Data of the image's release that is older than so many days, or that there is not."""
    as_of, days = sight.matches.as_of, values["max_days_since_sync"]
    if as_of is None or (_day(sight.now) - _day(as_of)).days > days:
        yield Hit(
            f"The vulnerability feed for this image distro is older than MAXAGE ({days}) days"
        )


def _day(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _uncovered(sight: Sight, release: str) -> Iterator[Hit]:
    asked = [one for one in sight.facts.packages if sight.all_packages or one.type in OS_PACKAGES]
    uncovered = frozenset(sight.matches.uncovered)
    missing = [_label(one) for one in asked if one in uncovered]
    if missing:
        yield _hit_naming(
            f"The vulnerability feed of {release} covers {len(asked) - len(missing)} of "
            f"{len(asked)} packages. It knows nothing of",
            missing,
        )


def _undecided(sight: Sight) -> Iterator[Hit]:
    lacking: dict[str, list[str]] = {}
    for found in sight.matches.findings:
        for values in sight.asked:
            answer = fits(found, values, sight.now)
            if isinstance(answer, str):
                lacking.setdefault(answer, []).append(f"{found.id}+{found.package.name}")
    for what, names in lacking.items():
        yield _hit_naming(f"Vulnerabilities without a known {what}", names)


def _label(package: Package) -> str:
    return package.name if package.type in OS_PACKAGES else f"{package.name} ({package.type})"


def _hit_naming(what: str, names: list[str]) -> Hit:
    """Shows the first names; the id depends on all of them, so that it accepts no others."""
    every = sorted(set(names))
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return Hit(f"{what}: {', '.join(every[:_NAMED])}{more}", identity=",".join(every))
