"""Rules for tests, and pods that are asked about under them over the real wire."""

from typing import Any

import msgspec

from services.worker.ledger import Ledger
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import ImageReference
from shared.domain.rules import Match, Mode, PolicyChoice, Rule, Tags
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.house import Answer, House, pod, review_of
from tests.waiting import eventually

SOME = "registry.test/team/app:1"
ENFORCE = Rule(tags=Tags.ALLOW)
DENIED = Rule("denied", mode=Mode.DENY)
ALLOWED = Rule("default", mode=Mode.ALLOW)
STRICT = PolicyChoice(id="strict")


def under(rule: Rule, *, name: str = "", **match: Any) -> Rule:
    """The rule for what is named."""
    return msgspec.structs.replace(rule, name=name or rule.name, match=Match(**match))


def globs(*patterns: str) -> tuple[Glob, ...]:
    return tuple(map(Glob, patterns))


def images(*patterns: str) -> tuple[ImagePattern, ...]:
    return tuple(map(ImagePattern, patterns))


def here(name: str) -> tuple[ImagePattern, ...]:
    """A path in the registry of the test, wherever that answers."""
    return images(f"127.0.0.1:*/{name}")


def push(home: House, name: str = "team/app:1") -> ImageReference:
    """A new image, by its digest."""
    content = tiny_image(config={"Labels": {"name": name}})
    reference = home.registry.put(content, name)
    return msgspec.structs.replace(reference, digest=content.digest)


async def ask(
    home: House,
    *of: str,
    namespace: str = "team",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **more: Any,
) -> Answer:
    """A pod of these images is created there; asked until nothing is pending."""
    content = pod(*of)
    content["metadata"] |= {"namespace": namespace, "labels": labels, "annotations": annotations}
    review = review_of(content, **more)
    review["request"]["namespace"] = namespace
    return await home.asked_until(review, lambda answer: answer.code != 429)


def rule_of(answer: Answer) -> str:
    return str(answer.response["auditAnnotations"]["rule"])


def warnings(answer: Answer) -> list[str]:
    return list(answer.response.get("warnings", ()))


async def judged(home: House, image: ImageReference, **asked: Any) -> None:
    """Wait until a verdict is there, where a rule lets the pod pass before."""

    async def known() -> bool:
        answer = await ask(home, str(image), **asked)
        return bool(answer.response["auditAnnotations"]["decision"] != "pending")

    await eventually(known)


def ledger(home: House) -> Ledger:
    sealer = PlainSealer()
    store = home.backends.store
    return Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())


def failed(image: ImageReference, *triggers: str, turned_at: int | None = None) -> Verdict:
    """A fail of this moment, with these findings that stop."""
    found = [Finding("g", "t", trigger, Action.STOP, f"{trigger} found") for trigger in triggers]
    subject = Subject(image.repository, str(image.digest), image.tag)
    return Verdict(
        subject,
        Question(),
        Outcome.FAIL,
        SystemClock().now(),
        tuple(found),
        policy_id="strict",
        turned_at=turned_at,
    )
