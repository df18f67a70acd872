"""An operator's scan: have an image judged before anybody runs it, and see what came of it.

Nobody says where it will run, so it is asked about by every question that the rules may ask about
it; what is known is as good as the worst answer. A Dockerfile goes to the scanner here and now;
the queue carries references only.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from services.cli.reports.reading import read_image
from services.cli.reports.report import ImageReport
from services.webhook.catalogue import Image, Need
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.near_cache import NearCache
from services.webhook.requests import Asked, Requests
from shared.domain.decision import Judgement, State
from shared.domain.errors import ErrorKind, PermanentFailure, QueueUnavailable, StoreUnreachable
from shared.domain.platforms import Counted, Platforms, PlatformTerms
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import PolicyChoice, Requirement, Rule, Rules
from shared.domain.step import Lane
from shared.domain.verdict import Question, Subject, Verdict
from shared.domain.why import Why
from shared.ports.clock import Clock
from shared.ports.reports import ImageReports
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Scanner

GOOD = (State.PASS, State.EXEMPT)
BAD = (State.FAIL, State.REFUSED, State.INVALID)
UNDECIDED = (State.PENDING, State.REGISTRY_AWAY, State.STORE_DOWN, State.QUEUE_DOWN)

MAX_DOCKERFILE = 256 * 1024
NODES = PlatformTerms()
NOTHING = "nothing was queued; `imagegate status` says what is wrong"


class ScanStarted(msgspec.Struct, frozen=True):
    """What was asked for."""

    image: str
    under_way: bool
    """Somebody asked before."""
    submitted: tuple[str, ...] = ()
    """The digests that were handed to the scanner with the Dockerfile."""


class ImageState(msgspec.Struct, frozen=True):
    """What is known of an image now."""

    image: str
    state: State
    message: str = ""
    digests: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    known_at: int = 0
    """When the oldest verdict it rests on was made, or the registry was asked (ms)."""
    answers: tuple[str, ...] = ()
    """Where several questions were asked: the state by each, the worst first."""
    verdicts: tuple[Verdict, ...] = ()
    """Those that it rests on, of all questions."""


class ScansView(Protocol):
    """What the command asks. Errors: ImagegateError."""

    async def start(
        self,
        image: str,
        *,
        dockerfile: bytes | None,
        policy: PolicyChoice | None = None,
        force: bool = False,
    ) -> ScanStarted:
        """Have `image` judged, by `policy` alone if there is one, else by all that the rules may
        ask; with `force` it is analysed anew before, whatever the scanner has of it."""

    async def prewarm(self, image: str, question: Question, *, why: Why) -> Asked:
        """Have it judged by one question, unless that is under way."""

    async def state(self, image: str, *, policy: PolicyChoice | None = None) -> ImageState:
        """What is known of it; asks for nothing."""

    async def report(self, digest: str, *, account: str = "") -> ImageReport:
        """What the scanner found in a manifest that was judged; what cannot be read is a gap."""


class Scans:
    """`ScansView` on the ports."""

    def __init__(
        self,
        *,
        knowledge: Knowledge,
        cache: NearCache,
        requests: Requests,
        resolver: DigestResolver,
        scanner: Scanner,
        reports: ImageReports,
        rules: Callable[[], Rules],
        clock: Clock,
        scanner_name: str = "anchore",
        platforms: PlatformTerms = NODES,
    ) -> None:
        self._knowledge = knowledge
        self._cache = cache
        self._requests = requests
        self._resolver = resolver
        self._scanner = scanner
        self._reports = reports
        self._rules = rules
        self._clock = clock
        self._scanner_name = scanner_name
        self._platforms = platforms

    async def start(
        self,
        image: str,
        *,
        dockerfile: bytes | None,
        policy: PolicyChoice | None = None,
        force: bool = False,
    ) -> ScanStarted:
        """Submit with the Dockerfile if there is one, then queue the requests of an operator."""
        wanted = self._images(image, policy)
        submitted: tuple[str, ...] = ()
        if dockerfile is not None:
            submitted = await self._submit(wanted, dockerfile, force=force)
        # What was submitted here is analysed anew already.
        force = force and not submitted
        asked = [await self._ask(each, force=force) for each in wanted]
        if Asked.STORE_DOWN in asked:
            raise StoreUnreachable(f"the verdict store does not answer: {NOTHING}")
        if Asked.QUEUE_DOWN in asked:
            raise QueueUnavailable(f"the queue takes no request: {NOTHING}")
        under_way = set(asked) == {Asked.UNDER_WAY}
        return ScanStarted(str(wanted[0].reference), under_way, submitted)

    async def prewarm(self, image: str, question: Question, *, why: Why) -> Asked:
        """In prewarm's lane."""
        wanted = Image(image, parse_reference(image), always=False, question=question)
        return await self._requests.ask(wanted, Need.REQUEST, lane=Lane.PREWARM, why=why)

    async def state(self, image: str, *, policy: PolicyChoice | None = None) -> ImageState:
        """One look-up a question, as a review's, that neither asks nor waits."""
        # An operator wants the store's word, not what was read some seconds ago.
        self._cache.gap()
        wanted = self._images(image, policy)
        states = [await self._state(each) for each in wanted]
        if len(states) == 1:
            return states[0]
        told = sorted(zip(states, wanted, strict=True), key=lambda told: _rank(told[0].state))
        worst = told[0][0]
        return msgspec.structs.replace(
            worst,
            digests=tuple(dict.fromkeys(digest for each in states for digest in each.digests)),
            known_at=min(each.known_at for each in states),
            answers=tuple(f"{each.state}: {name_of(by.question)}" for each, by in told),
            verdicts=tuple(dict.fromkeys(one for each in states for one in each.verdicts)),
        )

    async def report(self, digest: str, *, account: str = "") -> ImageReport:
        """Read in the scanner at this moment."""
        return await read_image(self._reports, digest, account=account, now=self._clock.now())

    async def _ask(self, image: Image, *, force: bool) -> Asked:
        return await self._requests.ask(
            image, Need.REQUEST, lane=Lane.PREWARM, why=Why.OPERATOR, force=force
        )

    async def _state(self, image: Image) -> ImageState:
        patience = Patience(until=self._clock.monotonic(), asks=False, waits=False)
        judgement = await self._knowledge.learn(image, patience)
        times = [verdict.evaluated_at for verdict in judgement.verdicts]
        known_at = min(times) if times else await self._asked_at(image.reference)
        return _state_of(judgement, known_at)

    async def _asked_at(self, reference: ImageReference) -> int:
        """When the registry was last asked about the tag (ms); 0 when it was not."""
        if reference.tag is None:
            return 0
        key = pointer_key(msgspec.structs.replace(reference, digest=None))
        pointer = (await self._cache.read((key,))).records[0]
        return pointer.asked_at if isinstance(pointer, Pointer) else 0

    def _images(self, text: str, policy: PolicyChoice | None) -> list[Image]:
        """The image with each question; at least one."""
        reference = parse_reference(text)
        rules, scanner = self._rules(), self._scanner_name
        if policy is None:
            questions = rules.questions(reference, scanner=scanner)
        else:
            questions = (Rule(policy=policy).question(scanner=scanner),)
        if not questions:
            raise PermanentFailure(
                f"{reference}: the rules let it run or deny it without a verdict; name a policy "
                "(--policy) to have it judged all the same",
                kind=ErrorKind.REFUSED,
            )
        return [Image(text, reference, always=False, question=each) for each in questions]

    async def _submit(
        self, images: list[Image], dockerfile: bytes, *, force: bool
    ) -> tuple[str, ...]:
        """Once for each account: what is analysed belongs to one."""
        if len(dockerfile) > MAX_DOCKERFILE:
            raise PermanentFailure(
                f"the Dockerfile is larger than {MAX_DOCKERFILE} bytes", kind=ErrorKind.REFUSED
            )
        digests = await self._manifests(images[0].reference)
        by_account = {image.question.account: image for image in images}
        await asyncio.gather(
            *(
                self._submit_one(image, digest, dockerfile, force=force)
                for image in by_account.values()
                for digest in digests
            )
        )
        return digests

    async def _submit_one(
        self, image: Image, digest: str, dockerfile: bytes, *, force: bool
    ) -> None:
        reference, question = image.reference, image.question
        subject = Subject(reference.repository, digest, reference.tag)
        # As a worker does: what could be read in two ways is not submitted.
        await self._resolver.manifest(reference, digest)
        await self._scanner.submit(subject, question, dockerfile=dockerfile, force=force)

    async def _manifests(self, reference: ImageReference) -> tuple[str, ...]:
        """The image's digest, or those of the manifests that count in the cluster."""
        found = await self._resolver.resolve(reference)
        if not found.is_index:
            return (found.digest,)
        index = await self._resolver.index(reference, found.digest, asked_at=self._clock.now())
        platforms = await self._to_judge()
        counted = index.counted(platforms)
        if not counted:
            raise PermanentFailure(
                f"{reference} has no manifest for {', '.join(platforms or ('any platform',))}",
                kind=ErrorKind.NOT_FOUND,
            )
        return tuple(entry.digest for entry in counted)

    async def _to_judge(self) -> Counted:
        """The platforms for which a worker would judge it."""
        key = self._platforms.key(self._rules())
        record = (await self._cache.read((key,))).records[0] if key else None
        nodes = record if isinstance(record, Platforms) else None
        return self._platforms.to_judge(self._rules(), nodes)


def _state_of(judgement: Judgement, known_at: int) -> ImageState:
    verdicts = judgement.verdicts
    return ImageState(
        image=str(judgement.reference or judgement.image),
        state=judgement.state,
        message=judgement.message or next((v.message for v in verdicts if v.message), ""),
        digests=tuple(verdict.subject.digest for verdict in verdicts),
        findings=tuple(
            f"{finding.action}: {finding.message} ({finding.gate}/{finding.trigger})"
            for verdict in verdicts
            for finding in (*verdict.stops, *verdict.warns)
        ),
        known_at=known_at,
        verdicts=verdicts,
    )


def name_of(question: Question) -> str:
    """A question in words."""
    if question.requirement == Requirement.ANALYSIS:
        what = "analysis alone"
    else:
        what = f"policy {question.policy}" if question.policy else "the active policy"
    return f"{what} of account {question.account}" if question.account else what


def _rank(state: State) -> int:
    """What is worst to know comes first: nothing yet, then bad, then no answer, then good."""
    for rank, states in enumerate((UNDECIDED, BAD)):
        if state in states:
            return rank
    return 3 if state in GOOD else 2
