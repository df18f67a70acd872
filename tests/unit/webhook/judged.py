"""Judgements of images, and the decision about a pod that has them."""

from services.webhook.answers import decide as decide_notes
from services.webhook.note import note
from shared.domain.decision import Decision, Judgement, State
from shared.domain.reference import parse_reference
from shared.domain.rules import Rule
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict

NOW = 1_800_000_000_000

RULE = Rule()
GOOD = (State.PASS, State.TURNED, State.EXCEPTED, State.EXEMPT)


def decide(
    judgements: list[Judgement],
    *,
    rule: Rule,
    now: int,
    by_system: bool = True,
    dry_run: bool = False,
    advice: bool = False,
) -> Decision:
    notes = [note(each, rule, now) for each in judgements]
    return decide_notes(notes, now=now, by_system=by_system, dry_run=dry_run, advice=advice)


def finding(action: Action = Action.STOP, message: str = "openssh-server is installed") -> Finding:
    return Finding("packages", "blacklist", "t", action, message)


def verdict(outcome: Outcome, *findings: Finding, age: int = 0) -> Verdict:
    return Verdict(
        subject=Subject("docker.io/library/app", "sha256:" + "a" * 64, "1"),
        question=Question(),
        outcome=outcome,
        evaluated_at=NOW - age,
        findings=findings,
        policy_id="baseline",
        scan_id="s1",
    )


def judgement(state: State, *verdicts: Verdict, image: str = "app:1", **more: object) -> Judgement:
    reference = parse_reference(image) if state is not State.INVALID else None
    return Judgement(
        image=image,
        state=state,
        reference=reference,
        verdicts=verdicts,
        message=str(more.get("message", "")),
        since=NOW - 3_000 if state is State.PENDING else None,
    )
