"""A registry as the ports see it: digests, indexes, manifests, blobs.

Speaks the OCI distribution API (and Docker's registry API v2, which it grew from). What it
believes and what it refuses: docs/design/registry.md.
"""

import asyncio
import hashlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, nullcontext
from ssl import SSLContext
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from shared.adapters.registry import limits, manifests, media_types
from shared.adapters.registry.breakers import RegistryBreakers
from shared.adapters.registry.credentials import Credentials
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.exchange import Exchange
from shared.adapters.registry.failures import untrusted, within
from shared.adapters.registry.limits import Timeouts
from shared.adapters.registry.places import Places
from shared.adapters.registry.tag_pages import TagPages
from shared.adapters.registry.token_service import TokenService
from shared.adapters.registry.tokens import Authenticator
from shared.adapters.registry.wire import Wire, host_of, media_type_of
from shared.domain.pointer import Index, Manifest
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules
from shared.ports.clock import Clock
from shared.ports.resolver import Resolved

Done = TypeVar("Done")

_LARGE = 64 * 1024  # hashing and reading more than this would hold the event loop


class RegistryClient:
    """DigestResolver, TagList and ImageContent over HTTP. An async context manager.

    `rules` is asked at every call, so that reloaded rules count at once. `ssl_context` and
    `resolver` (names to addresses) are the system's unless given. Credential helpers are started
    with `helper_environ`; None: with all that we have. `breakers` hear of each question about a
    manifest, and a registry whose breaker is open is not asked one.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], Rules],
        clock: Clock,
        timeouts: Timeouts | None = None,
        ssl_context: SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        helper_environ: Mapping[str, str] | None = None,
        breakers: RegistryBreakers | None = None,
    ) -> None:
        self._rules = rules
        self._breakers = breakers
        self._timeouts = timeouts or Timeouts()
        self._places = Places()
        self._wire = Wire(
            rules=rules,
            clock=clock,
            timeouts=self._timeouts,
            ssl_context=ssl_context,
            resolver=resolver,
        )
        self._credentials = Credentials(
            clock=clock, timeouts=self._timeouts, environ=helper_environ
        )
        authenticator = Authenticator(
            credentials=self._credentials,
            service=TokenService(wire=self._wire, rules=rules, timeout=self._timeouts.token),
            clock=clock,
        )
        self._exchange = Exchange(wire=self._wire, authenticator=authenticator, rules=rules)
        self._tags = TagPages(
            wire=self._wire,
            exchange=self._exchange,
            rules=rules,
            within=self._timeouts.manifest,
        )

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._credentials.close()
        await self._wire.__aexit__(kind, error, traceback)

    async def resolve(self, reference: ImageReference) -> Resolved:
        """One HEAD; a GET, hashed, if the registry names no digest in its answer."""
        target = Target.under(self._rules(), reference)
        which = reference.tag or reference.digest or "latest"
        url = target.url("manifests", which)
        async with (
            self._whole(self._timeouts.head, target, url),
            self._exchange.head(target, url, accept=media_types.ACCEPT) as response,
        ):
            media_type = media_type_of(response.headers)
            digest = response.headers.get("Docker-Content-Digest")
        if digest is None:
            media_type, body = await self._body(target, which)
            digest = await _off_loop(body, lambda: manifests.digest_of(body))
        media_types.require_known(media_type, name=f"{target.name}:{which}")
        if not manifests.is_digest(digest):
            raise untrusted(f"{target.name}: the registry names a digest that is not sha256")
        if not reference.tag and reference.digest not in (None, digest):
            raise untrusted(f"{target.name}: the registry answers for {digest}, not {which}")
        return Resolved(digest=digest, is_index=media_type in media_types.INDEX_TYPES)

    async def index(self, reference: ImageReference, digest: str, *, asked_at: int) -> Index:
        """Fetches the index and those nested in it, within `limits`."""
        found: dict[Manifest, None] = {}
        fetched: set[str] = set()
        pending = [(digest, 1)]
        async with within(self._timeouts.index, reference.repository, reference.host):
            while pending:
                current, depth = pending.pop()
                if current in fetched:
                    continue
                fetched.add(current)
                entries = await self._entries(reference, current)
                for entry in entries:
                    if not entry.is_index:
                        found[_as_found(entry, depth)] = None
                pending += [(entry.digest, depth + 1) for entry in entries if entry.is_index]
                _bound(f"{reference.repository}@{digest}", found, fetched, pending)
        return Index(digest=digest, manifests=tuple(found), asked_at=asked_at)

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[str, bytes]:
        """The media type and the body, which hashes to `digest` and is what the type says."""
        target = Target.under(self._rules(), reference)
        name = f"{target.name}@{digest}"
        _require_digest(name, digest)
        media_type, body = await self._body(target, digest)
        media_types.require_known(media_type, name=name)

        def check() -> None:
            if manifests.digest_of(body) != digest:
                raise untrusted(f"{name}: the registry sent something else under this digest")
            manifests.check_body(media_type, body, name=name)

        await _off_loop(body, check)
        return media_type, body

    def tags(self, reference: ImageReference) -> AsyncIterator[Sequence[str]]:
        """See `TagList`."""
        return self._tags.tags(reference)

    async def blob(
        self, reference: ImageReference, digest: str, *, max_bytes: int
    ) -> AsyncGenerator[bytes, None]:
        """The blob in pieces of at most 64 KiB. Who stops in the middle closes it (`aclosing`)."""
        target = Target.under(self._rules(), reference)
        name = f"{target.name}@{digest}"
        _require_digest(name, digest)
        url = target.url("blobs", digest)
        hashed = hashlib.sha256()
        async with self._exchange.stream(target, url, total=self._timeouts.blob) as response:
            async for chunk in self._wire.chunks(response, name=name, limit=max_bytes):
                hashed.update(chunk)
                yield chunk
        if f"sha256:{hashed.hexdigest()}" != digest:
            raise untrusted(f"{name}: the registry sent something else under this digest")

    @asynccontextmanager
    async def _whole(self, seconds: float, target: Target, url: URL) -> AsyncIterator[None]:
        """One question whole, in time, if its registry is asked anything now."""
        host = target.reference.host
        async with self._places.at(host, within=seconds):
            with self._breakers.asking(host) if self._breakers else nullcontext():
                async with within(seconds, target.name, host_of(url)):
                    yield

    async def _entries(self, reference: ImageReference, digest: str) -> list[manifests.Entry]:
        name = f"{reference.repository}@{digest}"
        media_type, body = await self.manifest(reference, digest)
        if media_type not in media_types.INDEX_TYPES:
            raise untrusted(f"{name}: the registry called it an index, and it is a manifest")
        return await _off_loop(body, lambda: manifests.entries_of(body, name=name))

    async def _body(self, target: Target, which: str) -> tuple[str, bytes]:
        url = target.url("manifests", which)
        limit = limits.MAX_MANIFEST_BYTES
        async with (
            self._whole(self._timeouts.manifest, target, url),
            self._exchange.get(target, url, accept=media_types.ACCEPT) as response,
        ):
            body = await self._wire.read(response, name=target.name, limit=limit)
            return media_type_of(response.headers), body


async def _off_loop(body: bytes, work: Callable[[], Done]) -> Done:
    """Do `work` on a body: a large one in a thread, so that it does not hold the loop."""
    return await asyncio.to_thread(work) if len(body) > _LARGE else work()


def _as_found(entry: manifests.Entry, depth: int) -> Manifest:
    """A runtime may pass over the index that an entry is nested in: it is not sure of it."""
    manifest = entry.manifest()
    return manifest if depth == 1 else msgspec.structs.replace(manifest, exact=False)


def _require_digest(name: str, digest: str) -> None:
    if not manifests.is_digest(digest):
        raise untrusted(f"{name}: the digest is not sha256 and 64 hex digits")


def _bound(
    name: str,
    found: Collection[Manifest],
    fetched: Collection[str],
    pending: Collection[tuple[str, int]],
) -> None:
    """Raises PermanentFailure (untrusted) for an index that is too deep or too wide."""
    if any(depth > limits.MAX_INDEX_DEPTH for _, depth in pending):
        raise untrusted(f"{name}: indexes nested more than {limits.MAX_INDEX_DEPTH} deep")
    if len(fetched) + len(pending) > limits.MAX_INDEXES or len(found) > limits.MAX_CHILDREN:
        raise untrusted(
            f"{name}: an index of more than {limits.MAX_INDEXES} indexes or "
            f"{limits.MAX_CHILDREN} manifests"
        )
