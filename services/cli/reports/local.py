"""`imagegate scan --local`: one image, judged by the built-in scanner in this process."""

import asyncio
import platform
from collections.abc import Callable
from pathlib import Path

import msgspec

from services.cli.reports.reading import judged, read_image
from services.cli.reports.report import ScanReport
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.pointer import Index, Manifest
from shared.domain.policy import Bundle
from shared.domain.policy_forms import converted
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.verdict import Question, Subject, judge
from shared.ports.clock import Clock
from shared.ports.policies import Policies
from shared.ports.reports import ImageReports
from shared.ports.resolver import DigestResolver
from shared.ports.scanner import Analysis, Scanner

POLL = 0.2
"""Seconds between two looks at an analysis in this process."""

MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm/v7",
    "armv6l": "arm/v6",
    "i386": "386",
    "i686": "386",
}
"""What an index calls the machines that Python names in another way."""

STAGES = {
    Analysis.WAITING: "waiting for its analysis",
    Analysis.RUNNING: "pulling the image and listing its packages",
}


class Wanted(msgspec.Struct, frozen=True):
    """One scan."""

    image: str
    bundle: Bundle
    """The policy that judges."""
    platform: str = ""
    """`linux/arm64` or `linux/arm/v7`; empty: this machine's."""
    dockerfile: bytes | None = None
    dockerfile_path: str = ""
    """As reports name it: relative to where the command was started."""
    force: bool = False
    timeout: float = 900.0


class LocalScan:
    """On ports, so that it knows no server. Errors: ImagegateError."""

    def __init__(
        self,
        *,
        resolver: DigestResolver,
        scanner: Scanner,
        policies: Policies,
        reports: ImageReports,
        clock: Clock,
        poll: float = POLL,
    ) -> None:
        self._resolver = resolver
        self._scanner = scanner
        self._policies = policies
        self._reports = reports
        self._clock = clock
        self._poll = poll

    async def scan(self, wanted: Wanted, tell: Callable[[str], None]) -> ScanReport:
        """Resolve, analyse, evaluate, read; `tell` hears of each stage."""
        reference = parse_reference(wanted.image)
        tell("asking the registry")
        subject = await self._subject(reference, wanted.platform)
        tell("checking the policy")
        document = converted(wanted.bundle, await self._policies.form()).document
        policy = await self._policies.push(document, activate=False)
        question = Question(policy=policy.id)
        await self._analyse(subject, question, wanted, tell)
        tell("matching its packages with the vulnerability data, applying the policy")
        evaluation = await self._scanner.evaluate(subject, question)
        verdict = judge(subject, question, evaluation)
        tell("reading what was found")
        image = await read_image(self._reports, subject.digest, now=self._clock.now())
        return ScanReport(
            image=str(reference),
            outcome=verdict.outcome,
            message=verdict.message,
            policies=(policy.id,),
            images=(judged(image, (verdict,)),),
            at=self._clock.now(),
            dockerfile=wanted.dockerfile_path,
        )

    async def _subject(self, reference: ImageReference, wanted: str) -> Subject:
        """The manifest of the platform. A digest is asked for by itself: whether the tag beside it
        names it, nobody knows."""
        asked = reference
        if reference.digest is not None:
            asked = msgspec.structs.replace(reference, tag=None)
        found = await self._resolver.resolve(asked)
        digest = found.digest
        if found.is_index:
            index = await self._resolver.index(asked, digest, asked_at=self._clock.now())
            digest = chosen(index, wanted or own_platform(), image=str(reference)).digest
        # As a worker does: what could be read in two ways is not submitted.
        await self._resolver.manifest(asked, digest)
        return Subject(reference.repository, digest, asked.tag)

    async def _analyse(
        self, subject: Subject, question: Question, wanted: Wanted, tell: Callable[[str], None]
    ) -> None:
        tell("handing it to the scanner")
        state = await self._submit(subject, question, wanted)
        deadline = self._clock.monotonic() + wanted.timeout
        while state in STAGES:
            tell(STAGES[state])
            if self._clock.monotonic() > deadline:
                raise PermanentFailure(
                    f"{wanted.image} is not analysed after {wanted.timeout:g} s: give it more with "
                    "--timeout",
                    kind=ErrorKind.TRANSIENT,
                )
            await asyncio.sleep(self._poll)
            state = (await self._scanner.analysis(subject, question)).state
        if state is not Analysis.DONE:
            why = await self._scanner.failure_reason(subject, question)
            raise PermanentFailure(
                f"{wanted.image} could not be analysed: {why or 'the scanner does not say why'}",
                kind=ErrorKind.ANALYSIS_FAILED,
            )

    async def _submit(self, subject: Subject, question: Question, wanted: Wanted) -> Analysis:
        submitted = await self._scanner.submit(
            subject, question, dockerfile=wanted.dockerfile, force=wanted.force
        )
        return submitted.state


def own_platform() -> str:
    """This machine's, as an index names it; images are for Linux."""
    machine = platform.machine().lower()
    return f"linux/{MACHINES.get(machine, machine)}"


def chosen(index: Index, wanted: str, *, image: str) -> Manifest:
    """The one manifest that `wanted` means. Raises PermanentFailure where that is none or many."""
    system, _, rest = wanted.partition("/")
    machine, _, variant = rest.partition("/")
    fitting = [
        one
        for one in index.manifests
        if one.platform == f"{system}/{machine}" and (not variant or one.variant in ("", variant))
    ]
    if not variant:
        fitting = [one for one in fitting if one.exact] or fitting
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(sorted({_named(one) for one in index.manifests if _named(one)})) or "none"
    if not fitting:
        raise PermanentFailure(
            f"{image} has no manifest for {wanted}; it has {there}: choose one with --platform",
            kind=ErrorKind.NOT_FOUND,
        )
    raise PermanentFailure(
        f"{image} has {len(fitting)} manifests for {wanted} (all: {there}): name a variant with "
        "--platform, or the manifest's digest",
        kind=ErrorKind.REFUSED,
    )


def _named(one: Manifest) -> str:
    if one.platform in ("", "unknown/unknown"):
        return ""
    return f"{one.platform}/{one.variant}" if one.variant else one.platform


def shown_path(dockerfile: Path | None) -> str:
    """How a report names a Dockerfile: relative to here, where that can be; else not at all."""
    if dockerfile is None:
        return ""
    here, there = Path.cwd().resolve(), dockerfile.resolve()
    return there.relative_to(here).as_posix() if there.is_relative_to(here) else ""
