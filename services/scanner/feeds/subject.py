"""Which of a package's vulnerabilities a version is subject to, and the version without them."""

from collections.abc import Iterator

from services.scanner.feeds.known import (
    OPEN,
    PLAIN,
    SOME_MODULE,
    Known,
    Span,
    Vulnerability,
)
from services.scanner.records import Package


def stream_of(package: Package) -> str:
    """The module's stream that a package is of, as a `Span` names it: `nodejs:18`."""
    if package.module:
        return ":".join(package.module.split(":")[:2])
    return (
        SOME_MODULE if ".module+el" in package.version or ".module_el" in package.version else PLAIN
    )


def subject_to(known: Known, rung: int, stream: str) -> Iterator[tuple[Vulnerability, str | None]]:
    """Each that holds at `rung`, and the version without it. `stream`: see `stream_of`."""
    for one in known.vulnerabilities:
        spans = [span for span in one.spans if _concerns(span, stream)]
        if any(span.holds(rung) for span in spans):
            yield one, _fix(known, spans, rung)


def _concerns(span: Span, stream: str) -> bool:
    """Streams of a module have versions of their own; a stream that is not said may be any, and
    what affects every version is about all of them."""
    if (span.low, span.high, span.module) == (0, OPEN, PLAIN):
        return True
    if PLAIN in (span.module, stream) or SOME_MODULE in (span.module, stream):
        return (span.module == PLAIN) == (stream == PLAIN)
    return span.module == stream


def _fix(known: Known, spans: list[Span], rung: int) -> str | None:
    """The first version from here on that is in none of the spans."""
    while holding := [span.high for span in spans if span.holds(rung)]:
        if OPEN in holding:
            return None
        rung = max(holding)
    return known.version_at(rung)
