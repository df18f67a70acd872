"""What a built feed keeps of one package: only what matching needs.

The versions that a package's records name are sorted once, when the feed is built. An installed
version then needs one *rung* among them, and every record is a comparison of whole numbers.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from services.scanner.feeds.ecosystems import Scheme
from services.scanner.feeds.versions import BadVersion, parse_version
from services.scanner.matching.finding import Score, Severity

OPEN = -1
"""The end of a span that has none."""

PLAIN = ""
SOME_MODULE = "?"


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Versions that are affected, by rungs: `low` is in it, `high` is not."""

    low: int
    high: int
    module: str = PLAIN
    """RPM: the module's stream that it is about (`nodejs:22`), SOME_MODULE where it is not said;
    PLAIN: packages of no module."""

    def holds(self, rung: int) -> bool:
        """Whether a version at `rung` is affected."""
        return self.low <= rung and (self.high == OPEN or rung < self.high)


class Vulnerability(msgspec.Struct, frozen=True, array_like=True):
    """One CVE of one package in one release, whoever named it."""

    id: str
    spans: tuple[Span, ...]
    severity: Severity
    ask: bool
    """The CVE's own score counts before `scores`, if the feed has one."""
    scores: tuple[Score, ...] = ()
    advisories: tuple[str, ...] = ()
    published: int | None = None
    fix_published: int | None = None


class Known(msgspec.Struct, frozen=True, array_like=True):
    """All of one package."""

    versions: tuple[str, ...] = ()
    """Sorted; one spelling of each."""
    vulnerabilities: tuple[Vulnerability, ...] = ()

    def rung(self, scheme: Scheme, version: str) -> int:
        """Raises BadVersion. Odd: it is `versions[rung // 2]`; even: it is before that one."""
        installed = parse_version(scheme, version)
        try:
            return rung_among(self.versions, installed, lambda text: parse_version(scheme, text))
        except Exception as error:  # two versions that are each one, but not to be compared
            raise BadVersion(f"{version!r} cannot be compared: {error}") from error

    def version_at(self, rung: int) -> str | None:
        """The version that stands at an odd rung."""
        return self.versions[rung // 2] if rung % 2 else None


def rung_among(versions: Sequence[Any], version: Any, parsed: Callable[[Any], Any]) -> int:
    """Where `version` stands among sorted `versions`, by as few comparisons as it takes."""
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if parsed(versions[middle]) < version:
            low = middle + 1
        else:
            high = middle
    equal = low < len(versions) and not version < parsed(versions[low])
    return 2 * low + 1 if equal else 2 * low


def sort_versions(scheme: Scheme, texts: Iterable[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Sorted, each once; and the rung of every text. Raises BadVersion."""
    parsed = [(parse_version(scheme, text), text) for text in sorted(set(texts))]
    try:
        parsed.sort(key=_first)
    except Exception as error:
        raise BadVersion(f"versions cannot be compared: {error}") from error
    versions: list[str] = []
    rungs: dict[str, int] = {}
    former: Any = None
    for version, text in parsed:
        if not versions or former < version:
            versions.append(text)
        rungs[text] = 2 * len(versions) - 1
        former = version
    return tuple(versions), rungs


def _first(pair: tuple[Any, str]) -> Any:
    return pair[0]


encode_known = msgspec.msgpack.Encoder().encode
decode_known = msgspec.msgpack.Decoder(Known).decode
