"""What is asked about the image of a pod that runs: of its rules, as far as a cluster tells.

Who made a pod is not known any more: of rules about users each one may have been the one that
decided, and so may one whose namespace's labels are not known.
"""

from collections.abc import Iterator

from shared.domain.matching import (
    fits_image,
    fits_namespace,
    fits_namespace_labels,
    fits_written,
)
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
        match = rule.match
        if match.by_author or not _may_be_about(match, reference, where):
            continue
        yield rule
        if not match.users and fits_namespace_labels(match, where.namespace_labels):
            return
    yield rules.default


def _adding(rules: Rules, reference: ImageReference, where: Occasion) -> Iterator[Rule]:
    wrote = where.kind, where.labels, where.annotations
    for rule in rules.rules:
        match = rule.match
        able = match.by_author and _may_be_about(match, reference, where)
        if able and fits_written(match, *wrote):
            yield rule


def _may_be_about(match: Match, reference: ImageReference, where: Occasion) -> bool:
    """For what is not known, it may."""
    return (
        fits_namespace(match, where.namespace)
        and fits_image(match, reference)
        and fits_namespace_labels(match, where.namespace_labels) is not False
    )
