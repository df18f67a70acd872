"""Scans as chains of short steps: a request begins one, check steps carry it to a verdict.

The order of operations, and what breaks when it is changed, is docs/design/protocol.md.
A step does its part and ends; what must wait longer is the follow-up's business.
"""

from collections.abc import Callable

from services.worker.advancing import SCANNER_BUDGET, Advancing
from services.worker.budget import PollBudget
from services.worker.chains import PLACES, Chains, Follow
from services.worker.checking import Checking
from services.worker.judging import Judging
from services.worker.looking import AnalysisLimits, OnTook
from services.worker.pointing import Pointing
from services.worker.quick import QuickLooks
from services.worker.requesting import Requesting
from services.worker.submitting import Submits
from services.worker.waking import Waking
from shared.domain.step import Step
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.clock import Clock
from shared.ports.scanner import Scanner

DEFAULT_LIMITS = AnalysisLimits()


class Scan:
    """The work of every kind of step. Raises TransientFailure and StoreError for another attempt,
    NotAnImage for a push that nobody need scan."""

    def __init__(
        self,
        *,
        scanner: Scanner,
        pointing: Pointing,
        judging: Judging,
        claims: RequestClaims,
        leases: ScanLeases,
        follow: Follow,
        budget: PollBudget,
        quick: QuickLooks,
        clock: Clock,
        limits: AnalysisLimits = DEFAULT_LIMITS,
        places: int = PLACES,
        scanner_budget: float = SCANNER_BUDGET,
        on_submit: OnTook = lambda step, seconds: None,
        on_analysed: OnTook = lambda step, seconds: None,
        on_put_off: Callable[[Step], None] = lambda step: None,
    ) -> None:
        """`places`: of prewarm's analyses; `scanner_budget` (seconds): what the scanner has for one
        step. `on_submit` is told after how many seconds since it was wanted an image was handed to
        the scanner, `on_analysed` how long its analysis took, `on_put_off` of each request for
        which prewarm had no place."""
        chains = Chains(leases=leases, follow=follow, places=places)
        submits = Submits(scanner=scanner, pointing=pointing, clock=clock)
        advancing = Advancing(
            scanner=scanner,
            submits=submits,
            chains=chains,
            judging=judging,
            budget=budget,
            quick=quick,
            clock=clock,
            limits=limits,
            scanner_budget=scanner_budget,
            on_submit=on_submit,
            on_analysed=on_analysed,
        )
        self._requesting = Requesting(
            pointing=pointing,
            judging=judging,
            claims=claims,
            chains=chains,
            advancing=advancing,
            submits=submits,
            follow=follow,
            clock=clock,
            on_put_off=on_put_off,
        )
        self._checking = Checking(
            pointing=pointing,
            judging=judging,
            chains=chains,
            advancing=advancing,
            requesting=self._requesting,
            follow=follow,
            budget=budget,
        )
        self._waking = Waking(
            scanner=scanner,
            pointing=pointing,
            judging=judging,
            chains=chains,
            budget=budget,
            clock=clock,
        )

    async def resolve(self, step: Step) -> None:
        """Ask the registry what the tag names now."""
        await self._requesting.resolve(step)

    async def request(self, step: Step) -> None:
        """Begin the scans that the reference needs."""
        await self._requesting.request(step)

    async def check(self, step: Step) -> None:
        """See how far an analysis is."""
        await self._checking.check(step)

    async def wake(self, step: Step) -> None:
        """See whether an analysis is over, as somebody says."""
        await self._waking.wake(step)
