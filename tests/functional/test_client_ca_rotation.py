"""A client CA is exchanged while callers ask without a pause: who is of a CA that holds loses no
answer, and who is of one that was taken away gets none any more."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from services.webhook.callers import Callers
from shared.runtime.clock import SystemClock
from shared.runtime.handshakes import FailedHandshake, HandshakeFault
from shared.runtime.http import Bound, serve
from shared.runtime.reply import json_reply
from shared.runtime.served_certificate import ServedCertificate
from shared.runtime.tls import client_context, ensure_certificate
from tests.fakes.certificates import Authority
from tests.waiting import eventually

OFTEN = 20
NAME = "kube-apiserver"


class Caller:
    """Asks again and again, by one connection as long as it may, or by a new one each time."""

    def __init__(self, trust: ssl.SSLContext, *, keeps: bool) -> None:
        self.answered = 0
        self.refused = 0
        self._trust = trust
        self._keeps = keeps

    async def run(self, url: str, over: asyncio.Event) -> None:
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=1, force_close=not self._keeps)
        async with aiohttp.ClientSession(connector=connector) as session:
            while not over.is_set():
                try:
                    # As the API server does. Nobody asks a second time by himself then.
                    async with session.post(url, data=b"{}") as answer:
                        assert await answer.read() == b"{}"
                    self.answered += 1
                except aiohttp.ClientError:
                    self.refused += 1
                await asyncio.sleep(0.001)


class Site:
    """A port that asks for certificates of the client CA in `file`, and what it said of callers."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "client-ca.crt"
        self.failed: list[FailedHandshake] = []
        self._folder = folder

    def trusts(self, *authorities: Authority) -> None:
        self.file.write_bytes(b"".join([each.file.read_bytes() for each in authorities]))

    def callers(self, authority: Authority) -> list[Caller]:
        """One of each kind."""
        trust = client_context(self._folder / "webhook.crt", own=authority.client(NAME))
        return [Caller(trust, keeps=True), Caller(trust, keeps=False)]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Bound]:
        certificate = ServedCertificate(
            ensure_certificate(self._folder),
            client_ca=self.file,
            every=0.01,
            on_failed=self.failed.append,
        )
        callers = Callers(names=[NAME], clock=SystemClock(), is_current=certificate.holds_for)

        async def answer(http: web.BaseRequest) -> web.StreamResponse:
            await asyncio.sleep(0.005)
            return json_reply(http, b"{}", last=callers.must_come_anew(http.transport))

        async with serve(answer, tls=certificate.context) as bound, asyncio.TaskGroup() as group:
            following = group.create_task(certificate.run())
            yield bound
            following.cancel()


@asynccontextmanager
async def asking(bound: Bound, *callers: Caller) -> AsyncIterator[None]:
    """Beside the block, at whose end each gets what it asked for last."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for caller in callers:
            group.create_task(caller.run(bound.url, over))
        yield
        over.set()


def all_of(callers: list[Caller], *, more: Callable[[Caller], int]) -> Callable[[], bool]:
    """Whether that has happened often to each of them, from now on."""
    before = [more(caller) for caller in callers]
    return lambda: all(
        more(caller) >= was + OFTEN for caller, was in zip(callers, before, strict=True)
    )


def answered(caller: Caller) -> int:
    return caller.answered


def refused(caller: Caller) -> int:
    return caller.refused


async def test_callers_of_either_ca_are_answered_while_both_hold_and_nobody_is_cut_off(
    tmp_path: Path,
) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    site = Site(tmp_path)
    site.trusts(old)
    async with site.serving() as bound:
        before, after = site.callers(old), site.callers(new)
        async with asking(bound, *before, *after):
            await eventually(all_of(before, more=answered))
            await eventually(all_of(after, more=refused))
            assert [answered(caller) for caller in after] == [0, 0]

            site.trusts(old, new)
            await eventually(all_of(after, more=answered))
            strange = [refused(caller) for caller in after]
            await eventually(all_of(before, more=answered))
            assert [refused(caller) for caller in before] == [0, 0]

            site.trusts(new)
            await eventually(all_of(before, more=refused))
            last = [answered(caller) for caller in before]
            await eventually(all_of(before, more=refused))
            await eventually(all_of(after, more=answered))
            assert [answered(caller) for caller in before] == last
            assert [refused(caller) for caller in after] == strange
        # Whoever got no answer was not let in: no answer broke off.
        assert {each.why for each in site.failed} == {HandshakeFault.OTHER_CA}
        assert sum(refused(caller) for caller in (*before, *after)) == len(site.failed)
