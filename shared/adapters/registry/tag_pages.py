"""Pages of a repository's tags (OCI distribution, "Listing Tags")."""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import msgspec
from yarl import URL

from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.exchange import Exchange
from shared.adapters.registry.failures import untrusted, within
from shared.adapters.registry.limits import MAX_MANIFEST_BYTES, MAX_TAG_PAGES, TAGS_PAGE
from shared.adapters.registry.wire import Wire, host_of
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules
from shared.ports.tags import MAX_TAGS

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_LINK = re.compile(r"<([^<>]*)>([^<>]*)")
_IS_NEXT = re.compile(r";\s*rel\s*=\s*\"?[^\";]*\bnext\b", re.ASCII | re.IGNORECASE)


class _Page(msgspec.Struct):
    tags: list[str] | None = None
    """Null where there is none."""


class TagPages:
    """A `TagList`."""

    def __init__(
        self, *, wire: Wire, exchange: Exchange, rules: Callable[[], Rules], within: float
    ) -> None:
        """`within`: seconds for a page."""
        self._wire = wire
        self._exchange = exchange
        self._rules = rules
        self._within = within

    async def tags(self, reference: ImageReference) -> AsyncIterator[Sequence[str]]:
        """All of them. Raises PermanentFailure (untrusted) for more than MAX_TAGS, without an end,
        or where nobody can tell how to go on: what came before is not all."""
        target = Target.under(self._rules(), reference)
        query: Mapping[str, str] = {"n": str(TAGS_PAGE)}
        seen: set[str] = set()
        for _ in range(MAX_TAG_PAGES):
            page, following = await self._page(target, query)
            fresh = [tag for tag in dict.fromkeys(page) if tag not in seen and _TAG.fullmatch(tag)]
            seen.update(fresh)
            if len(seen) > MAX_TAGS:
                raise untrusted(f"{target.name}: it has more than {MAX_TAGS} tags")
            yield fresh
            if following is None:
                return
            query = following
        raise untrusted(f"{target.name}: its tags do not end after {MAX_TAG_PAGES} pages")

    async def _page(
        self, target: Target, query: Mapping[str, str]
    ) -> tuple[list[str], Mapping[str, str] | None]:
        """The tags, and how to ask for the next ones."""
        url = target.listing.with_query(query)
        async with (
            within(self._within, target.name, host_of(url)),
            self._exchange.get(target, url, accept="application/json") as response,
        ):
            body = await self._wire.read(response, name=target.name, limit=MAX_MANIFEST_BYTES)
            link = _next(", ".join(response.headers.getall("Link", ())))
        try:
            tags = msgspec.json.decode(body, type=_Page).tags
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise untrusted(f"{target.name}: the registry sent no list of tags") from error
        if link is None:
            return tags or [], None
        following = _query(link)
        if not following:
            raise untrusted(f"{target.name}: its list of tags goes on, and does not say where")
        return tags or [], following


def _next(links: str) -> str | None:
    """The URL of the next page; None: this was the last."""
    return next((url for url, words in _LINK.findall(links) if _IS_NEXT.search(words)), None)


def _query(link: str) -> Mapping[str, str]:
    """Of the next page's URL what is asked: where it leads is for us to know."""
    try:
        return dict(URL(link).query)
    except ValueError:
        return {}
