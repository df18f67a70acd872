"""What Anchore's own admission controller asks of an image: an oracle, written after its source.

github.com/anchore/kubernetes-admission-controller, cmd/kubernetes-admission-controller:
`validation/configuration.go` (NewConfiguration, selectObjectMetaForMatching: the first selector
that matches; `resource` the object's metadata, `namespace` its namespace's, all else the image),
`validation/resource_selector.go` (labels, then annotations, then the name if the key's expression
is `name`; regexp.MatchString looks anywhere), `admission/hook.go` (evaluateImage: no selector, no
question; no credentials or no known mode, refused). Before 0.3.0 `pod` was what `resource` is now,
and breakglass let in without credentials.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Demand = tuple[str, str, str]
"""What an image must be, with user and bundle: `never`, `policy`, `analysis`, or `nothing`."""

NEVER: Demand = ("never", "", "")
NOTHING: Demand = ("nothing", "", "")

Route = Literal["label", "annotation", "name", "image"]


class Meta(msgspec.Struct, frozen=True):
    """Metadata of an object or a namespace."""

    name: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class Asked(msgspec.Struct, frozen=True):
    """What the controller asks, because of which selector (from 1; 0: none), found how."""

    demand: Demand
    selector: int = 0
    route: Route | None = None


def asked_by_controller(
    selectors: Sequence[Mapping[str, str]],
    *,
    users: Sequence[str],
    pod: Meta,
    namespace: Meta,
    image: str,
    old: bool = False,
) -> Asked:
    """`selectors`: kind, key, value, mode, user, bundle each. `old`: a release before 0.3.0."""
    for number, each in enumerate(selectors, start=1):
        route = _matches(each, pod=pod, namespace=namespace, image=image, old=old)
        if route is not None:
            return Asked(_demand(each, users, old=old), number, route)
    return Asked(NOTHING)


def _demand(selector: Mapping[str, str], users: Sequence[str], *, old: bool) -> Demand:
    if selector["user"] not in users and not (old and selector["mode"] == "breakglass"):
        return NEVER
    mode, user, bundle = selector["mode"], selector["user"], selector["bundle"]
    known = {
        "policy": ("policy", user, bundle),
        "analysis": ("analysis", user, ""),
        "breakglass": NOTHING,
    }
    return known.get(mode, NEVER)


def _matches(
    selector: Mapping[str, str], *, pod: Meta, namespace: Meta, image: str, old: bool
) -> Route | None:
    kind = selector["kind"]
    if kind == ("pod" if old else "resource"):
        return _matches_meta(selector, pod)
    if kind == "namespace":
        return _matches_meta(selector, namespace)
    return "image" if _found(selector["value"], image) else None


def _matches_meta(selector: Mapping[str, str], meta: Meta) -> Route | None:
    key, value = selector["key"], selector["value"]
    words: tuple[tuple[Route, Mapping[str, str]], ...] = (
        ("label", meta.labels),
        ("annotation", meta.annotations),
    )
    # A name is looked at last; here first, since no rule needs a doubt for what it matches.
    if key.lower() == "name" and _found(value, meta.name):
        return "name"
    for route, texts in words:
        if any(_found(key, name) and _found(value, text) for name, text in texts.items()):
            return route
    return None


def _found(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        # An expression that is none matches nothing: its error is logged.
        return False
