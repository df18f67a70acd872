"""Verdicts: what a policy says of one manifest, and how long that may be used.

Times are integer milliseconds since the epoch. The lives below and which evaluation wins are
docs/design/behaviour.md 2 and docs/design/protocol.md.
"""

from enum import StrEnum
from zlib import crc32

import msgspec

from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, FRESH_ERROR, MINUTE
from shared.domain.reference import ImageReference
from shared.domain.why import Why

MAX_FINDINGS = 200
MAX_MESSAGE = 512

MAX_AGE = 7 * DAY
FRESH_PASS = 60 * MINUTE
FRESH_FAIL = 10 * MINUTE
MAX_FRESH = DAY
"""What no stretch exceeds."""

RENEWED_FROM, RENEWED_TO = 0.6, 0.8
"""In which part of its freshness a verdict in use is renewed: verdicts that came together, as after
a policy's change, are spread over it."""


class Outcome(StrEnum):
    """pass and fail are the policy's; error means that it could not be judged."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"


class Turn(StrEnum):
    """What turned a pass into a fail."""

    POLICY = "policy"
    """Another revision of the policy."""
    FEED = "feed"
    """The same one: what is known of vulnerabilities has changed."""


class Action(StrEnum):
    """What a policy's rule wants of a finding."""

    STOP = "stop"
    WARN = "warn"
    GO = "go"


class Finding(msgspec.Struct, frozen=True):
    """One row of an evaluation: which rule, what it wants, what it saw."""

    gate: str
    trigger: str
    trigger_id: str
    action: Action
    message: str


class Question(msgspec.Struct, frozen=True):
    """What is asked of a scanner, apart from the image: whose policy, and how much."""

    account: str = ""
    """Empty: the account of the credentials."""
    policy: str = ""
    """A policy's id; empty: the account's active one."""
    requirement: str = "policy"
    scanner: str = "anchore"
    """The name by which webhooks and workers know one scanner from another."""

    @property
    def label(self) -> str:
        """One text for keys: two questions never share a label."""
        return "|".join(_escape(part) for part in msgspec.structs.astuple(self))


class Subject(msgspec.Struct, frozen=True):
    """The manifest that a verdict belongs to."""

    repository: str
    digest: str
    tag: str | None = None
    """The tag that a worker saw name the digest, or none."""

    @property
    def scan_tag(self) -> str:
        """The full tag under which a scanner is asked about it.

        Without a tag of its own a digest is submitted under one that nobody can choose, so
        that the author of a pod never picks a policy's mapping (behaviour.md 2).
        """
        tag = self.tag or f"imagegate-sha256-{self.digest.removeprefix('sha256:')[:12]}"
        return f"{self.repository}:{tag}"

    @classmethod
    def scanned_as(cls, repository: str, tag: str, digest: str) -> "Subject":
        """Which subject a scanner speaks of that names `digest` by `repository:tag`: the way back
        from `scan_tag`."""
        untagged = cls(repository, digest)
        if untagged.scan_tag == f"{repository}:{tag}":
            return untagged
        return cls(repository, digest, tag)


