"""Patterns of images: which references a rule is about.

A pattern is compared with a reference part by part, as it is after normalisation: the repository
with its host (`registry.corp:5000/team-*/**`), and where the pattern names one the tag
(`**:latest`) or the digest. So a pinned image and its tag alone fit the same patterns.
"""

import re

from shared.domain.glob import ANY_PARTS, Glob
from shared.domain.reference import ImageReference

_REPOSITORY = re.compile(r"[a-z0-9*?\[\]:._/-]{1,255}")
_TAG = re.compile(r"[A-Za-z0-9_.*?-]{1,128}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class ImagePattern:
    """One compiled pattern. Raises ValueError, whose message is for whoever wrote it."""

    __slots__ = ("_digest", "_repository", "_tag", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        name, at, digest = pattern.partition("@")
        repository, tag = _split(name)
        if at and not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a digest: sha256: and 64 lower-case hex digits")
        if not _REPOSITORY.fullmatch(repository) or "//" in repository:
            raise ValueError(
                f"{repository!r} can match no repository: lower-case letters, digits and "
                "'.', '_', '-', ':', with '/' between parts and the wildcards *, ? and **"
            )
        if "[" in repository and "*" in repository.partition("/")[0]:
            raise ValueError("'[' stands only in IPv6 addresses: write the alternatives out")
        if "/" not in repository and not repository.startswith(ANY_PARTS):
            raise ValueError(
                f"{repository!r} can match no image: references have a host in front, such as "
                f"docker.io/library/{repository} (or **/{repository} on any host)"
            )
        if tag is not None and not _TAG.fullmatch(tag):
            raise ValueError(f"{tag!r} can match no tag: 1 to 128 letters, digits, '_', '.', '-'")
        self._repository = Glob(repository, path=True)
        self._tag = Glob(tag) if tag is not None else None
        self._digest = digest

    @property
    def names_a_tag(self) -> bool:
        """Whether it depends on the tag, which whoever writes a pod may make up beside a digest."""
        return self._tag is not None

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
