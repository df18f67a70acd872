"""A cluster as a person looks at it (`shared.ports.inspection`)."""

import time
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from shared.adapters.kubernetes.access import Server
from shared.adapters.kubernetes.failures import Status
from shared.adapters.kubernetes.limits import MAX_PAGE, Pace
from shared.adapters.kubernetes.listing import Listing, PageOf
from shared.adapters.kubernetes.objects import Unreadable
from shared.adapters.kubernetes.over_wire import OverWire
from shared.ports.inspection import Form, TrialPod

ADVICE = "use a kubeconfig whose user may (a cluster administrator's may all)"

TRIAL = 12.0
"""Seconds that a dry run may take: as long as the slowest webhook is given, and some."""


class _Version(msgspec.Struct):
    git: str = msgspec.field(name="gitVersion", default="")


class KubernetesInspection(OverWire):
    """One cluster. An async context manager: nothing is opened before."""

    def __init__(self, *, server: Server, pace: Pace | None = None) -> None:
        super().__init__(server=server, pace=pace or Pace(answer=TRIAL), advice=ADVICE)

    async def version(self) -> str:
        doing = "get the version"
        body = await self._wire.get("/version", doing=doing)
        return await self._wire.decoded(body, doing, _read_version)

    async def behind(self) -> float:
        said = await self._wire.said("GET", "/version", doing="get the version")
        try:
            theirs = parsedate_to_datetime(said.date).timestamp()
        except ValueError:
            return 0.0
        # It tells whole seconds: of what is left of one nobody knows.
        ahead = theirs - time.time()
        return -ahead if ahead > 0 else max(0.0, -ahead - 1)

    async def all(self, path: str, kind: str, form: type[Form]) -> list[Form]:
        pages_of: Any = PageOf
        listing: Listing[Form] = Listing(
            wire=self._wire,
            path=path,
            kind=f"{kind}List",
            doing=f"list {path.rpartition('/')[2]}",
            decoder=msgspec.json.Decoder(pages_of[form]),
            limit=MAX_PAGE,
        )
        async with aclosing(listing.pages()) as pages:
            return [each async for page in pages for each in page]

    async def try_pod(self, namespace: str, pod: bytes) -> TrialPod:
        said = await self._wire.said(
            "POST",
            f"/api/v1/namespaces/{namespace}/pods",
            pod,
            {"dryRun": "All"},
            doing="try a pod",
        )
        if said.status in (200, 201):
            return TrialPod(said.status, "")
        try:
            message = msgspec.json.decode(said.body, type=Status).message
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            message = "no Status that can be read"
        return TrialPod(said.status, message)


def _read_version(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Version).git
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("what is no version") from error