class Verdict(msgspec.Struct, frozen=True):
    """What a policy says of one manifest."""

    subject: Subject
    question: Question
    outcome: Outcome
    evaluated_at: int
    """When the scanner's own answer says that it was evaluated (ms); `order` goes by it."""
    findings: tuple[Finding, ...] = ()
    findings_dropped: int = 0
    policy_id: str = ""
    revision: str = ""
    """SHA-256 of the canonical bundle that the answer named."""
    evaluation_id: str = ""
    turned_at: int | None = None
    """When a fail replaced a pass of the same digest."""
    turned_by: Turn | None = None
    """And by what."""
    error: ErrorKind | None = None
    message: str = ""
    scan_id: str = ""
    why: Why = Why.ADMISSION
    """Who wanted the scan that it came of; for show, nothing is decided by it."""
    beside: bool = False
    """Of an error: a pass or fail of the same manifest was there when it was written."""
    stretched: int = 0
    """Milliseconds for which a pass or fail is fresh where the scanner's rate carries no sooner
    refresh of all that is in use; 0: as long as usual."""

    @property
    def order(self) -> int:
        """What says which of two verdicts counts (ms): the greater.

        A scanner may tell whole seconds (Anchore Engine does): of a pass and a fail of one time
        nobody knows which came last, so the fail does (docs/adr/0033).
        """
        return self.evaluated_at + (self.outcome is Outcome.FAIL)

    @property
    def fresh_for(self) -> int:
        """Milliseconds after `evaluated_at` in which nothing need be asked again."""
        if self.outcome is Outcome.ERROR:
            return FRESH_ERROR[self.error or ErrorKind.TRANSIENT]
        usual = FRESH_PASS if self.outcome is Outcome.PASS else FRESH_FAIL
        return max(usual, min(self.stretched, MAX_FRESH))

    @property
    def ends_at(self) -> int:
        """When the record itself ends: no verdict outlives `max_age`, no error its freshness.

        An error beside a verdict stays as long as that may: it tells that asking again was tried.
        As an answer it counts no longer than others do (`stale`).
        """
        if self.outcome is Outcome.ERROR and not self.beside:
            return self.evaluated_at + self.fresh_for
        return self.evaluated_at + MAX_AGE

    @property
    def stale_at(self) -> int:
        """From when on it is asked again, behind the answer."""
        return self.evaluated_at + self.fresh_for

    @property
    def renew_at(self) -> int:
        """From when on a worker asks again before it is stale, while it is in use."""
        spread = crc32(f"{self.subject.digest}|{self.question.label}".encode()) / 2**32
        part = RENEWED_FROM + (RENEWED_TO - RENEWED_FROM) * spread
        return self.evaluated_at + round(part * self.fresh_for)

    def stale(self, now: int) -> bool:
        """Whether it is time to ask again; an error that is stale is no answer any more."""
        return now >= self.stale_at

    @property
    def stops(self) -> tuple[Finding, ...]:
        """The findings that made it fail."""
        return tuple(finding for finding in self.findings if finding.action is Action.STOP)

    @property
    def warns(self) -> tuple[Finding, ...]:
        """The findings that a policy only warns about."""
        return tuple(finding for finding in self.findings if finding.action is Action.WARN)


class Evaluation(msgspec.Struct, frozen=True):
    """A scanner's answer as it stands, before we believe it."""

    status: str
    """`pass` or `fail` as the scanner says."""
    final_action: str
    digests: tuple[str, ...]
    """Every digest the answer says it is about."""
    tag: str
    policy_id: str
    mapped: bool
    """Whether a mapping rule of the bundle matched."""
    problems: tuple[str, ...]
    findings: tuple[Finding, ...]
    evaluated_at: int
    revision: str
    evaluation_id: str = ""
    asks_from: bool = False
    """Whether the policy has a rule on the Dockerfile's FROM line, and no finding says that the
    Dockerfile is missing."""


class DoubtKind(StrEnum):
    """What about an evaluation must not be believed."""

    PROBLEMS = "problems"
    """The scanner says so, or its answer lacks something or contradicts itself."""
    NOT_BELIEVED = "not_believed"
    OTHER_IMAGE = "other_image"
    OTHER_TAG = "other_tag"
    OTHER_POLICY = "other_policy"
    NO_MAPPING = "no_mapping"


class Doubt(msgspec.Struct, frozen=True):
    """Why a scanner's answer must not be believed."""

    kind: DoubtKind
    text: str


def judge(
    subject: Subject, question: Question, evaluation: Evaluation, *, scan_id: str = ""
) -> Verdict:
    """Turn a scanner's answer into a verdict: error unless it is about what was asked.

    Closes the doors that an Engine leaves open (docs/design/anchore-engine.md 5): it says
    `pass` when no mapping matched, for a tag that is not the digest's, and `fail` with
    evaluation problems when its own code failed.
    """
    doubt = doubt_of(subject, question, evaluation)
    # What stops comes first: it is never dropped for what only warns.
    findings = sorted(evaluation.findings, key=lambda finding: finding.action is not Action.STOP)
    kept = tuple(findings[:MAX_FINDINGS])
    return Verdict(
        subject=subject,
        question=question,
        outcome=Outcome.ERROR if doubt else Outcome(evaluation.status),
        evaluated_at=evaluation.evaluated_at,
        findings=() if doubt else kept,
        findings_dropped=0 if doubt else len(findings) - len(kept),
        policy_id=evaluation.policy_id,
        revision=evaluation.revision,
        evaluation_id=evaluation.evaluation_id,
        error=ErrorKind.UNTRUSTED if doubt else None,
        message=doubt.text[:MAX_MESSAGE] if doubt else "",
        scan_id=scan_id,
    )


