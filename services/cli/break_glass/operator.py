"""What an operator's key says: that an image may run for a time, and that it may no longer."""

import secrets
from collections.abc import Mapping

import msgspec

from services.console.exception_rows import opened
from shared.domain.emergency import emergency_cluster
from shared.domain.errors import ImagegateError, InvalidException, InvalidSignature
from shared.domain.exceptions import ALL, ImageException, checked, exception_key
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.signed_exceptions import revocation
from shared.domain.signing import Kind, claimed_key
from shared.ports.clock import Clock
from shared.ports.exceptions import MAX_SEALED
from shared.ports.signing import Sealer, Unsealer

ID_BYTES = 6
"""Twelve hex digits: short enough to be typed, and none is made twice."""


class NotSigned(ImagegateError):
    """What was asked for cannot be signed; the message says what to do instead."""


class Wanted(msgspec.Struct, frozen=True):
    """What somebody wants to allow."""

    image: str
    """As it was typed: a tag in it is not a digest yet."""
    findings: tuple[str, ...]
    """Empty: all of them."""
    namespaces: tuple[str, ...]
    life: int
    """Milliseconds."""
    reason: str
    owner: str
    cluster: str = ""
    """Empty: in each that believes the key."""

    @property
    def reference(self) -> ImageReference:
        """Raises InvalidReference."""
        return parse_reference(self.image)

    @property
    def needs_digest(self) -> bool:
        """Whether it is about one image and does not say which yet: what names findings and no tag
        is about all images of its repository."""
        name, _, digest = self.image.partition("@")
        tagged = name.rfind(":") > name.rfind("/")
        return not digest and (tagged or not self.findings)


class Named(msgspec.Struct, frozen=True):
    """What a tag named when the registry was asked."""

    digest: str
    asked_at: int
    """When that was (ms)."""


class Signed(msgspec.Struct, frozen=True):
    """An exception, ready to be kept."""

    exception: ImageException
    sealed: bytes


class Operator:
    """Holds the key, and the ring that the webhooks have."""

    def __init__(self, *, sealer: Sealer, ring: Unsealer, clock: Clock) -> None:
        self._sealer = sealer
        self._ring = ring
        self._clock = clock

    def named_by(self, reference: ImageReference, sealed: bytes | None) -> Named:
        """The digest in a tag's signed pointer. Raises NotSigned where there is none."""
        key = pointer_key(reference)
        if sealed is None:
            raise NotSigned(_no_digest(reference, "no worker has asked its registry for the tag"))
        try:
            pointer, body = self._ring.unseal(sealed, Pointer, kind=Kind.POINTER, key=key)
        except InvalidSignature as error:
            why = f"its pointer in the store is not believed ({error})"
            raise NotSigned(_no_digest(reference, why)) from error
        if body.ends <= self._clock.now():
            raise NotSigned(_no_digest(reference, "what the registry said of the tag is too old"))
        if pointer.digest is None:
            why = f"the registry did not tell the tag's digest ({pointer.message or pointer.error})"
            raise NotSigned(_no_digest(reference, why))
        return Named(pointer.digest, pointer.asked_at)

    def allow(self, wanted: Wanted, *, digest: str = "") -> Signed:
        """Sign it; `digest`: of a tag. Raises InvalidException and InvalidReference."""
        reference = wanted.reference
        digest = digest or reference.digest or ""
        now = self._clock.now()
        exception = ImageException(
            image=f"{reference.repository}@{digest}" if digest else reference.repository,
            findings=wanted.findings or (ALL,),
            namespaces=wanted.namespaces,
            reason=wanted.reason,
            owner=wanted.owner,
            expires=now + wanted.life,
            id=secrets.token_hex(ID_BYTES),
            made_at=now,
            cluster=wanted.cluster,
        )
        return self._sign(checked(exception))

    def revoke(self, exception: ImageException, *, reason: str = "") -> Signed:
        """Sign that it counts no longer. Raises NotSigned where it does not count anyway."""
        now = self._clock.now()
        if exception.revoked:
            raise NotSigned(f"{exception.id} was revoked already: {exception.reason}")
        if not exception.counts(now):
            raise NotSigned(f"{exception.id} has ended already")
        return self._sign(checked(revocation(exception, now=now, reason=reason)))

    def find(self, given: str, sealed: Mapping[str, bytes]) -> ImageException:
        """The only exception whose id begins so, verified. Raises NotSigned."""
        exception_id = _full_id(given, sealed)
        return self._opened(exception_id, sealed[exception_id])

    def read(self, given: str, sealed: bytes) -> ImageException:
        """The exception of a file, whose id begins so, verified. Raises NotSigned."""
        try:
            key = claimed_key(sealed)
        except InvalidSignature as error:
            raise NotSigned(f"the file holds no signed exception: {error}") from error
        prefix, _, exception_id = key.partition(":")
        if exception_key(exception_id) != key or not exception_id.startswith(given):
            raise NotSigned(f"the file holds {prefix} {exception_id}, not exception {given}")
        return self._opened(exception_id, sealed)

    def _opened(self, exception_id: str, sealed: bytes) -> ImageException:
        try:
            return opened(exception_id, sealed, self._ring)
        except (InvalidSignature, InvalidException) as error:
            raise NotSigned(
                f"exception {exception_id} is not believed ({error}): it does not count, if the "
                "webhooks have the same public keys as IMAGEGATE_KEYS here"
            ) from error

    def _sign(self, exception: ImageException) -> Signed:
        sealed = self._sealer.seal(
            exception,
            kind=Kind.EXCEPTION,
            key=exception_key(exception.id),
            order=exception.made_at,
            ends=exception.expires,
        )
        if len(sealed) > MAX_SEALED:
            raise NotSigned(
                f"it would take {len(sealed)} bytes, at most {MAX_SEALED} are read: name fewer "
                "findings or namespaces, or make several exceptions of it"
            )
        return Signed(exception, sealed)


def _full_id(given: str, known: Mapping[str, bytes]) -> str:
    # What stands there of an emergency is no exception, and ends by `imagegate emergency end`.
    known = {name: one for name, one in known.items() if emergency_cluster(name) is None}
    fitting = [name for name in known if name.startswith(given)]
    if given in known:
        return given
    if not fitting:
        raise NotSigned(
            f"the store holds no exception {given} (any more): `imagegate exceptions list` shows "
            "them; one that stands in a file is meant with --from FILE"
        )
    if len(fitting) > 1:
        raise NotSigned(
            f"{given} begins several exceptions ({', '.join(sorted(fitting)[:5])}): write more of "
            "the id"
        )
    return fitting[0]


def _no_digest(reference: ImageReference, why: str) -> str:
    tagged = reference.tagged
    return (
        f"which image {tagged} is cannot be told: {why}. Name its digest, "
        f"{reference.repository}@sha256:... (`imagegate decisions` has that of a pod that was "
        f"refused, `skopeo inspect --format '{{{{.Digest}}}}' docker://{tagged}` asks for it); or "
        "leave the tag out and name what is to be allowed in every image there with --finding"
    )
