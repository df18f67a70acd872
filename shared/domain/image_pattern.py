"""Patterns of images: which references a rule is about.

A pattern is compared with a reference part by part, as it is after normalisation: the repository
with its host (`registry.corp:5000/team-*/**`), and where the pattern names one the tag
(`**:latest`) or the digest. So a pinned image and its tag alone fit the same patterns, but for
those that name a digest. What can match no image is refused: a rule that seems to deny and never
does is the worst there is.
"""

import re
from itertools import takewhile

from shared.domain.errors import InvalidReference
from shared.domain.glob import ANY_PARTS, Glob
from shared.domain.reference import DEFAULT_HOST, ImageReference, parse_reference

HOST = r"(?:\[[0-9a-f:]{2,45}\]|[a-z0-9*?.-]+)(?::[0-9*?]{1,5})?"
PART = r"[a-z0-9*?](?:[a-z0-9*?._-]*[a-z0-9*?])?"
TAG = r"[A-Za-z0-9_.*?-]{1,128}"
DIGEST = r"sha256:[0-9a-f]{64}"

_HOST, _PART, _TAG, _DIGEST = map(re.compile, (HOST, PART, TAG, DIGEST))
_WILD = re.compile(r"[*?]+")


class ImagePattern:
    """One compiled pattern. Raises ValueError, whose message is for whoever wrote it."""

    __slots__ = ("_digest", "_repository", "_tag", "beginning", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        name, at, digest = pattern.partition("@")
        repository, tag = _split(name)
        if at and not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest: sha256: and 64 lower-case hex digits")
        _check(repository)
        if tag is not None and not (_TAG.fullmatch(tag) and _is_name(f"a.b/c:{_plain(tag)}")):
            raise ValueError(f"{tag!r} can match no tag: 1 to 128 letters, digits, '_', '.', '-'")
        self.beginning = tuple(takewhile(_is_plain, repository.split("/")))
        """The parts before the first with a wildcard: what contains this one begins with the first
        of these, or with none."""
        self._repository = Glob(repository, path=True)
        self._tag = Glob(tag) if tag is not None else None
        self._digest = digest

    @property
    def names_a_tag(self) -> bool:
        """Whether it depends on the tag, which whoever writes a pod may make up beside a digest."""
        return self._tag is not None

    @property
    def names_a_digest(self) -> bool:
        """Whether a pod that writes a tag, or an index of it, in its place fits it no more."""
        return bool(self._digest)

    def contains(self, other: "ImagePattern") -> bool:
        """Whether it is plain to see that all that fits `other` fits this one too."""
        return (
            self._digest in ("", other._digest)
            and (self._tag is None or (other._tag is not None and self._tag.contains(other._tag)))
            and self._repository.contains(other._repository)
        )

    def matches(self, reference: ImageReference) -> bool:
        """Whether it is about this image."""
        if self._digest and reference.digest != self._digest:
            return False
        if self._tag and (reference.tag is None or not self._tag.matches(reference.tag)):
            return False
        return self._repository.matches(reference.repository)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImagePattern) and self.pattern == other.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __repr__(self) -> str:
        return f"ImagePattern({self.pattern!r})"


def _split(name: str) -> tuple[str, str | None]:
    """Repository and tag: a colon before the last slash is a port's."""
    colon = name.rfind(":")
    if colon > name.rfind("/"):
        return name[:colon], name[colon + 1 :]
    return name, None


def _is_plain(part: str) -> bool:
    return _WILD.search(part) is None


def _check(repository: str) -> None:
    """Raises ValueError for what no normalised reference can fit."""
    host, *path = repository.split("/")
    spelt = (host == ANY_PARTS or _HOST.fullmatch(host)) and all(map(_PART.fullmatch, path))
    if not spelt or not _is_name(_example(host, path)):
        raise ValueError(
            f"{repository[:300]!r} can match no repository: a host such as registry.corp:5000 and "
            "parts of lower-case letters, digits, '.', '_' and '-', with '/' between them, and the "
            "wildcards *, ? and **"
        )
    if host == ANY_PARTS:
        return
    meant = _meant(host, path)
    if meant:
        raise ValueError(
            f"{repository!r} can match no image, as references are normalised: write {meant}"
        )


def _example(host: str, path: list[str]) -> str:
    """A name that fits, with letters in the place of wildcards: where others would do, these do."""
    name, *port = re.split(r":(?=[0-9*?]+$)", "a" if host == ANY_PARTS else host)
    below = "/".join(map(_plain, path)) or "a"
    return f"{_plain(name)}:{_plain(*port, letter='1') if port else 1}/{below}"


def _plain(pattern: str, *, letter: str = "a") -> str:
    return _WILD.sub(letter, pattern)


def _is_name(text: str) -> bool:
    """Whether a reference is called so, as it is after normalisation."""
    try:
        return str(parse_reference(text)).startswith(text)
    except InvalidReference:
        return False


def _meant(host: str, path: list[str]) -> str:
    """What whoever wrote it will have had in mind; empty where it can match."""
    named = re.search(r"[.:]", host) or host == "localhost"
    if named and not path:
        return f"{host}/** for all images of a host"
    if not path:
        return f"{DEFAULT_HOST}/library/{host}, or **/{host} for any host"
    below = "/".join(path)
    if host == f"index.{DEFAULT_HOST}":
        return f"{DEFAULT_HOST}/{below}"
    if host == DEFAULT_HOST and len(path) == 1 and path[0] != ANY_PARTS:
        return f"{DEFAULT_HOST}/library/{below}"
    if not named and not re.search(r"[*?]", host):
        return f"{DEFAULT_HOST}/{host}/{below}, or **/{host}/{below} for any host"
    return ""
