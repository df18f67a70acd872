"""One question to a registry, whole: where, as whom, and through which redirects.

Credentials go with the first request only: never to where a redirect leads.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
from yarl import URL

from shared.adapters.registry.endpoints import Target, named_origins, origin_of
from shared.adapters.registry.failures import refused
from shared.adapters.registry.limits import MAX_REDIRECTS
from shared.adapters.registry.tokens import Authenticator
from shared.adapters.registry.wire import Wire, host_of
from shared.domain.rules import Rules

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Exchange:
    """Asks; what comes back is a 200 or an error of the port's."""

    def __init__(
        self, *, wire: Wire, authenticator: Authenticator, rules: Callable[[], Rules]
    ) -> None:
        self._wire = wire
        self._authenticator = authenticator
        self._rules = rules

    def head(
        self, target: Target, url: URL, *, accept: str
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A HEAD of a manifest."""
        return self._ask("HEAD", target, url, accept=accept)

    def get(
        self, target: Target, url: URL, *, accept: str
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A GET of a manifest."""
        return self._ask("GET", target, url, accept=accept)

    def stream(
        self, target: Target, url: URL, *, total: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A GET of a blob, which may be kept on any other server."""
        return self._ask("GET", target, url, accept="*/*", total=total, anywhere=True)

    @asynccontextmanager
    async def _ask(
        self,
        method: str,
        target: Target,
        url: URL,
        *,
        accept: str,
        total: float | None = None,
        anywhere: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": accept}
        response = await self._with_proof(method, target, url, headers, total)
        followed = 0
        while response.status in _REDIRECTS:
            response.release()
            if followed == MAX_REDIRECTS:
                raise refused(
                    f"{target.name}: more than {MAX_REDIRECTS} redirects, one after another"
                )
            followed += 1
            url = self._redirected(target, response, anywhere=anywhere)
            response = await self._wire.send(
                method, url, name=target.name, headers=headers, total=total
            )
        async with response:
            if response.status != 200:
                raise await self._wire.failure(response, name=target.name)
            yield response

    async def _with_proof(
        self, method: str, target: Target, url: URL, headers: dict[str, str], total: float | None
    ) -> aiohttp.ClientResponse:
        """Send with the proof that was good before; answer one 401, and one more where what we
        answered with was a helper's older word."""

        async def send(proof: str | None) -> aiohttp.ClientResponse:
            sent = {**headers, "Authorization": proof} if proof else headers
            return await self._wire.send(method, url, name=target.name, headers=sent, total=total)

        known = self._authenticator.known(target)
        response = await send(known)
        if response.status != 401:
            return response
        response.release()
        proof = await self._authenticator.answer(target, _asked(response), refused_proof=known)
        response = await send(proof)
        if response.status != 401:
            return response
        newer = await self._authenticator.another(target, _asked(response), refused_proof=proof)
        if newer is None:
            return response
        response.release()
        return await send(newer)

    def _redirected(
        self, target: Target, response: aiohttp.ClientResponse, *, anywhere: bool
    ) -> URL:
        """Where a redirect leads, if we go there."""
        before = response.url
        location = response.headers.get("Location", "")
        try:
            after = before.join(URL(location, encoded=True)).with_fragment(None)
            usable = after.scheme in ("http", "https") and bool(after.raw_host and after.port)
        except ValueError as error:
            raise refused(f"{target.name}: {host_of(before)} redirects to no usable URL") from error
        if not location or not usable or after.raw_user is not None:
            raise refused(f"{target.name}: {host_of(before)} redirects to no usable URL")
        origin, named = origin_of(after), named_origins(self._rules())
        where = f"{target.name}: {host_of(before)} redirects to {after.scheme}://{host_of(after)}"
        if after.scheme == "http" and (before.scheme == "https" or origin not in named):
            raise refused(f"{where}, which is plain HTTP; it is not followed")
        if not anywhere and origin not in named:
            raise refused(
                f"{where} for a manifest; it is followed only to a host that the rules name: "
                "add it to `registries` if it is trusted with this repository"
            )
        return after


def _asked(response: aiohttp.ClientResponse) -> list[str]:
    return response.headers.getall("WWW-Authenticate", [])
