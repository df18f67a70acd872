"""What people look up of an analysed image: its packages, and what is known against them."""

import msgspec

from services.scanner.catalogue import Catalogue
from services.scanner.knowledge import Knowledge
from services.scanner.matching.finding import Matches
from services.scanner.matching.port import MatchingFailed, VulnerabilityData
from services.scanner.precedence import Precedence
from services.scanner.records import Image, ImageFacts
from services.scanner.v1.refusals import Refusal


class Known(msgspec.Struct, frozen=True):
    """All that can be shown of one image."""

    image: Image
    facts: ImageFacts
    matches: Matches
    problem: str = ""
    """Why the data should not be trusted at this moment; empty: all is well."""


class Looking:
    """Answers about images that were analysed."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        knowledge: Knowledge,
        data: VulnerabilityData,
        precedence: Precedence,
    ) -> None:
        self._precedence = precedence
        self._catalogue = catalogue
        self._knowledge = knowledge
        self._data = data

    async def facts(self, digest: str) -> ImageFacts:
        """Raises Refusal (404)."""
        image = await self._catalogue.analysed(digest)
        return msgspec.json.decode(await self._facts(image), type=ImageFacts)

    async def known(self, digest: str) -> Known:
        """Raises Refusal (404; 503 where the data cannot be asked: that is not "none")."""
        image = await self._catalogue.analysed(digest)
        facts = await self._facts(image)
        try:
            with self._precedence.asked():
                matches = await self._knowledge.matches(image, facts)
        except MatchingFailed as error:
            raise Refusal(503, f"the vulnerability data cannot be asked: {error}") from error
        problem = (await self._data.state()).problem
        return Known(image, msgspec.json.decode(facts, type=ImageFacts), matches.read(), problem)

    async def _facts(self, image: Image) -> bytes:
        facts = await self._knowledge.facts(image)
        if not facts:
            raise Refusal(404, "image is not analyzed - analysis_status: not_analyzed")
        return facts
