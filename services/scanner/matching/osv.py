"""Imported OSV records, asked in a judge: versions from outside are not read in the server."""

import asyncio
from pathlib import Path

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.state import FeedError, FeedState, ReleaseState
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Answer, Failed, Match, Matched
from services.scanner.matching.finding import WrittenMatches
from services.scanner.matching.port import DataGroup, DataState, MatchingFailed

ADVICE = "run `imagegate feeds sync`, or `imagegate feeds import` where there is no internet"


class OsvData:
    """`VulnerabilityData` over the current feed of a folder."""

    def __init__(self, *, judges: Judges, folder: FeedFolder) -> None:
        self._judges = judges
        self._folder = folder

    async def state(self) -> DataState:
        """Of the feed that counts at this moment; one system call while it stays the same."""
        try:
            state = self._folder.known() or await asyncio.to_thread(self._folder.state)
        except FeedError as error:
            return DataState("unreadable", "osv", None, problem=str(error))
        if state is None:
            return DataState("none", "osv", None, problem=f"there is no feed: {ADVICE}")
        problem = (
            f"demonstration feed of a few packages only, every other one is unknown: {ADVICE}"
            if state.demonstration
            else ""
        )
        return DataState(state.identity, "osv", state.as_of, _groups(state), problem)

    async def match(self, facts: bytes) -> WrittenMatches:
        """By the feed that counts at this moment. Raises MatchingFailed."""
        answer, file = await self._ask(facts)
        if not isinstance(answer, Matched) and self._current() != file:
            answer, file = await self._ask(facts)  # it was removed before the judge had opened it
        if isinstance(answer, Matched):
            return answer.matches
        raise MatchingFailed(
            f"{answer.problem_type}: {answer.details}"
            if isinstance(answer, Failed)
            else type(answer).__name__
        )

    async def _ask(self, facts: bytes) -> tuple[Answer, Path]:
        file = self._current()
        return await self._judges.ask(Match(facts, str(file))), file

    def _current(self) -> Path:
        try:
            file = self._folder.current()
        except FeedError as error:
            raise MatchingFailed(str(error)) from error
        if file is None:
            raise MatchingFailed(f"there is no feed in {self._folder.path}: {ADVICE}")
        return file


def _groups(state: FeedState) -> tuple[DataGroup, ...]:
    return tuple(_group(one) for one in state.releases)


def _group(release: ReleaseState) -> DataGroup:
    return DataGroup(
        name=release.name,
        records=release.records,
        as_of=release.as_of,
        covers=None if release.whole else release.covers,
        ended=release.ended,
    )
