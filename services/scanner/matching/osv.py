"""Imported OSV records, asked in a judge: versions from outside are not read in the server."""

from datetime import UTC, datetime, time

from services.scanner.feeds.feed import Feed, ReleaseFeed
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Failed, Match, Matched
from services.scanner.matching.finding import Matches
from services.scanner.matching.port import DataGroup, DataState, MatchingFailed


class OsvData:
    """`VulnerabilityData` over a feed."""

    def __init__(self, *, judges: Judges, feed: Feed) -> None:
        self._judges = judges
        self._feed = feed

    async def state(self) -> DataState:
        """Which releases there are."""
        groups = tuple(_group(one) for one in self._feed.releases)
        known = [one.as_of for one in groups if one.as_of is not None]
        return DataState(self._feed.identity, "osv", min(known, default=None), groups)

    async def match(self, facts: bytes) -> Matches:
        """Raises MatchingFailed."""
        answer = await self._judges.ask(Match(facts))
        if isinstance(answer, Matched):
            return answer.matches
        raise MatchingFailed(
            f"{answer.problem_type}: {answer.details}"
            if isinstance(answer, Failed)
            else type(answer).__name__
        )


def _group(release: ReleaseFeed) -> DataGroup:
    at = datetime.combine(release.as_of, time.min, UTC)
    return DataGroup(
        name=f"{release.release.id}:{release.release.version}",
        records=len(release.advisories),
        as_of=int(at.timestamp() * 1000),
        covers=release.covers,
    )
