"""Ordinary decisions, verdicts and dead letters."""

from shared.domain.step import Lane, Step, StepKind, encode_step
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.domain.why import Why
from shared.ports.decisions import DecisionRecord

DIGEST = "sha256:" + "5e5f7427" * 8
PARTICULARS = "packages", "blacklist"


def decision(number: int, *, at: int, allowed: bool = True, reason: str = "") -> DecisionRecord:
    """Of one pod, named by `number`."""
    return DecisionRecord(
        at=at,
        allowed=allowed,
        state="pass" if allowed else "fail",
        code=200 if allowed else 403,
        kind="Pod",
        namespace="team",
        name=f"pod-{number}",
        user="ada@example.org",
        operation="CREATE",
        images=(f"registry.example.com/app:{number}",),
        reason=reason,
        rule="payments",
    )


def verdict(image: str, *, at: int, fails: bool = False, digest: str = DIGEST) -> Verdict:
    """Of an image, `host/path:tag`."""
    repository, _, tag = image.rpartition(":")
    findings = (
        Finding(*PARTICULARS, "openssh", Action.STOP, "Package is blacklisted: openssh-server"),
        Finding(*PARTICULARS, "telnet", Action.WARN, "Package is old: telnet"),
    )
    return Verdict(
        subject=Subject(repository, digest, tag),
        question=Question(),
        outcome=Outcome.FAIL if fails else Outcome.PASS,
        evaluated_at=at,
        findings=findings if fails else (),
        policy_id="production",
        revision="8d1c30e5",
        scan_id="scan-1",
    )


def dead_step(image: str, *, at: int, history: tuple[str, ...] = ()) -> bytes:
    """The message of a step that no attempt could settle."""
    return encode_step(
        Step(
            id="5a3e",
            kind=StepKind.REQUEST,
            lane=Lane.PREWARM,
            reference=image,
            question=Question(),
            first_seen=at - 600_000,
            why=Why.PREWARM,
            attempt=len(history),
            history=history,
        )
    )
