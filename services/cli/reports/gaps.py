"""What is not known of an image: said as plainly as what was found, since silence looks clean."""

from collections.abc import Iterable, Iterator, Sequence

from shared.domain.image_report import (
    Coverage,
    DataGroup,
    ImageAbout,
    ImagePackage,
    Severity,
    Vulnerability,
)

STALE_DAYS = 5
"""From when on the age of vulnerability data is a gap; Grype refuses its own from then on."""
NAMED = 5
DAY = 86_400_000


def gaps_of(
    about: ImageAbout | None,
    packages: Sequence[ImagePackage] | None,
    found: Sequence[Vulnerability] | None,
    coverage: Coverage | None,
    groups: Sequence[DataGroup] | None,
    *,
    now: int,
) -> Iterator[str]:
    """A sentence for each; None: it could not be read, which is said elsewhere."""
    if about is not None and not about.release:
        yield "the image does not say which distribution it is: nothing is known of its packages"
    if packages is not None and not packages:
        yield "the scanner lists no package: that no vulnerability is known means nothing"
    if found is not None:
        yield from _of_coverage(coverage, packages)
        yield from _of_severities(found)
    if about is not None and about.release:
        yield from _of_data(about.release, coverage, groups, now)


def group_of(release: str, groups: Sequence[DataGroup] | None) -> DataGroup | None:
    """The data about a release."""
    return next((group for group in groups or () if group.name == release), None)


def _of_coverage(
    coverage: Coverage | None, packages: Sequence[ImagePackage] | None
) -> Iterator[str]:
    if coverage is None:
        return
    if coverage.unavailable:
        yield f"nothing is known of the vulnerabilities of {coverage.release}: " + (
            coverage.unavailable
        )
    if coverage.problem:
        yield f"of the vulnerability data: {coverage.problem}"
    yield from (f"the image contradicts itself: {each}" for each in coverage.contradictions)
    if coverage.uncovered and not coverage.unavailable:
        of = f" of {len(packages)}" if packages else ""
        yield (
            f"the vulnerability data says nothing about {len(coverage.uncovered)}{of} packages: "
            f"{_named(_label(one) for one in coverage.uncovered)}"
        )


def _of_severities(found: Sequence[Vulnerability]) -> Iterator[str]:
    unknown = [one for one in found if one.severity is Severity.UNKNOWN]
    if unknown:
        many = f"{len(unknown)} vulnerabilities have" if len(unknown) > 1 else "1 vulnerability has"
        yield (
            f"{many} no known severity, and may be anything: "
            f"{_named(f'{one.id} in {one.package}' for one in unknown)}"
        )


def _of_data(
    release: str, coverage: Coverage | None, groups: Sequence[DataGroup] | None, now: int
) -> Iterator[str]:
    group = group_of(release, groups)
    if coverage is None and groups is not None and group is None:
        yield (
            f"the scanner names no vulnerability data about {release}: that no vulnerability is "
            "known may mean nothing"
        )
    as_of = coverage.as_of if coverage is not None else group.as_of if group else None
    days = 0 if as_of is None else (now - as_of) // DAY
    if days >= STALE_DAYS:
        yield (
            f"the vulnerability data about {release} is {days} days old: what was found since is "
            "not in it"
        )
    if as_of is None and (coverage is not None or group is not None):
        unavailable = coverage.unavailable if coverage is not None else ""
        if not unavailable:
            yield f"nobody says how old the vulnerability data about {release} is"


def _label(package: ImagePackage) -> str:
    return f"{package.name} ({package.type})" if package.type else package.name


def _named(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    every = sorted(set(names))
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return f"{', '.join(every[:NAMED])}{more}"
