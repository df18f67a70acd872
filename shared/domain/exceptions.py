"""Exceptions: allowed departures from rules, each with an end (docs/design/behaviour.md 4).

They stand in the rules file, or an operator's key signed them (docs/design/signatures.md). An
exception makes a pass of a fail, and of nothing else.
"""

import re
from collections.abc import Sequence

import msgspec

from shared.domain.cluster_name import ALLOWED, is_cluster_name
from shared.domain.errors import InvalidException, InvalidReference
from shared.domain.glob import Glob
from shared.domain.namespace_pattern import namespace_pattern
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.verdict import Finding, Outcome, Verdict

ALL = "all"
"""In the place of findings: each of them; only of a digest."""

KEY_PREFIX = "exception:"

MAX_ENTRIES = 200
"""Findings of one exception, and namespaces: as many findings as a verdict keeps."""
MAX_TEXT = 512
"""Characters of each of its texts."""
LAST_END = 253_402_300_799_999
"""The last millisecond of the year 9999: what can be shown as a date."""

_ID = re.compile(r"[A-Za-z0-9._-]{0,64}")


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
    cluster: str = ""
    """Of a signed one: in which it holds, as its webhooks are told (IMAGEGATE_CLUSTER); empty: in
    each that believes the key."""

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

    def is_for(self, cluster: str) -> bool:
        """Whether it is for the cluster of this name; empty: for one that has none."""
        return self.cluster in ("", cluster)

    def is_about(self, reference: ImageReference, *digests: str) -> bool:
        """Whether it is for this image, or for one of the digests that stand for it."""
        if self.repository != reference.repository:
            return False
        return not self.digest or self.digest == reference.digest or self.digest in digests


def exception_key(exception_id: str) -> str:
    """The key under which a signed exception is sealed, stored and announced."""
    return f"{KEY_PREFIX}{exception_id}"


def checked(exception: ImageException) -> ImageException:
    """The same with its image normalised and nothing twice. Raises InvalidException, which
    names the field that is wrong."""
    image = _image(exception.image)
    if not _ID.fullmatch(exception.id):
        raise InvalidException("id", "must be at most 64 letters, digits, '.', '_' and '-'")
    if not is_cluster_name(exception.cluster):
        raise InvalidException("cluster", ALLOWED)
    for field in ("reason", "owner"):
        check_text(field, getattr(exception, field))
    if not 0 < exception.expires <= LAST_END:
        raise InvalidException("expires", "must be a time of the years 1970 to 9999")
    return msgspec.structs.replace(
        exception,
        image=image,
        findings=_findings(exception.findings, of_digest="@" in image),
        namespaces=distinct_namespaces(exception.namespaces),
    )


def _image(text: str) -> str:
    try:
        reference = parse_reference(text)
    except InvalidReference as error:
        raise InvalidException("image", str(error)) from error
    name = text.partition("@")[0]
    if name.rfind(":") > name.rfind("/"):
        raise InvalidException(
            "image",
            "names a tag, which another image may have tomorrow: give the digest "
            f"({reference.repository}@sha256:...), or the repository alone with named findings",
        )
    digest = f"@{reference.digest}" if reference.digest else ""
    return f"{reference.repository}{digest}"


def _findings(findings: Sequence[str], *, of_digest: bool) -> tuple[str, ...]:
    distinct = _entries("findings", findings)
    for finding in distinct:
        check_text("findings", finding)
        if finding.lower() == ALL and finding != ALL:
            raise InvalidException("findings", f"{finding!r} is no finding; each of them is {ALL}")
        if finding.endswith("*"):
            raise InvalidException(
                "findings",
                f"{finding[:100]!r}: there are no wildcards here, since tomorrow's findings would "
                "fit too; name each by its trigger id (imagegate verdicts IMAGE shows them)",
            )
    if ALL in distinct and len(distinct) > 1:
        raise InvalidException("findings", f"{ALL} stands alone: leave it out, or the others")
    if ALL in distinct and not of_digest:
        raise InvalidException(
            "findings",
            f"{ALL} holds for one digest only: add it to the image (@sha256:...), or name the "
            "findings by their trigger ids",
        )
    return distinct


def distinct_namespaces(patterns: Sequence[str]) -> tuple[str, ...]:
    """Each glob once. Raises InvalidException."""
    distinct = _entries("namespaces", patterns)
    for pattern in distinct:
        try:
            namespace_pattern(pattern)
        except ValueError as error:
            raise InvalidException("namespaces", str(error)) from error
    return distinct


def _entries(field: str, texts: Sequence[str]) -> tuple[str, ...]:
    if not texts or len(texts) > MAX_ENTRIES:
        hint = '; ["*"] stands for all' if field == "namespaces" else ""
        raise InvalidException(field, f"must have 1 to {MAX_ENTRIES} items{hint}")
    return tuple(dict.fromkeys(texts))


def check_text(field: str, text: str) -> None:
    """Raises InvalidException for what is no text for people."""
    if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
        raise InvalidException(field, f"must be 1 to {MAX_TEXT} printable characters")


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
