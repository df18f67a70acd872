"""AdmissionReviews as an API server sends them, over real HTTPS: /mutate, then /validate.

The query and the envelope are those of docs/design/kube-facts.md 4; what the API server fills in
before any webhook sees the object: `services.cli.defaults`.
"""

import asyncio
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from services.cli.pins import Pin, UnusablePatch, pinned
from shared.domain.errors import ImagegateError
from shared.domain.pod_template import workload_of
from shared.domain.review import API_VERSION, KIND, GroupVersionKind, Status

TIMEOUT = 5
"""Seconds that the webhook is given, as `?timeout=`."""

CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"


class WebhookUnavailable(ImagegateError):
    """The webhook gave no answer that an API server would take."""


class Asker(msgspec.Struct, frozen=True):
    """`request.userInfo`: who sent the object to the API server."""

    username: str
    groups: tuple[str, ...] = ("system:authenticated",)


REPLICASET_CONTROLLER = Asker(
    CONTROLLER,
    ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"),
)


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The response half of a review."""

    uid: str
    allowed: bool
    status: Status | None = None
    warnings: tuple[str, ...] = ()
    audit_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    patch: str = ""
    """A JSON Patch in base64."""

    @property
    def code(self) -> int:
        """The status code that the person's client gets."""
        return 200 if self.allowed else (self.status.code if self.status else 403)

    @property
    def message(self) -> str:
        """What the person reads."""
        return self.status.message if self.status else ""

    @property
    def pending(self) -> bool:
        """Whether asking again will bring another answer."""
        return not self.allowed and self.code in (429, 503)


class Reviewed(msgspec.Struct, frozen=True):
    """What became of a new object."""

    answer: Answer
    """Of /validate."""
    took: float
    """Seconds, of both calls."""
    pins: tuple[Pin, ...] = ()
    """What /mutate replaced before."""
    warnings: tuple[str, ...] = ()
    """Those of both calls."""
    not_mutated: str = ""
    """Why /mutate changed nothing, where that was no answer of its own."""


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    response: Answer
    api_version: str = ""
    kind: str = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def pod_of_image(image: str, *, name: str, namespace: str) -> dict[str, Any]:
    """The smallest Pod that runs `image`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }


def kind_of(content: Mapping[str, Any]) -> GroupVersionKind:
    """What an object says it is; a Pod is taken for one whatever version stands beside it."""
    kind, version = str(content.get("kind")), str(content.get("apiVersion"))
    if kind == "Pod":
        return GroupVersionKind("", "v1", kind)
    group, _, version = version.rpartition("/")
    return GroupVersionKind(group, version, kind)


def resource_of(kind: GroupVersionKind) -> str | None:
    """The resource under which objects of that kind are judged; None where they are not."""
    if kind == GroupVersionKind("", "v1", "Pod"):
        return "pods"
    workload = workload_of(kind)
    return workload.resource if workload else None


def review_of(content: Mapping[str, Any], *, asker: Asker) -> dict[str, Any]:
    """The AdmissionReview of creating a Pod or a workload, with a fresh uid."""
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    named = kind_of({"kind": "Pod", **content})
    kind = {"group": named.group, "version": named.version, "kind": named.kind}
    resource = {
        "group": named.group,
        "version": named.version,
        "resource": resource_of(named) or "",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": metadata.get("name", ""),
            "namespace": metadata.get("namespace", ""),
            "operation": "CREATE",
            "userInfo": msgspec.to_builtins(asker),
            "object": content,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }


class WebhookClient:
    """Asks one webhook; connections are kept, as an API server keeps them."""

    def __init__(self, *, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._session = session

    async def create(self, review: Mapping[str, Any]) -> Reviewed:
        """What an API server does with a new object, by the configurations of k8s/chart.

        A /mutate that fails is passed over (failurePolicy Ignore). Raises WebhookUnavailable where
        the person would get a 500.
        """
        began = time.perf_counter()
        request, why = review["request"], ""
        content: Mapping[str, Any] = request["object"]
        pins: tuple[Pin, ...] = ()
        warnings: tuple[str, ...] = ()
        try:
            mutated = await self._ask("/mutate", review)
            warnings = mutated.warnings
            if mutated.patch:
                content, pins = pinned(content, mutated.patch)
        except (WebhookUnavailable, UnusablePatch) as error:
            why = str(error)
        final = {**review, "request": {**request, "object": content}}
        answer = await self._ask("/validate", final)
        took = time.perf_counter() - began
        return Reviewed(answer, took, pins, (*warnings, *answer.warnings), why)

    async def _ask(self, path: str, review: Mapping[str, Any]) -> Answer:
        body = msgspec.json.encode(review)
        try:
            status, content = await self._post(path, body)
        except TimeoutError as error:
            raise WebhookUnavailable(f"{self.url} did not answer in {TIMEOUT} s") from error
        except aiohttp.ClientError as error:
            raise WebhookUnavailable(f"{self.url} cannot be reached: {_why(error)}") from error
        if status != 200:
            raise WebhookUnavailable(
                f"{self.url} answered {status}: {content[:200].decode('utf-8', 'replace')}"
            )
        return _read(content, uid=review["request"]["uid"], url=self.url)

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        async with (
            asyncio.timeout(TIMEOUT),
            self._session.post(
                f"{self.url}{path}",
                params={"timeout": f"{TIMEOUT}s"},
                data=body,
                headers={"Content-Type": "application/json"},
            ) as response,
        ):
            return response.status, await response.read()


@asynccontextmanager
async def webhook_client(url: str, *, tls: ssl.SSLContext) -> AsyncIterator[WebhookClient]:
    """A client of the webhook at `url` that trusts what `tls` trusts."""
    connector = aiohttp.TCPConnector(ssl=tls, limit=64)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield WebhookClient(url=url, session=session)


def _read(content: bytes, *, uid: str, url: str) -> Answer:
    try:
        envelope = _ENVELOPE.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookUnavailable(f"{url} answered no AdmissionReview: {error}") from error
    if (envelope.api_version, envelope.kind) != (API_VERSION, KIND):
        raise WebhookUnavailable(f"{url} answered {envelope.kind!r} of {envelope.api_version!r}")
    if envelope.response.uid != uid:
        raise WebhookUnavailable(f"{url} answered another review than was asked")
    return envelope.response


def _why(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
        return f"its certificate is not the one to expect ({reason}); name its CA with --ca"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (
            f"{error.strerror or error}; is the webhook running, and its address right (--webhook)?"
        )
    return f"{error}; is the webhook running, and its address right (--webhook)?"
