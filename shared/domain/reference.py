"""Image references: what a pod wrote, normalised as Docker does.

The grammar is distribution/reference's: `[host[:port]/]path[:tag][@digest]`. A reference
that the grammar does not allow, an image id (64 hex, or `sha256:` and any number of hex digits
alone), an upper-case digest and anything outside ASCII is refused before any rule sees it
(docs/design/behaviour.md 4).
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address

import msgspec

from shared.domain.errors import InvalidReference

DEFAULT_HOST = "docker.io"
MAX_LENGTH = 255 + 1 + 128 + 1 + 71  # repository name, tag, and sha256 digest with separators

# Every class below is bounded and no two neighbours overlap: none can backtrack for long. A port
# with a zero in front would be another name for the same server.
_HOST = re.compile(
    r"(?:\[[0-9a-fA-F:]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)(?::[1-9][0-9]{0,4})?"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# The grammar would read `sha256:deadbeef` as a tag of docker.io/library/sha256. containerd takes it
# for the beginning of an id of one of these algorithms, and finds any image of the node by that.
_IMAGE_ID = re.compile(r"[0-9a-f]{64}|sha(?:256|384|512):[0-9a-f]+")


class ImageReference(msgspec.Struct, frozen=True):
    """One image: host (with port), repository path, and a tag, a digest or both."""

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """`host/path`, what verdicts and allow lists are about."""
        return f"{self.host}/{self.path}"

    @property
    def tagged(self) -> str:
        """`host/path:tag`; only for a reference that has a tag."""
        if self.tag is None:
            raise ValueError(f"{self} has no tag")
        return f"{self.host}/{self.path}:{self.tag}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.path}{tag}{digest}"


@lru_cache(maxsize=4096)
def parse_reference(text: str) -> ImageReference:
    """Normalise `text`; `latest` when it names neither tag nor digest.

    Raises InvalidReference, whose message is safe to show.
    """
    if not text:
        raise InvalidReference("the image reference is empty")
    if len(text) > MAX_LENGTH + 64:
        raise InvalidReference(f"the image reference is too long ({len(text)} characters)")
    if not text.isascii():
        raise InvalidReference("the image reference has characters outside ASCII")
    if _IMAGE_ID.fullmatch(text):
        raise InvalidReference("an image id is not a reference: name a repository")
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidReference("the digest must be sha256: and 64 lower-case hex digits")
    host, path, tag = _split_name(name)
    if not digest and not tag:
        tag = "latest"
    return ImageReference(host=host, path=path, tag=tag or None, digest=digest or None)


def _split_name(name: str) -> tuple[str, str, str]:
    last_slash = name.rfind("/")
    colon = name.rfind(":")
    tag = ""
    if colon > last_slash:
        name, tag = name[:colon], name[colon + 1 :]
        if not _TAG.fullmatch(tag):
            raise InvalidReference("the tag must be 1 to 128 letters, digits, '_', '.' or '-'")
    head, slash, rest = name.partition("/")
    if slash and _names_a_host(head):
        host, path = head, rest
        if not _HOST.fullmatch(host):
            raise InvalidReference("the registry's host name is not valid")
        # Docker takes Foo of Foo/bar for a host, which foo of foo/bar, its lower case, is not.
        if not _names_a_host(host.lower()):
            raise InvalidReference(
                "the repository must be lower-case, and the name of a host needs a dot or a port"
            )
    else:
        host, path = DEFAULT_HOST, name
    host = _one_spelling(host.lower())
    if host == "index.docker.io":
        host = DEFAULT_HOST
    if host == DEFAULT_HOST and path and "/" not in path:
        path = f"library/{path}"
    if len(host) + 1 + len(path) > 255:
        raise InvalidReference("the repository name is longer than 255 characters")
    if not path or not all(_COMPONENT.fullmatch(part) for part in path.split("/")):
        raise InvalidReference(
            "the repository must be lower-case letters and digits, separated by '/', '.', '_', '-'"
        )
    return host, path, tag


def _one_spelling(host: str) -> str:
    """An IPv6 address can be written in many ways, and rules name one."""
    if not host.startswith("["):
        return host
    address, _, port = host[1:].partition("]")
    try:
        return f"[{IPv6Address(address)}]{port}"
    except ValueError as error:
        raise InvalidReference("the registry's IPv6 address is not valid") from error


def _names_a_host(head: str) -> bool:
    return "." in head or ":" in head or head == "localhost" or head != head.lower()
