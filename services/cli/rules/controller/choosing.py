"""What one selector is about, in the words of a rule's `match`: what surely, and what else perhaps.

By its source (`validation/configuration.go`, `validation/resource_selector.go`): `resource` looks
at labels and annotations of the object under review, `namespace` at those of its namespace, and
both at the name if the expression for the key is just `name`; whatever else looks at the image.
"""

import re
from collections.abc import Mapping
from itertools import product

import msgspec

from services.cli.rules.controller.areas import About, Area, images_of, namespaces_of
from services.cli.rules.controller.files import Selector
from services.cli.rules.controller.regexes import Reading, read_regex
from shared.domain.label import LABEL_KEY, LABEL_VALUE

Words = Mapping[str, object]
"""A `match` as it is written; empty: every image."""

RESOURCE, NAMESPACE, POD = "resource", "namespace", "pod"

_WILD = frozenset("*?")
_KEY, _VALUE = re.compile(LABEL_KEY), re.compile(LABEL_VALUE)

NAMES_ONLY = (
    "only its name is compared: the controller also compared the namespace's labels and "
    "annotations whose key has `name` in it. Look: kubectl get namespaces -o yaml"
)
LABELS_ONLY = (
    "rules read a namespace's labels, the controller its annotations too: where it is an "
    "annotation, make a label of it"
)
OF_PODS = (
    "it is read from pods and pod templates, the controller read it from a Deployment itself as "
    "well: put it on the template"
)
POD_WORD = (
    "`pod` is of releases before 0.3.0; later ones compare the value with the image, so both add"
)
DOTS = (
    "a dot without a backslash stands for any sign, a slash too: where just a dot is meant, write "
    "`\\.` and import again"
)
NOT_EXACT = "a rule cannot say just what these expressions match"
ANYWHERE = "not anchored by ^ and $, it matches more keys and values than the one that is named"
TAGS = (
    "it may match by a tag, which chooses nothing here (any can be made up beside a digest), or "
    "not in every spelling of an image"
)


class Chosen(msgspec.Struct, frozen=True):
    """What a selector is about."""

    everything: bool = False
    surely: tuple[Words, ...] = ()
    """What it surely matches, and its author cannot write."""
    by_author: tuple[Words, ...] = ()
    """What it surely matches by labels or annotations of pods."""
    perhaps: tuple[Words, ...] = ()
    """What it may match beyond: all of that, or nothing."""
    why_perhaps: str = ""
    doubts: tuple[str, ...] = ()
    """What differs in places that no rule can be about."""
    notes: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether it can match nothing at all."""
        found = self.surely or self.by_author or self.perhaps or self.doubts
        return not (self.everything or found)


def chosen_by(selector: Selector) -> Chosen:
    """What `selector` is about."""
    value = read_regex(selector.value)
    if selector.kind == NAMESPACE:
        return _of_namespace(selector, value)
    if selector.kind in (RESOURCE, POD):
        return _of_object(selector, value)
    return _of_image(value)


def _of_image(value: Reading) -> Chosen:
    about = images_of(value)
    if about.surely.everything:
        return Chosen(everything=True)
    why = TAGS if value.exact else NOT_EXACT
    dotted = any("?" in pattern for pattern in about.surely.patterns)
    return _placed("images", about, why, notes=(DOTS,) if dotted else ())


def _of_namespace(selector: Selector, value: Reading) -> Chosen:
    if _is_name(selector):
        about = namespaces_of(value)
        if about.surely.everything:
            return Chosen(everything=True)
        return _placed("namespaces", about, NOT_EXACT, doubts=(NAMES_ONLY,))
    key = read_regex(selector.key)
    pairs = _pairs(key, value)
    anywhere = not (key.literals and value.literals)
    return Chosen(
        surely=tuple(
            {"namespaceLabels": {name: text}} for name, text in pairs if _VALUE.fullmatch(text)
        ),
        perhaps=({},) if anywhere else (),
        why_perhaps=_why(key, value),
        doubts=(LABELS_ONLY,) if pairs and not anywhere else (),
    )


def _of_object(selector: Selector, value: Reading) -> Chosen:
    if _is_name(selector) and value.exact and "*" in value.globs:
        return Chosen(everything=True)
    key = read_regex(selector.key)
    pairs = _pairs(key, value)
    # The key `name`, of which the name is compared too, is not anchored, so it is anywhere.
    anywhere = not (key.literals and value.literals)
    written: list[Words] = [
        {"labels": {name: text}} for name, text in pairs if _VALUE.fullmatch(text)
    ]
    written += [{"annotations": {name: text}} for name, text in pairs]
    perhaps = [Area(everything=True)] if anywhere else []
    if selector.kind == POD:
        perhaps.append(images_of(value).perhaps)
    return Chosen(
        by_author=tuple(written),
        perhaps=_words("images", perhaps),
        why_perhaps=_why(key, value) if anywhere else POD_WORD,
        doubts=(OF_PODS,) if written else (),
        notes=(POD_WORD,) if selector.kind == POD else (),
    )


def _is_name(selector: Selector) -> bool:
    return selector.key.lower() == "name"


def _placed(
    word: str,
    about: About,
    why: str,
    *,
    doubts: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Chosen:
    same = set(about.surely.patterns) == set(about.perhaps.patterns)
    exact = same and not about.perhaps.everything
    return Chosen(
        surely=_words(word, [about.surely]),
        perhaps=() if exact else _words(word, [about.perhaps]),
        why_perhaps=why,
        doubts=doubts,
        notes=notes,
    )


def _words(word: str, areas: list[Area]) -> tuple[Words, ...]:
    if any(area.everything for area in areas):
        return ({},)
    return tuple({word: list(area.patterns)} for area in areas if area.patterns)


def _why(key: Reading, value: Reading) -> str:
    cores = key.exact and value.exact and _cores(key) and _cores(value)
    return ANYWHERE if cores else NOT_EXACT


def _pairs(key: Reading, value: Reading) -> list[tuple[str, str]]:
    """Pairs that are surely matched: a text that stands alone in its expression is such."""
    if not (key.exact and value.exact):
        return []
    pairs = product(_cores(key), _cores(value))
    return [(name, text) for name, text in pairs if _KEY.fullmatch(name)]


def _cores(reading: Reading) -> list[str]:
    """The texts between the wildcards at the ends of globs that have none inside."""
    cores = {glob: glob.removeprefix("*").removesuffix("*") for glob in reading.globs}
    named = [core for glob, core in cores.items() if (core or not glob) and not set(core) & _WILD]
    return list(dict.fromkeys(named))
