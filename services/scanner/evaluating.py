"""One evaluation: a policy applied to an image by a judge, compared with the one before."""

import sqlite3
from typing import Any

import msgspec

from services.scanner.announcing import Announcements
from services.scanner.bundles.evaluation import Outcome, as_engine_result
from services.scanner.bundles.problems import Problem
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Answer, Evaluate, Evaluated, Failed
from services.scanner.knowledge import Knowledge, Known
from services.scanner.matching.port import MatchingFailed
from services.scanner.metrics import ScannerMetrics
from services.scanner.records import Image, Policy
from services.scanner.store import evaluations
from services.scanner.store.database import Database
from services.scanner.store.evaluations import Ended
from shared.ports.clock import Clock


class Evaluation(msgspec.Struct, frozen=True):
    """What a policy says of an image."""

    status: str
    result: msgspec.Raw | dict[str, Any]
    """Engine's `detail.result`."""
    at: int
    turned: bool = False
    """Another final action than the evaluation before it, by the same policy under the same tag."""
    failed: bool = False
    """No judge came to an end, or the data could not be asked: not the policy's word."""


class _Final(msgspec.Struct):
    final_action: str


class Evaluating:
    """Evaluates, and tells what turned."""

    def __init__(
        self,
        *,
        database: Database,
        knowledge: Knowledge,
        judges: Judges,
        announcements: Announcements,
        metrics: ScannerMetrics,
        clock: Clock,
    ) -> None:
        self._database = database
        self._knowledge = knowledge
        self._judges = judges
        self._announcements = announcements
        self._metrics = metrics
        self._clock = clock

    async def evaluate(
        self, image: Image, fulltag: str, policy: Policy, *, known: Known | None = None
    ) -> Evaluation:
        """With the data of this moment, or by what is `known` of the image already; what cannot be
        evaluated is a fail with its reason."""
        now, began = self._clock.now(), self._clock.monotonic()
        answer = await self._ask(image, fulltag, policy, now, known)
        self._metrics.evaluated(self._clock.monotonic() - began)
        if not isinstance(answer, Evaluated):
            return _failed(answer, image, fulltag, policy, now)
        turned = await self._database.run(
            self._compare, image, fulltag=fulltag, policy_id=policy.id, answer=answer, now=now
        )
        return Evaluation(answer.status, answer.result, now, turned=turned)

    async def _ask(
        self, image: Image, fulltag: str, policy: Policy, now: int, known: Known | None
    ) -> Answer:
        try:
            known = known or await self._knowledge.of(image)
        except MatchingFailed as error:
            self._metrics.matching_failed()
            return Failed("MatchingFailed", str(error))
        return await self._judges.ask(
            Evaluate(
                bundle=policy.bundle,
                facts=known.facts,
                matches=known.matches,
                digest=image.digest,
                image_id=image.image_id,
                fulltag=fulltag,
                now=now,
            )
        )

    def _compare(
        self,
        connection: sqlite3.Connection,
        image: Image,
        *,
        fulltag: str,
        policy_id: str,
        answer: Evaluated,
        now: int,
    ) -> bool:
        action = msgspec.json.decode(answer.result, type=_Final).final_action
        before = evaluations.keep(
            connection,
            digest=image.digest,
            fulltag=fulltag,
            policy_id=policy_id,
            ended=Ended(answer.status, action, now),
        )
        if before is None:
            return False
        self._announcements.turned(
            connection, image, fulltag=fulltag, result=answer.result, before=before, now=now
        )
        return True


def _failed(answer: Answer, image: Image, fulltag: str, policy: Policy, now: int) -> Evaluation:
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
    return Evaluation(outcome.status, result, now, failed=True)
