"""What a rule and the exceptions make of a judgement: a fail may be allowed for a time, and a pass
may still be refused for the tag it came by (docs/design/behaviour.md 1, 2 and 4)."""

from collections.abc import Sequence

import msgspec

from services.webhook.images import Case, Ruled, refused_by_digest
from services.webhook.terms import Terms
from shared.domain.decision import Judgement, State
from shared.domain.exceptions import ImageException, covering
from shared.domain.pointer import FOREVER, SECOND
from shared.domain.reference import ImageReference
from shared.domain.rules import Rule
from shared.domain.scope import Scope
from shared.domain.verdict import Outcome, Verdict

UNSEEN = 10 * SECOND
"""So long after it is known what a tag names, a pod may come that /mutate could not pin: its
registry took longer than /mutate waits, and clocks differ. Later than that /mutate was not called,
or another webhook replaced the image after it."""

ALLOWED = (State.PASS, State.TURNED, State.EXCEPTED)


class Settled(msgspec.Struct, frozen=True):
    """A judgement as it counts, and when time alone changes that (ms)."""

    judgement: Judgement
    until: int = FOREVER


def counted(
    case: Case, judgement: Judgement, scope: Scope, *, terms: Terms, now: int, advice: bool = False
) -> Ruled:
    """What counts of a case's judgement, by which rule and until when: a rule may deny what the
    image stands for, or its own rule and the exceptions settle it. Arguments as of `settle`."""
    refused = refused_by_digest(judgement, scope)
    if refused is not None:
        return refused
    settled = settle(
        judgement, case.rule, terms=terms, exceptions=scope.exceptions, now=now, advice=advice
    )
    return Ruled(settled.judgement, case.rule, settled.until)


def settle(
    judgement: Judgement,
    rule: Rule,
    *,
    terms: Terms,
    exceptions: Sequence[ImageException],
    now: int,
    advice: bool = False,
) -> Settled:
    """What counts at `now` (ms). `advice`: the object is a workload, whose tags its pods pin."""
    settled = Settled(judgement)
    if judgement.state is State.FAIL and judgement.reference is not None:
        settled = _allowed_for_a_time(judgement, judgement.reference, rule, exceptions, now)
    if advice or not _by_tag_alone(judgement) or not terms.wants_digest(rule):
        return settled
    return _by_its_tag(settled, now)


def _allowed_for_a_time(
    judgement: Judgement,
    reference: ImageReference,
    rule: Rule,
    exceptions: Sequence[ImageException],
    now: int,
) -> Settled:
    """Each manifest that failed needs its own reason to run all the same."""
    failed = [verdict for verdict in judgement.verdicts if verdict.outcome is Outcome.FAIL]
    used: dict[ImageException, None] = {}
    until = FOREVER
    turned = False
    for verdict in failed:
        digests = [judgement.digest] if judgement.digest else []
        covers = covering(reference, verdict, exceptions, now=now, digests=digests)
        used.update(dict.fromkeys(covers))
        end = min((exception.expires for exception in covers), default=0)
        if not covers:
            end, turned = _grace_end(verdict, rule), True
        if now >= end:
            return Settled(judgement)
        until = min(until, end)
    # An index that names nothing for this cluster has failed without any verdict.
    if not failed:
        return Settled(judgement)
    if judgement.unjudged is not None:
        others = msgspec.structs.replace(judgement, state=judgement.unjudged, verdicts=())
        return Settled(others, until)
    state = State.TURNED if turned else State.EXCEPTED
    replaced = msgspec.structs.replace(
        judgement, state=state, exceptions=tuple(used), allowed_until=until
    )
    return Settled(replaced, until)


def _grace_end(verdict: Verdict, rule: Rule) -> int:
    """When a fail that replaced a pass is denied (ms)."""
    return (verdict.turned_at + rule.turn_grace) if verdict.turned_at else 0


def _by_tag_alone(judgement: Judgement) -> bool:
    return judgement.reference is not None and judgement.reference.digest is None


def _by_its_tag(settled: Settled, now: int) -> Settled:
    """What would be allowed, or be asked for without end, were it not for the tag it came by.

    /mutate pins at once what a tag is known to name, whatever its registry says now. So a tag that
    has been known for a while proves that /mutate was not called, and trying again is in vain.
    """
    judgement, until = settled.judgement, settled.until
    good = judgement.state in ALLOWED
    unseen_until = judgement.known_since + UNSEEN
    if good and now < unseen_until:
        state, until = State.PENDING, min(until, unseen_until)
    elif good or judgement.state is State.REGISTRY_AWAY or judgement.unresolved:
        state = State.UNPINNED
    else:
        return settled
    return Settled(msgspec.structs.replace(judgement, state=state), until)