def doubt_of(subject: Subject, question: Question, evaluation: Evaluation) -> Doubt | None:
    """Why the answer must not be believed; None when it may."""
    if evaluation.problems:
        why = "; ".join(evaluation.problems)
        return Doubt(DoubtKind.PROBLEMS, f"the scanner could not evaluate the policy: {why}")
    contradiction = _contradiction(evaluation)
    if contradiction:
        return Doubt(DoubtKind.NOT_BELIEVED, contradiction)
    answered = "the scanner answered about"
    if evaluation.digests != (subject.digest,):
        named = ", ".join(evaluation.digests) or "no digest"
        return Doubt(DoubtKind.OTHER_IMAGE, f"{answered} {named} instead of {subject.digest}")
    if evaluation.tag != subject.scan_tag:
        text = f"{answered} the tag {evaluation.tag} instead of {subject.scan_tag}"
        return Doubt(DoubtKind.OTHER_TAG, text)
    if question.policy and evaluation.policy_id != question.policy:
        text = f"the scanner used policy {evaluation.policy_id} instead of {question.policy}"
        return Doubt(DoubtKind.OTHER_POLICY, text)
    if not evaluation.mapped:
        text = (
            f"no mapping of policy {evaluation.policy_id} matches {subject.scan_tag}: "
            "add a mapping for it to the policy"
        )
        return Doubt(DoubtKind.NO_MAPPING, text)
    return None


def error_verdict(
    subject: Subject,
    question: Question,
    *,
    kind: ErrorKind,
    message: str,
    now: int,
    scan_id: str = "",
) -> Verdict:
    """The record of an image that could not be judged."""
    return Verdict(
        subject=subject,
        question=question,
        outcome=Outcome.ERROR,
        evaluated_at=now,
        error=kind,
        message=message[:MAX_MESSAGE],
        scan_id=scan_id,
    )


def unresolved(reference: ImageReference) -> Subject:
    """Stands for a reference whose digest could not be had, under which its error is kept.

    A digest that could not be asked about is kept without its tag: nobody saw it name it.
    """
    if reference.digest is not None:
        return Subject(reference.repository, reference.digest)
    return Subject(reference.repository, "", reference.tag)


def verdict_key(subject: Subject, question: Question) -> str:
    """The store's key of a verdict."""
    return f"verdict:{_coordinates(subject, question)}"


def judged_by(key: str) -> tuple[Subject, str] | None:
    """Of the key of a verdict whose it is, and the label of its question; None of any other key."""
    kind, _, coordinates = key.partition(":")
    manifest, bar, label = coordinates.partition("|")
    repository, at, named = manifest.partition("@")
    digest, _, tag = named.partition("#")
    if kind != "verdict" or not at or not bar:
        return None
    return Subject(repository, digest, tag or None), label


def last_error_key(subject: Subject, question: Question) -> str:
    """The store's key of the error beside a verdict; an error never replaces a pass or fail."""
    return f"error:{_coordinates(subject, question)}"


def scan_key(subject: Subject, question: Question) -> str:
    """The key of the scan record: one chain of checks for a digest and a question."""
    return f"scan:{_coordinates(subject, question)}"


def _coordinates(subject: Subject, question: Question) -> str:
    return f"{subject.repository}@{subject.digest}#{subject.tag or ''}|{question.label}"


def _escape(part: str) -> str:
    return part.replace("%", "%25").replace("|", "%7C")


def _contradiction(evaluation: Evaluation) -> str:
    """What of the outcome cannot be; empty when it can."""
    if evaluation.status not in (Outcome.PASS, Outcome.FAIL):
        return f"the scanner answered with the unknown status {evaluation.status!r}"
    if evaluation.final_action not in tuple(Action):
        return f"the scanner answered with the unknown final action {evaluation.final_action!r}"
    if (evaluation.status == Outcome.FAIL) != (evaluation.final_action == Action.STOP):
        return (
            f"the scanner's status {evaluation.status!r} does not fit "
            f"its final action {evaluation.final_action!r}"
        )
    return ""
