"""Checks: an analysed image against a policy, evaluated anew each time by a judge."""

from typing import Any

import msgspec

from services.scanner.bundles.bundle import Problem
from services.scanner.bundles.evaluation import Outcome, as_engine_result
from services.scanner.catalogue import Catalogue
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Answer, Evaluate, Evaluated, Failed
from services.scanner.knowledge import Knowledge
from services.scanner.matching.port import MatchingFailed
from services.scanner.records import ACCOUNT, AnalysisStatus, Image, Policy
from services.scanner.store import policies
from services.scanner.store.database import Database
from services.scanner.v1.refusals import Refusal
from services.scanner.v1.wire import check_answer
from shared.ports.clock import Clock


class Checks:
    """What a policy says of an image."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        database: Database,
        knowledge: Knowledge,
        judges: Judges,
        clock: Clock,
    ) -> None:
        self._catalogue = catalogue
        self._database = database
        self._knowledge = knowledge
        self._judges = judges
        self._clock = clock

    async def check(
        self, *, digest: str, tag: str, policy_id: str | None, detail: bool
    ) -> list[dict[str, Any]]:
        """The policy's word on an image now. Raises Refusal (404) as Engine does, and for a tag
        that does not belong to the digest."""
        image, fulltag = await self._catalogue.image_of_tag(digest, tag)
        if image.status is not AnalysisStatus.ANALYZED:
            raise Refusal(404, f"image is not analyzed - analysis_status: {image.status}")
        policy = await self._policy(policy_id)
        now = self._clock.now()
        status, result = await self._evaluate(image, fulltag, policy, now)
        return check_answer(
            digest=digest,
            fulltag=fulltag,
            policy=policy,
            status=status,
            result=result,
            now=now,
            detail=detail,
        )

    async def _evaluate(
        self, image: Image, fulltag: str, policy: Policy, now: int
    ) -> tuple[str, msgspec.Raw | dict[str, Any]]:
        answer = await self._ask(image, fulltag, policy, now)
        if isinstance(answer, Evaluated):
            return answer.status, answer.result
        problem = (
            Problem(answer.problem_type, answer.details)
            if isinstance(answer, Failed)
            else Problem("EvaluationFailed", type(answer).__name__)
        )
        outcome = Outcome(problems=(problem,))
        bundle: dict[str, Any] = msgspec.json.decode(policy.bundle)
        result = as_engine_result(
            outcome,
            bundle=bundle,
            digest=image.digest,
            image_id=image.image_id,
            fulltag=fulltag,
            now=now,
        )
        return outcome.status, result

    async def _ask(self, image: Image, fulltag: str, policy: Policy, now: int) -> Answer:
        facts = await self._knowledge.facts(image)
        try:
            matches = await self._knowledge.matches(image, facts)
        except MatchingFailed as error:
            return Failed("MatchingFailed", str(error))
        return await self._judges.ask(
            Evaluate(
                bundle=policy.bundle,
                facts=facts,
                matches=matches,
                digest=image.digest,
                image_id=image.image_id,
                fulltag=fulltag,
                now=now,
            )
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
