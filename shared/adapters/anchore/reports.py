"""What Anchore found in an image, over whichever of its two APIs it speaks."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call, Limits
from shared.adapters.anchore.faults import Fault, fault_of
from shared.adapters.anchore.refusals import MAX_SAID, Refusals
from shared.adapters.anchore.tenancy import askable
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.wire import LARGE
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.image_report import DataGroup, ImageAbout, ImagePackage, Vulnerabilities

REPORT_LIMITS = Limits(total=60.0, max_bytes=64 * 1024**2)
"""Of the transport that reports are read through. Engine sends 0.7 kB about a package, licences
and CPEs among it, and takes its time over large images."""

NO_PACKAGES = frozenset({"files", "malware"})
"""Kinds of content that list something else."""
OS = "os"
"""The kind that every Anchore has."""
MAX_KINDS = 50

Read = TypeVar("Read")


class ReportDialect(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the two APIs."""

    base: str
    digest: str
    """The key of the image's digest in an answer."""
    about: Callable[[Any], ImageAbout]
    packages: Callable[[Any], tuple[ImagePackage, ...]]
    vulnerabilities: Callable[[Any], Vulnerabilities]
    data: Callable[[Any], tuple[DataGroup, ...]]
    """Each reads the body of an answer. Raises msgspec.ValidationError."""


class AnchoreReports:
    """`shared.ports.reports.ImageReports` over one dialect."""

    def __init__(self, *, dialect: ReportDialect, transport: AnchoreTransport) -> None:
        self._dialect = dialect
        self._transport = transport
        self._refusals = Refusals(transport)

    async def about(self, digest: str, *, account: str = "") -> ImageAbout:
        """From the image's record."""
        call = self._call("image_get", self._path(digest), account)
        answer = await self._asked(call, digest)
        record = answer.body[0] if isinstance(answer.body, list) and answer.body else answer.body
        return await self._read(call, answer, self._dialect.about, about=digest, body=record)

    async def packages(self, digest: str, *, account: str = "") -> tuple[ImagePackage, ...]:
        """Of each kind of content that lists packages."""
        kinds = await self._kinds(digest, account)
        found = await asyncio.gather(*(self._content(digest, kind, account) for kind in kinds))
        return tuple(package for listed in found for package in listed)

    async def vulnerabilities(self, digest: str, *, account: str = "") -> Vulnerabilities:
        """Of packages of the distribution and of languages."""
        call = self._call("image_vulnerabilities", f"{self._path(digest)}/vuln/all", account)
        answer = await self._asked(call, digest)
        read = await self._read(call, answer, self._dialect.vulnerabilities, about=digest)
        once = {(one.id, one.package, one.version, one.type): one for one in read.found}
        return msgspec.structs.replace(read, found=tuple(once.values()))

    async def data(self) -> tuple[DataGroup, ...]:
        """All groups of all feeds."""
        call = self._call("feeds", f"{self._dialect.base}/system/feeds", "")
        answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusals.of_call(call, answer)
        return await self._read(call, answer, self._dialect.data)

    async def _kinds(self, digest: str, account: str) -> list[str]:
        """Which kinds of content it lists of the image; a server without such a list has one."""
        call = self._call("image_content", f"{self._path(digest)}/content", account)
        answer = await self._transport.call(call)
        if answer.status == 404:
            return [OS]
        if answer.status != 200:
            raise self._refusals.of_call(call, answer)
        told = [kind for kind in answer.body if isinstance(kind, str)] if _is_list(answer) else []
        kinds = [kind for kind in told if kind not in NO_PACKAGES]
        if not kinds or len(kinds) > MAX_KINDS:
            raise self._unreadable(call, f"it names {len(kinds)} kinds of content")
        return kinds

    async def _content(self, digest: str, kind: str, account: str) -> tuple[ImagePackage, ...]:
        path = f"{self._path(digest)}/content/{quote(kind, safe='')}"
        call = self._call("image_content", path, account)
        answer = await self._asked(call, digest)
        return await self._read(call, answer, self._dialect.packages, about=digest)

    async def _asked(self, call: Call, digest: str) -> Answer:
        """The answer about an image, if there is one."""
        answer = await self._transport.call(call)
        if answer.status == 200:
            return answer
        complaint = complaint_of(answer)
        account_is_there = fault_of(answer, complaint) is not Fault.ACCOUNT_UNKNOWN
        if answer.status == 404 and complaint.by_anchore and account_is_there:
            said = self._transport.clean(complaint, limit=MAX_SAID)
            raise PermanentFailure(
                f"Anchore has nothing to tell of {digest}: {said}", kind=ErrorKind.NOT_FOUND
            )
        raise self._refusals.of_call(call, answer)

    async def _read(
        self,
        call: Call,
        answer: Answer,
        read: Callable[[Any], Read],
        *,
        about: str = "",
        body: Any = None,
    ) -> Read:
        """What the answer says, if it is about the image that was asked about."""
        body = answer.body if body is None else body
        named = body.get(self._dialect.digest) if isinstance(body, dict) else None
        if about and named != about:
            self._transport.fault(call, Fault.OTHER_IMAGE)
            raise PermanentFailure(
                f"Anchore answered {call.operation} about {self._transport.clean(named)} instead "
                f"of {about}",
                kind=ErrorKind.UNTRUSTED,
            )
        try:
            return await asyncio.to_thread(read, body) if answer.size > LARGE else read(body)
        except msgspec.ValidationError as error:
            raise self._unreadable(call, error) from error

    def _unreadable(self, call: Call, why: object) -> TransientFailure:
        self._transport.fault(call, Fault.UNREADABLE)
        return TransientFailure(
            f"Anchore's answer to {call.operation} cannot be read: {self._transport.clean(why)}"
        )

    def _call(self, operation: str, path: str, account: str) -> Call:
        return Call(
            operation=operation, method="GET", path=path, account=askable(account), patient=True
        )

    def _path(self, digest: str) -> str:
        return f"{self._dialect.base}/images/{quote(digest, safe=':')}"


def _is_list(answer: Answer) -> bool:
    return isinstance(answer.body, list)
