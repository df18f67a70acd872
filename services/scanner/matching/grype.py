"""Grype with its own database, asked about an SBOM of what is known of an image.

Grype runs in a process of its own, and a judge reads what it wrote.
"""

from typing import TypeVar

from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import (
    Answer,
    Failed,
    Matched,
    ReadGrype,
    WriteSbom,
    Written,
)
from services.scanner.matching.finding import WrittenMatches
from services.scanner.matching.grype_current import CurrentDatabase
from services.scanner.matching.grype_findings import OtherDatabase
from services.scanner.matching.grype_program import GrypeProgram
from services.scanner.matching.port import DataState, MatchingFailed

Expected = TypeVar("Expected")


class _Replaced(Exception):
    pass


class GrypeData:
    """`VulnerabilityData` over Grype."""

    def __init__(self, *, grype: GrypeProgram, current: CurrentDatabase, judges: Judges) -> None:
        self._grype = grype
        self._current = current
        self._judges = judges

    async def state(self) -> DataState:
        """Of the database that Grype has at this moment."""
        return await self._current.state()

    async def match(self, facts: bytes) -> WrittenMatches:
        """Raises MatchingFailed."""
        try:
            return await self._match(facts)
        except _Replaced:
            self._current.forget()
        try:
            return await self._match(facts)
        except _Replaced as error:
            raise MatchingFailed(
                "Grype's database was replaced twice while it was asked: ask again"
            ) from error

    async def _match(self, facts: bytes) -> WrittenMatches:
        found = await self._current.look()
        if found.database is None:
            raise MatchingFailed(found.state.problem)
        async with self._grype.folder() as folder:
            sbom = folder / "sbom.json"
            _expect(await self._judges.ask(WriteSbom(facts, str(sbom))), Written)
            answer = await self._grype.scan(sbom, folder)
            read = await self._judges.ask(
                ReadGrype(
                    facts=facts,
                    answer=str(answer),
                    database=found.database,
                    data=found.state.identity,
                    built=found.built,
                )
            )
        if isinstance(read, Failed) and read.problem_type == OtherDatabase.__name__:
            raise _Replaced
        return _expect(read, Matched).matches


def _expect(answer: Answer, kind: type[Expected]) -> Expected:
    if isinstance(answer, kind):
        return answer
    raise MatchingFailed(
        f"{answer.problem_type}: {answer.details}"
        if isinstance(answer, Failed)
        else type(answer).__name__
    )
