"""What is asked about the image of a pod that runs: of its rules, as far as a cluster tells.

Who made a pod is not known any more: of rules about users each one may have been the one that
decided, and so may one whose namespace's labels are not known.
"""

from collections.abc import Iterator, Mapping

from shared.domain.reference import ImageReference
from shared.domain.rules import MAX_QUESTIONS, Match, Rule, Rules
from shared.domain.scope import Occasion
from shared.domain.verdict import Question


def questions_of(
    rules: Rules, reference: ImageReference, where: Occasion, *, scanner: str
) -> tuple[Question, ...]:
    """The questions under which a review may have looked it up, at most MAX_QUESTIONS;
    `where.user` is left out of account."""
    able = [*_deciding(rules, reference, where), *_adding(rules, reference, where)]
    asked = dict.fromkeys(rule.question(scanner=scanner) for rule in able if rule.asks)
    return tuple(asked)[:MAX_QUESTIONS]


def _deciding(rules: Rules, reference: ImageReference, where: Occasion) -> Iterator[Rule]:
    """Those that may decide: until one is certain to."""
    for rule in rules.rules:
        if rule.match.by_author or not _may_be_about(rule.match, reference, where):
            continue
        yield rule
        if not rule.match.users and _labelled(rule.match, where.namespace_labels):
            return
    yield rules.default


def _adding(rules: Rules, reference: ImageReference, where: Occasion) -> Iterator[Rule]:
    for rule in rules.rules:
        match = rule.match
        if (
            match.by_author
            and _may_be_about(match, reference, where)
            and (not match.kinds or where.kind in match.kinds)
            and _hold(match.labels, where.labels)
            and _hold(match.annotations, where.annotations)
        ):
            yield rule


def _may_be_about(match: Match, reference: ImageReference, where: Occasion) -> bool:
    return (
        (not match.namespaces or any(glob.matches(where.namespace) for glob in match.namespaces))
        and (not match.images or any(image.matches(reference) for image in match.images))
        and (where.namespace_labels is None or _labelled(match, where.namespace_labels))
    )


def _labelled(match: Match, labels: Mapping[str, str] | None) -> bool:
    """Whether the namespace's labels are known to fit."""
    return not match.namespace_labels or (
        labels is not None and _hold(match.namespace_labels, labels)
    )


def _hold(wanted: tuple[tuple[str, str], ...], there: Mapping[str, str]) -> bool:
    return all(there.get(key) == value for key, value in wanted)
