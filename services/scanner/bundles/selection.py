"""Which images an entry of a bundle is for: mappings, whitelisted and blacklisted images."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from services.scanner.bundles.problems import Problem
from services.scanner.bundles.shapes import WrittenSelection
from shared.domain.reference import DEFAULT_HOST, ImageReference, parse_reference

_EXACT = {"digest": re.compile(r"sha256:[0-9a-f]{64}"), "id": re.compile(r"[0-9a-f]{64}")}
_FORMS = {"digest": "sha256: and 64 hex digits", "id": "64 hex digits"}
_CHARACTERS = {
    "registry": re.compile(r"[a-z0-9.:*\[\]-]+"),
    "repository": re.compile(r"[a-z0-9._/*-]+"),
    "tag": re.compile(r"[A-Za-z0-9._*-]+"),
}
"""What names of images are made of, and `*`: an entry with anything else is for no image."""


class Subject(msgspec.Struct, frozen=True):
    """The image that is judged, by all its names."""

    fulltag: str
    digest: str
    image_id: str

    @property
    def reference(self) -> ImageReference:
        """Raises InvalidReference."""
        return parse_reference(self.fulltag)


def first_match(entries: Iterable[WrittenSelection], subject: Subject) -> int | None:
    """The place of the first entry that is for the image."""
    image = subject.reference
    for place, entry in enumerate(entries):
        if (
            fits(entry.registry, image.host)
            and fits(entry.repository, image.path)
            and _is_named(entry, subject, image.tag or "")
        ):
            return place
    return None


def fits(pattern: str, text: str) -> bool:
    """`*` stands for anything, nothing included; all else for itself.

    What follows a `*` is taken where it is first found: no pattern takes long.
    """
    begin, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, end = rest
    if not text.startswith(begin) or len(text) < len(begin) + len(end):
        return False
    place, last = len(begin), len(text) - len(end)
    for piece in middle:
        found = text.find(piece, place, last)
        if found < 0:
            return False
        place = found + len(piece)
    return text.endswith(end)


def selection_problems(entry: WrittenSelection, where: str) -> Iterator[Problem]:
    """What can match nothing, or is of a form that is not known."""
    kind, value = entry.image.type, entry.image.value
    patterns = [("registry", entry.registry), ("repository", entry.repository)]
    if kind == "tag":
        patterns.append(("tag", value))
    elif kind not in _EXACT:
        yield _problem(f"image type {kind!r} is none of tag, digest and id", where)
    elif not _EXACT[kind].fullmatch(value):
        # Engine compares these as they are: a pattern would never match, and deny nothing.
        yield _problem(f"image {kind} {value!r} is not {_FORMS[kind]}", where)
    for name, text in patterns:
        if not text:
            yield _problem(f"an empty {name} matches nothing", where)
        elif text.strip().startswith("regexp:"):
            yield _problem(f"{name} {text!r}: regular expressions are not taken here", where)
        elif not _CHARACTERS[name].fullmatch(text):
            yield _problem(f"{name} {text!r} is no {name} of any image", where)
    yield from _of_docker_hub(entry, where)


def _of_docker_hub(entry: WrittenSelection, where: str) -> Iterator[Problem]:
    """Its images have several names, and are judged by one: others would never match."""
    if entry.registry == "index.docker.io":
        yield _problem(f"registry {entry.registry!r} is called {DEFAULT_HOST} here", where)
    elif entry.registry == DEFAULT_HOST and not set("/*") & set(entry.repository):
        yield _problem(
            f"repository {entry.repository!r} of {DEFAULT_HOST} is called "
            f"library/{entry.repository} here",
            where,
        )


def _problem(what: str, where: str) -> Problem:
    return Problem("UnsupportedError", f"Not supported by this scanner: {what} {where}")


def _is_named(entry: WrittenSelection, subject: Subject, tag: str) -> bool:
    names: dict[str, Any] = {"digest": subject.digest, "id": subject.image_id}
    if entry.image.type in names:
        return bool(entry.image.value == names[entry.image.type])
    return fits(entry.image.value, tag)
