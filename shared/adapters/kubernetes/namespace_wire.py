"""What is asked about namespaces: their metadata alone."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote

from shared.adapters.kubernetes import objects
from shared.adapters.kubernetes.access import Access, Server
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.objects import Event, Page, Partial
from shared.adapters.kubernetes.over_wire import OverWire

PATH = "/api/v1/namespaces"

ADVICE = (
    "bind the ClusterRole imagegate-webhook (get, list and watch of namespaces) to the webhook's "
    "ServiceAccount (the chart: webhook.readNamespaces)"
)


class NamespaceWire(OverWire):
    """Pages, single ones and a watch. An async context manager; raises as `Wire` does."""

    def __init__(self, *, server: Server, pace: Pace) -> None:
        super().__init__(server=server, pace=pace, advice=ADVICE)
        self._pace = pace

    @property
    def access(self) -> Access:
        """What is needed to ask."""
        return self._wire.access

    async def page(self, *, limit: int, more: str = "") -> Page:
        """Some namespaces, `more` is the token of the page before; what is the newest."""
        query = {"limit": str(limit)} | ({"continue": more} if more else {})
        doing = "list namespaces"
        body = await self._wire.get(PATH, query, accept=objects.LIST, doing=doing)
        return await self._wire.decoded(body, doing, objects.read_page)

    async def namespace(self, name: str) -> Partial:
        """One namespace, as it is now."""
        doing = "get a namespace"
        path = f"{PATH}/{quote(name, safe='')}"
        body = await self._wire.get(path, accept=objects.ONE, doing=doing, within=self._pace.read)
        return await self._wire.decoded(
            body, doing, lambda body: objects.read_namespace(body, name)
        )

    async def watch(self, version: str) -> AsyncGenerator[Event, None]:
        """What changed after `version`, until the API server ends it. Who stops in the middle
        closes it (`aclosing`)."""
        doing = "watch namespaces"
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(self._pace.watch),
        }
        async with aclosing(
            self._wire.lines(PATH, query, accept=objects.ONE, doing=doing)
        ) as lines:
            async for line in lines:
                yield await self._wire.decoded(line, doing, objects.read_event)
