"""Checks: an analysed image against a policy, evaluated anew each time by a judge."""

from typing import Any

from services.scanner.catalogue import Catalogue
from services.scanner.evaluating import Evaluating
from services.scanner.precedence import Precedence
from services.scanner.records import ACCOUNT, AnalysisStatus, Policy
from services.scanner.store import policies
from services.scanner.store.database import Database
from services.scanner.v1.refusals import Refusal
from services.scanner.v1.wire import check_answer


class Checks:
    """What a policy says of an image."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        database: Database,
        evaluating: Evaluating,
        precedence: Precedence,
    ) -> None:
        self._catalogue = catalogue
        self._database = database
        self._evaluating = evaluating
        self._precedence = precedence

    async def check(
        self, *, digest: str, tag: str, policy_id: str | None, detail: bool
    ) -> list[dict[str, Any]]:
        """The policy's word on an image now. Raises Refusal (404) as Engine does, and for a tag
        that does not belong to the digest."""
        image, fulltag = await self._catalogue.image_of_tag(digest, tag)
        if image.status is not AnalysisStatus.ANALYZED:
            raise Refusal(404, f"image is not analyzed - analysis_status: {image.status}")
        policy = await self._policy(policy_id)
        with self._precedence.asked():
            evaluation = await self._evaluating.evaluate(image, fulltag, policy)
        return check_answer(
            digest=digest,
            fulltag=fulltag,
            policy=policy,
            status=evaluation.status,
            result=evaluation.result,
            now=evaluation.at,
            detail=detail,
        )

    async def _policy(self, policy_id: str | None) -> Policy:
        if policy_id:
            policy = await self._database.run(policies.find, policy_id)
            if policy is None:
                raise Refusal(404, f"Policy bundle {policy_id} not found in DB")
            return policy
        policy = await self._database.run(policies.active)
        if policy is None:
            raise Refusal(404, f"user has no active policy to evaluate: {ACCOUNT}")
        return policy
