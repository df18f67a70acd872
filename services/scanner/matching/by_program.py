"""Vulnerability data as this release of the program reads it."""

import msgspec

from services.scanner.matching.finding import WrittenMatches
from services.scanner.matching.port import DataState, VulnerabilityData


class ReadByProgram:
    """`VulnerabilityData` that is another for another release of the program: what an older one
    made of the same records (or of the days on which support ends) is not served for ours."""

    def __init__(self, data: VulnerabilityData, *, version: str) -> None:
        self._data = data
        self._version = version

    async def state(self) -> DataState:
        """The same state, with another name."""
        state = await self._data.state()
        return msgspec.structs.replace(state, identity=self._named(state.identity))

    async def match(self, facts: bytes) -> WrittenMatches:
        """Raises MatchingFailed."""
        told = await self._data.match(facts)
        return WrittenMatches(self._named(told.data), told.text)

    def _named(self, identity: str) -> str:
        return f"{identity}-{self._version}"
