"""What a feed is worth now: how old, of what, and what is wrong with it.

Read from the folder of the scanner on this machine, or asked of a running server, which may be a
real Anchore: that tells names, counts and ages.
"""

from collections.abc import Sequence

import msgspec

from services.scanner.feeds.state import FeedState, ReleaseState
from services.scanner.matching.port import DataState
from shared.domain.image_report import DataGroup

HOUR = 3_600_000

_DEMONSTRATION = (
    "this is the feed that comes with imagegate to show the rules at work: it knows of a few "
    "vulnerabilities only; `imagegate feeds sync` replaces it, or `imagegate feeds import` where "
    "there is no internet",
)


class ReleaseRow(msgspec.Struct, frozen=True):
    """One release, or one language. None: whoever was asked does not tell."""

    name: str
    records: int
    as_of: int | None
    packages: int | None = None
    whole: bool | None = None
    covered: int = 0
    """Packages that it is about, where it is not whole."""
    doubtful: int = 0
    ended: str = ""
    stale: bool = False


class FeedReport(msgspec.Struct, frozen=True):
    """What `imagegate feeds status` tells."""

    place: str
    """The folder, or the server's address."""
    source: str
    now: int
    as_of: int | None = None
    """The oldest of it; None: it is not known."""
    releases: tuple[ReleaseRow, ...] = ()
    scores: int | None = None
    identity: str = ""
    problems: tuple[str, ...] = ()
    """What a person should do something about; each is a reason for exit code 1."""


def report_of_folder(
    state: FeedState | None, *, folder: str, now: int, max_age: float | None
) -> FeedReport:
    """`max_age` in hours; None: no age is too much."""
    if state is None:
        return FeedReport(
            place=f"the folder {folder}",
            source="no",
            now=now,
            problems=(
                f"there is no feed in {folder}: the scanner knows no vulnerabilities but those of "
                "its demonstration feed; `imagegate feeds sync` downloads one, `imagegate feeds "
                "import FILE` reads one",
            ),
        )
    rows = tuple(_row(one, now, max_age) for one in state.releases)
    return FeedReport(
        place=f"the folder {folder}",
        source="demonstration" if state.demonstration else "OSV",
        now=now,
        as_of=state.as_of,
        releases=rows,
        scores=state.scores,
        identity=state.identity,
        problems=(*(_DEMONSTRATION if state.demonstration else ()), *_problems(rows, max_age)),
    )


def report_of_data(state: DataState, *, place: str, now: int, max_age: float | None) -> FeedReport:
    """Of data that is no feed of ours: Grype's database."""
    rows = tuple(
        ReleaseRow(
            name=one.name,
            records=one.records,
            as_of=one.as_of,
            whole=one.covers is None,
            covered=len(one.covers or ()),
            ended=one.ended,
            stale=_stale(one.as_of, now, max_age),
        )
        for one in state.groups
    )
    old = _stale(state.as_of, now, max_age) and not rows
    wrong = (state.problem, f"older than {max_age:g} h: the whole database" if old else "")
    return FeedReport(
        place=place,
        source=state.source,
        now=now,
        as_of=state.as_of,
        releases=rows,
        identity=state.identity,
        problems=(*(one for one in wrong if one), *_problems(rows, max_age)),
    )


def report_of_server(
    groups: Sequence[DataGroup], *, url: str, now: int, max_age: float | None
) -> FeedReport:
    """As a running server tells it."""
    rows = tuple(
        ReleaseRow(one.name, one.records, one.as_of, stale=_stale(one.as_of, now, max_age))
        for one in groups
    )
    nothing = () if rows else (f"{url} has no vulnerability data: its checks find nothing",)
    said = dict.fromkeys(one.problem for one in groups if one.problem)
    return FeedReport(
        place=url,
        source="the server's",
        now=now,
        as_of=min((one.as_of for one in rows if one.as_of is not None), default=None),
        releases=rows,
        problems=(*nothing, *said, *_problems(rows, max_age)),
    )


def _problems(rows: Sequence[ReleaseRow], max_age: float | None) -> list[str]:
    stale = [row.name for row in rows if row.stale]
    if not stale:
        return []
    return [
        f"older than {max_age:g} h: {', '.join(stale)}; does the sync run, and does the mirror?"
    ]


def _row(one: ReleaseState, now: int, max_age: float | None) -> ReleaseRow:
    return ReleaseRow(
        name=one.name,
        records=one.records,
        as_of=one.as_of,
        packages=one.packages,
        whole=one.whole,
        covered=len(one.covers),
        doubtful=one.doubtful,
        ended=one.ended,
        stale=_stale(one.as_of, now, max_age),
    )


def _stale(as_of: int | None, now: int, max_age: float | None) -> bool:
    return max_age is not None and (as_of is None or now - as_of > max_age * HOUR)
