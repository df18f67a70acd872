"""One line about an image: what a stored record says, and whether it is the image asked for."""

from collections.abc import Sequence

import msgspec

from shared.domain.errors import InvalidReference
from shared.domain.pointer import Pointer
from shared.domain.reference import parse_reference
from shared.domain.signing import Body
from shared.domain.verdict import Outcome, Verdict

NOT_BELIEVED = "not believed"
"""The outcome of a record that nobody we trust signed."""

SHORT_DIGEST = 6
"""Characters of a digest from which on it is taken for one; the tables show twelve."""


class VerdictRow(msgspec.Struct, frozen=True):
    """One record about an image."""

    image: str
    """`host/path:tag`, or `host/path@digest` without a tag."""
    digest: str
    outcome: str
    """pass, fail, error or NOT_BELIEVED."""
    at: int
    """When the scanner evaluated or the registry was asked (ms); 0 when unknown."""
    age: float
    """Seconds since then."""
    stale: bool
    reasons: tuple[str, ...] = ()
    policy: str = ""
    revision: str = ""
    scan_id: str = ""
    findings: tuple[str, ...] = ()
    """`stop: MESSAGE (GATE/TRIGGER) TRIGGER-ID`, everything that stops or warns; the id is what an
    exception names."""


def row_of(record: msgspec.Struct, body: Body, now: int) -> VerdictRow | None:
    """A verdict or an error as a row; None for what has ended and for a tag with a digest.

    An error that is stale is no answer any more, though its record may live on beside a verdict.
    """
    if body.ends <= now:
        return None
    if isinstance(record, Verdict):
        over = record.outcome is Outcome.ERROR and record.stale(now)
        return None if over else _verdict_row(record, now)
    if isinstance(record, Pointer) and record.error is not None:
        return VerdictRow(
            image=record.reference,
            digest="",
            outcome="error",
            at=record.asked_at,
            age=_seconds(now - record.asked_at),
            stale=False,
            reasons=(record.message or str(record.error),),
        )
    return None


def untrusted_row(key: str, why: str) -> VerdictRow:
    """The row of a record that is not believed: only its key says what it is about."""
    image, _, digest = _named(key)
    reasons = (why.removeprefix(f"{key}: "),)
    return VerdictRow(image, digest, NOT_BELIEVED, 0, 0.0, False, reasons=reasons)


def keys_about(image: str, keys: Sequence[str]) -> list[str]:
    """Those of `keys` whose record is about `image`, or the beginning of a reference or digest.

    `nginx` is `docker.io/library/nginx` too, as in a pod; the registry's host and the path before
    the last part may be left out.
    Where a reference is met exactly, what only begins so (`app:1`, `app:10`) is left out.
    """
    beginnings = _beginnings(image)
    digest = "" if "@" in image else image.removeprefix("sha256:")
    exact: list[str] = []
    about: list[str] = []
    for key in keys:
        name, repository, of_digest = _named(key)
        by_digest = f"{repository}@{of_digest}"
        texts = (name, name.partition("/")[2], name.rpartition("/")[2], by_digest)
        if any(text in beginnings for text in texts):
            exact.append(key)
        elif any(text.startswith(beginnings) for text in texts) or (
            len(digest) >= SHORT_DIGEST and of_digest.removeprefix("sha256:").startswith(digest)
        ):
            about.append(key)
    return exact or about


def _beginnings(image: str) -> tuple[str, ...]:
    """As it was typed, and as a pod's reference is understood."""
    try:
        reference = parse_reference(image)
    except InvalidReference:
        return (image,)
    if reference.digest is not None:
        # A tag beside it says nothing: the digest is what runs.
        return (f"{reference.repository}@{reference.digest}",)
    tagged = image.endswith(f":{reference.tag}")
    return (image, reference.tagged if tagged else reference.repository)


def _named(key: str) -> tuple[str, str, str]:
    """`host/path:tag` (without a tag `host/path@digest`), `host/path` and digest of a key."""
    kind, _, name = key.partition(":")
    if kind == "pointer":
        return name, name.rpartition(":")[0], ""
    subject, _, more = name.partition("#")
    repository, _, digest = subject.partition("@")
    tag = more.partition("|")[0]
    return (f"{repository}:{tag}" if tag else subject), repository, digest


def _verdict_row(verdict: Verdict, now: int) -> VerdictRow:
    subject = verdict.subject
    tagged = f"{subject.repository}:{subject.tag}"
    reasons = tuple(finding.message for finding in verdict.stops)
    return VerdictRow(
        image=tagged if subject.tag else f"{subject.repository}@{subject.digest}",
        digest=subject.digest,
        outcome=str(verdict.outcome),
        at=verdict.evaluated_at,
        age=_seconds(now - verdict.evaluated_at),
        stale=verdict.stale(now),
        reasons=reasons or ((verdict.message,) if verdict.message else ()),
        policy=verdict.policy_id,
        revision=verdict.revision,
        scan_id=verdict.scan_id,
        findings=tuple(
            f"{finding.action}: {finding.message} ({finding.gate}/{finding.trigger}) "
            f"{finding.trigger_id}"
            for finding in (*verdict.stops, *verdict.warns)
        ),
    )


def _seconds(milliseconds: int) -> float:
    return max(0, milliseconds) / 1000
