"""What a selector is about, in the patterns of rules: what surely, and what perhaps.

The controller compares an image as the pod writes it, rules compare it as it is normalised: what
one spelling of an image matches is matched here, since whoever writes a pod chooses the spelling.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from math import prod

import msgspec

from services.cli.rules.controller.regexes import Reading
from shared.domain.glob import ANY_PARTS, Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.namespace_pattern import namespace_pattern
from shared.domain.reference import DEFAULT_HOST

MAX_PATTERNS = 64
"""Of one selector; one that would need more is taken to be about everything, perhaps."""

_EVERYTHING = ("*", "*?*", "?*", "*?")
"""Globs that fit whatever is not empty."""


class Area(msgspec.Struct, frozen=True):
    """Patterns of images or of namespaces; or everything."""

    patterns: tuple[str, ...] = ()
    everything: bool = False


EVERYTHING = Area(everything=True)
NOTHING = Area()


class _TooMany(Exception):
    pass


class About(msgspec.Struct, frozen=True):
    """Two areas: what a selector surely matches lies in what it perhaps does."""

    surely: Area
    perhaps: Area


def images_of(reading: Reading) -> About:
    """Images; no more than repositories, since a tag or a digest can stand behind each."""
    heads = [head for glob in reading.globs for head in _repositories(glob)]
    try:
        perhaps = _images(heads, _in_any_spelling)
        return About(
            _images(reading.globs, _whatever_follows) if reading.exact else NOTHING, perhaps
        )
    except _TooMany:
        return About(NOTHING, EVERYTHING)


def namespaces_of(reading: Reading) -> About:
    """Namespaces by their names."""
    if any(glob in _EVERYTHING for glob in reading.globs):
        perhaps = EVERYTHING
    else:
        perhaps = Area(tuple(filter(_names_a_namespace, reading.globs)))
    return About(perhaps if reading.exact else NOTHING, perhaps)


def _names_a_namespace(glob: str) -> bool:
    try:
        namespace_pattern(glob)
    except ValueError:
        return False
    return True


def _repositories(glob: str) -> Iterator[str]:
    """What of it may be left for the repository, where the rest of it fits a tag or a digest."""
    yield glob
    for at, sign in enumerate(glob):
        if sign in ":@?*" and "/" not in glob[at + 1 :]:
            yield glob[: at + (sign == "*")]


def _images(globs: Iterable[str], spelt: Callable[[str], Iterable[str]]) -> Area:
    found: dict[str, ImagePattern] = {}
    for glob in globs:
        if glob in _EVERYTHING:
            return EVERYTHING
        for text in spelt(glob):
            if set(text.split("/")) == {ANY_PARTS}:
                return EVERYTHING
            pattern = _pattern(text)
            if pattern is not None:
                found[text] = pattern
        if len(found) > MAX_PATTERNS:
            raise _TooMany
    return Area(tuple(_widest(found)))


def _widest(found: dict[str, ImagePattern]) -> list[str]:
    """Without those that are contained in another."""
    return [
        text
        for text, pattern in found.items()
        if not any(
            other.contains(pattern) and not (pattern.contains(other) and text <= name)
            for name, other in found.items()
            if name != text
        )
    ]


def _pattern(text: str) -> ImagePattern | None:
    """None for what no image can fit, as with capital letters, and for what names a tag."""
    try:
        pattern = ImagePattern(text)
    except ValueError:
        return None
    return None if pattern.names_a_tag or pattern.names_a_digest else pattern


def _whatever_follows(glob: str) -> Iterator[str]:
    """Those whose every image is matched whatever tag or digest stands behind it."""
    if not glob.endswith("*"):
        return
    for path in _paths(glob):
        yield path
        yield from _on_the_default_host(path)
        first, _, below = path.partition("/")
        if not below and first != ANY_PARTS:
            yield f"{DEFAULT_HOST}/library/{first}"
        elif below and not set(first) & set("*?.:") and first != "localhost":
            yield f"{DEFAULT_HOST}/{path}"


def _in_any_spelling(glob: str) -> Iterator[str]:
    """Those, too, that are normalised to more than what is written."""
    for path in _paths(glob.lower()):
        yield path
        yield from _on_the_default_host(path)
        first, _, below = path.partition("/")
        if first == ANY_PARTS:
            continue
        if not below:
            yield f"{DEFAULT_HOST}/library/{first}"
        elif not set(first) & set(".:") and first != "localhost":
            yield f"{DEFAULT_HOST}/{path}"


def _on_the_default_host(path: str) -> Iterator[str]:
    """`docker.io/nginx` is normalised to `docker.io/library/nginx`."""
    first, _, below = path.removeprefix(f"{ANY_PARTS}/").partition("/")
    if below and any(Glob(first).matches(f"{sub}{DEFAULT_HOST}") for sub in ("", "index.")):
        yield f"{DEFAULT_HOST}/{below}"
        if "/" not in below:
            yield f"{DEFAULT_HOST}/library/{below}"


def _paths(glob: str) -> Iterator[str]:
    """Globs of paths for a glob whose wildcards cross slashes."""
    choices = [_choices(glob, at) for at in range(len(glob))]
    if prod(map(len, choices)) > MAX_PATTERNS:
        raise _TooMany
    for signs in product(*choices):
        yield "".join(signs)


def _choices(glob: str, at: int) -> tuple[str, ...]:
    """What a sign may stand for: a wildcard for a slash, or for what has slashes in it, too."""
    sign, before, behind = glob[at], glob[:at], glob[at + 1 :]
    if sign == "?":
        return ("?", "/")
    if sign != "*":
        return (sign,)
    if not before:
        if behind.startswith("/"):
            return (ANY_PARTS,)
        # A port stands in the first part only, where ** has room for none.
        return ("*", "**/*") if ":" in behind.partition("/")[0] else ("**/*",)
    if not behind:
        return (ANY_PARTS,) if before.endswith("/") else ("*", "*/**")
    return ("*", "*/**/*")
