"""Matches: which images of which objects a rule is about."""

import re
from collections.abc import Callable

from shared.adapters.rules_file.strict_yaml import Made, Value, items_of
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.label import LABEL_KEY, LABEL_VALUE
from shared.domain.namespace_pattern import namespace_pattern
from shared.domain.pod_template import WORKLOADS
from shared.domain.rules import Match

KEYS = ("namespaces", "namespaceLabels", "images", "users", "labels", "annotations", "kinds")
KINDS = ("Pod", *(kind for _, _, kind in WORKLOADS))

_LABEL_KEY = re.compile(LABEL_KEY)
_LABEL_VALUE = re.compile(LABEL_VALUE)

Pairs = tuple[tuple[str, str], ...]


def match_of(value: Value, *, tags: bool) -> Match:
    """A match that says something. `tags`: whether its images may be told by tags."""
    fields = value.fields(valid=KEYS)
    if not fields:
        raise value.wrong("names nothing; what holds for all that no rule matches is `default`")
    return Match(
        namespaces=_patterns(fields.get("namespaces"), namespace_pattern),
        namespace_labels=_labels(fields.get("namespaceLabels")),
        images=_images(fields.get("images"), tags=tags),
        users=_patterns(fields.get("users"), Glob),
        labels=_labels(fields.get("labels")),
        annotations=_annotations(fields.get("annotations")),
        kinds=tuple(item.one_of(KINDS) for item in items_of(fields.get("kinds"))),
    )


def _images(value: Value | None, *, tags: bool) -> tuple[ImagePattern, ...]:
    patterns = _patterns(value, ImagePattern)
    for item, image in zip(items_of(value), patterns, strict=True):
        if image.names_a_tag and not tags:
            raise item.wrong(
                f"{image.pattern!r} names a tag, which only a rule of mode deny may: beside a "
                "digest a tag can be made up. Name the repository or the digest"
            )
    return patterns


def _patterns(value: Value | None, compiled: Callable[[str], Made]) -> tuple[Made, ...]:
    return tuple(item.made(compiled) for item in items_of(value))


def _labels(value: Value | None) -> Pairs:
    pairs = _pairs(value)
    for _, item in pairs:
        if not _LABEL_VALUE.fullmatch(item.text(empty=True)):
            raise item.wrong(
                f"{item.raw[:100]!r} is no label's value: at most 63 letters, digits, '-', '_' and "
                "'.', a letter or a digit at both ends"
            )
    return tuple((key, item.raw) for key, item in pairs)


def _annotations(value: Value | None) -> Pairs:
    return tuple((key, item.text(empty=True)) for key, item in _pairs(value))


def _pairs(value: Value | None) -> list[tuple[str, Value]]:
    pairs = sorted(value.mapping().items()) if value else []
    for key, item in pairs:
        if not _LABEL_KEY.fullmatch(key):
            raise item.wrong(
                f"{key[:100]!r} is no key of labels and annotations: a name such as tier, with a "
                "domain in front if it has one (team.corp/tier)"
            )
    return pairs
