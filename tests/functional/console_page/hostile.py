"""Texts that hurt who shows them carelessly, wherever one can come from outside."""

from collections.abc import Iterator

from shared.domain.errors import ErrorKind
from shared.domain.step import Lane, Step, StepKind, encode_step
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.ports.decisions import DecisionRecord
from shared.ports.presence import Beat
from tests.fakes.sealing import PlainSealer
from tests.functional.console_page.site import Site

TEXTS = (
    "<script>window.hurt = 1</script>",
    "<img src=x onerror='window.hurt = 1'>",
    "\"'><svg onload=window.hurt=1>",
    "javascript:window.hurt=1",
    "</style></template></details><iframe src=http://192.0.2.1/>",
    "\x1b[31mred\x1b[0m\x07\x00",
    "harmless\u202egnp.exe\u2066",
    "zero\u200bwidth\ufeff\u00ad",
    "two\nlines\r\tand\u2028three",
    "a\u0300\u0301\u0302" * 60,
    "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
    "x" * 500,
    "registry.example.com/" + "long-path/" * 45 + "name:tag",
    "${hurt} {{hurt}} %s ' \" \\ `",
)

RAW = "\x1b\x07\x00\u202e\u2066\u200b\ufeff\u00ad\u2028"
"""What must never reach the page as it is."""


async def fill(site: Site, *, now: int) -> None:
    """Every text in every place."""
    await site.decisions.write([_decision(text, now) for text in TEXTS])
    for number, text in enumerate(TEXTS):
        await site.presence.beat(_beat(text, number, now))
        for verdict in _verdicts(text, now):
            await site.put(verdict)
        await site.put(_verdict(f"forged/{text}", now), sealer=PlainSealer(b"another"))
        site.queue.dead.add(Lane.PREWARM, encode_step(_step(text, now)))
        site.queue.dead.add(Lane.CHECK, text.encode())
    site.queue.dead.add(Lane.CHECK, b"\xff\xfe\x00 no text at all")


def _decision(text: str, now: int) -> DecisionRecord:
    return DecisionRecord(
        at=now,
        allowed=False,
        state=text,
        code=403,
        kind=text,
        namespace=text,
        name=text,
        user=text,
        operation=text,
        images=(text, text),
        reason=text,
        rule=text,
        webhook=text,
        times=3,
    )


def _beat(text: str, number: int, now: int) -> Beat:
    return Beat(
        name=f"worker@{number} {text}"[:400],
        service=text[:80],
        version=text[:80],
        started=now,
        away=(text[:80],),
    )


def _verdicts(text: str, now: int) -> Iterator[Verdict]:
    yield _verdict(text, now)
    yield Verdict(
        subject=Subject("registry.example.com/lost", "sha256:" + "e" * 64, text),
        question=Question(policy=text),
        outcome=Outcome.ERROR,
        evaluated_at=now,
        error=ErrorKind.NOT_FOUND,
        message=text,
    )


def _verdict(text: str, now: int) -> Verdict:
    return Verdict(
        subject=Subject(text, "sha256:" + "a" * 64, text),
        question=Question(policy=text),
        outcome=Outcome.FAIL,
        evaluated_at=now,
        findings=tuple(Finding(text, text, text, action, text) for action in Action),
        policy_id=text,
        revision=text,
        scan_id=text,
    )


def _step(text: str, now: int) -> Step:
    return Step(
        id=text,
        kind=StepKind.REQUEST,
        lane=Lane.PREWARM,
        reference=text,
        question=Question(policy=text),
        first_seen=now,
        attempt=8,
        history=(text, text),
    )
