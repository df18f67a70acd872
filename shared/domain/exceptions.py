"""Exceptions: allowed departures from rules, each with an end (docs/design/behaviour.md 4).

They stand in the rules file, or an operator's key signed them (docs/design/signatures.md). An
exception makes a pass of a fail, and of nothing else.
"""

from collections.abc import Sequence

import msgspec

from shared.domain.glob import Glob
from shared.domain.reference import ImageReference
from shared.domain.verdict import Finding, Outcome, Verdict

ALL = "all"
"""In the place of findings: each of them; only of a digest."""

KEY_PREFIX = "exception:"


class ImageException(msgspec.Struct, frozen=True):
    """Which findings of which image may be, where, why, and until when."""

    image: str
    """`host/path@sha256:...`, or `host/path` together with named findings."""
    findings: tuple[str, ...]
    """Trigger ids, or ALL alone."""
    namespaces: tuple[str, ...]
    """Globs."""
    reason: str
    owner: str
    expires: int
    """Milliseconds since the epoch."""
    id: str = ""
    """Of a signed one: what it is listed and revoked by."""
    made_at: int = 0
    """Of a signed one (ms): orders what is said of one id."""
    revoked: bool = False

    @property
    def repository(self) -> str:
        """`host/path`."""
        return self.image.partition("@")[0]

    @property
    def digest(self) -> str:
        """Empty where it is about every digest of the repository."""
        return self.image.partition("@")[2]

    @property
    def whole(self) -> bool:
        """Whether it lets one digest run whatever is found in it."""
        return self.findings == (ALL,) and bool(self.digest)

    def counts(self, now: int) -> bool:
        """Whether it holds at `now` (ms)."""
        return not self.revoked and now < self.expires

    def holds_in(self, namespace: str) -> bool:
        """Whether it is for objects of this namespace."""
        return any(Glob(pattern).matches(namespace) for pattern in self.namespaces)

    def is_about(self, reference: ImageReference, *digests: str) -> bool:
        """Whether it is for this image, or for one of the digests that stand for it."""
        if self.repository != reference.repository:
            return False
        return not self.digest or self.digest == reference.digest or self.digest in digests


def exception_key(exception_id: str) -> str:
    """The key under which a signed exception is sealed, stored and announced."""
    return f"{KEY_PREFIX}{exception_id}"


def exempts(
    reference: ImageReference, exceptions: Sequence[ImageException], *, now: int
) -> ImageException | None:
    """The exception that lets exactly this digest run: decided without any verdict."""
    if reference.digest is None:
        return None
    able = [
        exception
        for exception in exceptions
        if exception.whole and exception.counts(now) and exception.is_about(reference)
    ]
    return max(able, key=lambda exception: exception.expires, default=None)


def covering(
    reference: ImageReference,
    verdict: Verdict,
    exceptions: Sequence[ImageException],
    *,
    now: int,
    digests: Sequence[str] = (),
) -> tuple[ImageException, ...]:
    """The exceptions that together cover every stop finding of a fail; none where one is left.

    `digests`: what else stands for the image, such as the index that the verdict's manifest is
    of. A fail whose findings are not all known is covered by a whole exception only.
    """
    if verdict.outcome is not Outcome.FAIL:
        return ()
    able = [
        exception
        for exception in exceptions
        if exception.counts(now) and exception.is_about(reference, verdict.subject.digest, *digests)
    ]
    whole = [exception for exception in able if exception.whole]
    if whole:
        return (max(whole, key=lambda exception: exception.expires),)
    stops = verdict.stops
    # Those that stop are kept first: there may be more of them only where nothing else was kept.
    if not stops or (verdict.findings_dropped and len(stops) == len(verdict.findings)):
        return ()
    covers = [_cover(finding, able) for finding in stops]
    return tuple(dict.fromkeys(one for one in covers if one)) if all(covers) else ()


def _cover(finding: Finding, exceptions: Sequence[ImageException]) -> ImageException | None:
    """Of those that name the finding the one that ends last."""
    able = [exception for exception in exceptions if finding.trigger_id in exception.findings]
    return max(able, key=lambda exception: exception.expires, default=None)
