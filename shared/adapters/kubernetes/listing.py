"""All objects of one kind, page by page, in so much memory and not more."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

from shared.adapters.kubernetes.call import JSON
from shared.adapters.kubernetes.failures import Expired, TooLarge
from shared.adapters.kubernetes.limits import MAX_CONTINUE, MAX_LIST_PAGES, MAX_LISTINGS
from shared.adapters.kubernetes.objects import Unreadable
from shared.adapters.kubernetes.wire import Wire
from shared.domain.errors import ClusterUnreachable

Item = TypeVar("Item", bound=msgspec.Struct)

_NOTHING: Mapping[str, str] = MappingProxyType({})


class _Meta(msgspec.Struct):
    more: str = msgspec.field(name="continue", default="")


class PageOf(msgspec.Struct, Generic[Item]):
    """Some of the objects, and how to ask for the others."""

    metadata: _Meta = msgspec.field(default_factory=_Meta)
    items: list[Item] | None = None
    """Go writes null for none."""
    kind: str = ""


class Listing(Generic[Item]):
    """How objects of one kind are listed. Raises as `Wire` does."""

    def __init__(
        self,
        *,
        wire: Wire,
        path: str,
        kind: str,
        doing: str,
        decoder: msgspec.json.Decoder[PageOf[Item]],
        limit: int,
        query: Mapping[str, str] = _NOTHING,
        accept: str = JSON,
        most_pages: int = MAX_LIST_PAGES,
    ) -> None:
        """`kind` is that of the list ("PodList"), `limit` how many objects a page has."""
        self._wire = wire
        self._path = path
        self._kind = kind
        self._doing = doing
        self._decoder = decoder
        self._limit = limit
        self._query = query
        self._accept = accept
        self._most_pages = most_pages

    async def pages(self) -> AsyncGenerator[list[Item], None]:
        """All of them; begun again, from the first, where the API server has forgotten what it was
        telling (410)."""
        for left in reversed(range(MAX_LISTINGS)):
            try:
                async with aclosing(self._once()) as pages:
                    async for items in pages:
                        yield items
            except Expired:
                if not left:
                    raise
            else:
                return

    async def _once(self) -> AsyncGenerator[list[Item], None]:
        limit, more = self._limit, ""
        for _ in range(self._most_pages):
            try:
                page = await self._page(limit, more)
            except TooLarge:
                if limit == 1:
                    raise
                # Somebody wrote very much into some of them.
                limit = max(1, limit // 4)
                continue
            yield page.items or []
            more = page.metadata.more
            if not more:
                return
        raise ClusterUnreachable(
            f"the Kubernetes API at {self._wire.host} does not end its answers to '{self._doing}': "
            f"{self._most_pages} pages came, and there are more; is it one?"
        )

    async def _page(self, limit: int, more: str) -> PageOf[Item]:
        query = {**self._query, "limit": str(limit)} | ({"continue": more} if more else {})
        body = await self._wire.get(self._path, query, doing=self._doing, accept=self._accept)
        return await self._wire.decoded(body, self._doing, self._read)

    def _read(self, body: bytes) -> PageOf[Item]:
        """Raises Unreadable."""
        try:
            page = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable("what is no JSON of the form that was asked for") from error
        if page.kind != self._kind:
            raise Unreadable(f"something else than a {self._kind}")
        if len(page.metadata.more) > MAX_CONTINUE:
            raise Unreadable("a list whose continue token is too long")
        return page
