"""What a person reads of an image: why it is as it is, and what would make it pass.

A review's own words, where there was a review: `explain` asks nobody, so that nothing is under way
because of it.
"""

import msgspec

from services.webhook.terms import Terms
from services.webhook.wording import EXPLAIN, allowed_all_the_same, line_of
from shared.domain.decision import Judgement, State
from shared.domain.reference import parse_reference
from shared.domain.rules import Rule

_NOBODY = "-"


def why(judgement: Judgement, now: int) -> str:
    """Why it is so; empty where there is nothing to add."""
    nameless = msgspec.structs.replace(judgement, image=_NOBODY)
    excuses = allowed_all_the_same(nameless)
    if excuses:
        said = "; ".join(map(_without_name, excuses))
    elif judgement.state in (State.PASS, State.EXEMPT):
        said = judgement.message
    elif judgement.unresolved:
        said = f"nobody knows what its tag names: {judgement.message}"
    elif judgement.state is State.PENDING and not judgement.verdicts:
        said = f"not judged yet{': ' if judgement.message else ''}{judgement.message}"
    else:
        said = _without_name(line_of(nameless, now))
    return said.removesuffix(EXPLAIN).rstrip(" .")


def _without_name(line: str) -> str:
    return line.removeprefix(f"image {_NOBODY}: ")


def remedy(judgement: Judgement, rule: Rule, terms: Terms, namespace: str) -> str:
    """What would make it pass."""
    image = judgement.image
    if judgement.digest and "@" not in image:
        named = parse_reference(image)
        image = str(msgspec.structs.replace(named, digest=judgement.digest))
    glass = f"imagegate allow {image} --namespace {namespace} --for 2h --reason '...'"
    return {
        State.FAIL: f"an image without what stops it, another policy, or for a time: {glass}",
        State.ERROR: "what the message names; then it is tried again by itself, at once with "
        f"`imagegate scan {image}`",
        State.PENDING: "a verdict: each review asks for it, and so does, before anybody deploys, "
        f"`imagegate scan {image} --wait`; `imagegate queue` shows what is waited for",
        State.UNPINNED: _digest(judgement, rule, terms),
        State.UNDECIDED: "the labels of the namespace: give them here with --namespace-label",
        State.REFUSED: "another image, or another rule",
        State.INVALID: "a reference such as registry.corp/team/app:1",
    }.get(judgement.state, "`imagegate status` says which part is down")


def _digest(judgement: Judgement, rule: Rule, terms: Terms) -> str:
    if judgement.unresolved:
        return "its registry's answer, which is asked for again by itself, or a digest"
    if terms.pins(rule):
        return "a digest, or imagegate's mutating webhook being called for pods"
    whose = f"of rule {rule.name}" if rule.pin else "of the webhooks (IMAGEGATE_PIN)"
    return (
        f"a digest: `pin: none` {whose} leaves the tag alone, and nothing lets a tag pass; "
        "`tags: allow` in the rule does"
    )
