"""Which rules an object's images fall under: by the file alone, no server is asked."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from services.cli.defaults import with_defaults
from services.cli.reviews import Asker, kind_of, resource_of, review_of
from services.cli.scans import name_of
from services.webhook.images import Case, Ruled, Shape, cases_of, shape_of
from services.webhook.objects import author_of, is_advice, places_to_judge
from services.webhook.terms import Terms
from shared.domain.review import AdmissionRequest, decode_review
from shared.domain.rules import Mode
from shared.domain.scope import Occasion, RuleBook, Scope
from shared.domain.workload import labels_and_annotations


class Tried(msgspec.Struct, frozen=True):
    """One image of an object under one rule."""

    object: str
    place: str
    """`containers/web`."""
    image: str
    rule: str
    """Empty where none could be found for it."""
    mode: str
    adds: bool = False
    """It does not decide, its demand comes on top."""
    asks: str = ""
    """What has to hold: `policy prod-bundle of account payments`, `analysed`."""
    pinned: bool = False
    """Whether /mutate replaces its tag by a digest."""
    says: str = ""
    """What is said of it without asking anybody."""
    exceptions: tuple[str, ...] = ()
    """Those that are about it and hold now: each `findings, of owner`."""


class Setting(msgspec.Struct, frozen=True):
    """What of a review the object itself does not say."""

    namespace: str
    user: str
    namespace_labels: Mapping[str, str] | None = None
    """None: as where the Kubernetes API does not tell."""


def try_object(
    content: Mapping[str, Any],
    *,
    title: str,
    book: RuleBook,
    setting: Setting,
    terms: Terms,
    now: int,
) -> list[Tried] | None:
    """Each image of the object with its rules; None for a kind that is not judged.

    `terms` are those of the webhooks; `now` in milliseconds. Raises ImagegateError for an object
    that would be refused unread.
    """
    read = tried_places(content, book=book, setting=setting)
    if read is None:
        return None
    request, places = read
    scope = scope_of(request, book, setting)
    found = []
    for shape, place in places:
        cases = cases_of(shape, scope, book.rules, scanner=terms.scanner, now=now)
        found += [
            _tried(
                case,
                shape[0],
                place,
                title,
                scope,
                terms=terms,
                advice=is_advice(request),
                now=now,
            )
            for case in cases
        ]
    return found


def tried_places(
    content: Mapping[str, Any], *, book: RuleBook, setting: Setting
) -> tuple[AdmissionRequest, list[tuple[Shape, str]]] | None:
    """The request that creates the object, and each image with its place (`containers/web`); None
    for a kind that is not judged. Raises ImagegateError for what would be refused unread."""
    if resource_of(kind_of(content)) is None:
        return None
    filled = with_defaults(content, namespace=setting.namespace)
    review = review_of(filled, asker=Asker(setting.user))
    request = decode_review(json.dumps(review).encode())
    places = places_to_judge(request)
    if is_advice(request):
        places = [place for place in places if place.image not in book.rules.placeholders]
    return request, [(shape_of(place), f"{place.where}/{place.name}") for place in places]


def scope_of(request: AdmissionRequest, book: RuleBook, setting: Setting) -> Scope:
    """What holds for the images of the request's object."""
    return book.scope(_occasion(request, setting))


def _occasion(request: AdmissionRequest, setting: Setting) -> Occasion:
    labels, annotations = labels_and_annotations(author_of(request))
    return Occasion(
        namespace=request.namespace,
        user=setting.user,
        kind=request.kind.kind,
        labels=labels,
        annotations=annotations,
        namespace_labels=setting.namespace_labels,
    )


def _tried(
    case: Case | Ruled,
    written: str,
    place: str,
    title: str,
    scope: Scope,
    *,
    terms: Terms,
    advice: bool,
    now: int,
) -> Tried:
    reference = case.image.reference if isinstance(case, Case) else case.judgement.reference
    held = [
        f"{', '.join(each.findings)}, of {each.owner}"
        for each in scope.exceptions
        if reference is not None and each.counts(now) and each.is_about(reference)
    ]
    tagged = reference is not None and reference.digest is None
    return Tried(
        object=title,
        place=place,
        image=written,
        rule=case.rule.name,
        mode=str(case.rule.mode) if case.rule.name else "",
        adds=case.rule.match.by_author,
        asks=asks_of(case),
        pinned=tagged and terms.pins(case.rule, workload=advice),
        says=_says(case),
        exceptions=tuple(held),
    )


def asks_of(case: Case | Ruled) -> str:
    """What has to hold, in words; empty where nobody is asked."""
    return name_of(case.image.question) if isinstance(case, Case) else ""


def _says(case: Case | Ruled) -> str:
    if isinstance(case, Case):
        return ""
    if case.judgement.message:
        return case.judgement.message
    return "allowed unseen" if case.rule.mode is Mode.ALLOW else ""
