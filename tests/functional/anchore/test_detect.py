"""Which API a server speaks: found out once, and again where it was exchanged."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.adapters.anchore.detect import Api, DetectedAnchore, Detection
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.breaker import Breaker, BreakerState
from shared.domain.errors import ErrorKind, PermanentFailure, TakenForDown, TransientFailure
from shared.domain.verdict import Question, Subject
from shared.ports.scanner import Analysis
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import NOW, QUICK

DIGEST = "sha256:" + "a" * 64
APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")
MINE = Question()
VERSION_3 = '{"api": {"version": "3"}, "service": {"version": "7.0.0"}}'


@asynccontextmanager
async def asked(
    anchore: FakeAnchore, *, known: Api | None = None, breaker: Breaker | None = None
) -> AsyncIterator[DetectedAnchore]:
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=QUICK, breaker=breaker
    ) as transport:
        detection = Detection(transport=transport, known=known)
        yield DetectedAnchore(detection=detection, transport=transport, clock=FakeClock(now=NOW))


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_the_server_says_which_it_speaks_once(api: str) -> None:
    async with FakeAnchore(api=api) as anchore, asked(anchore) as scanner:
        assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
        assert (await scanner.submit(APP, MINE)).state is not Analysis.UNKNOWN
        assert anchore.store.calls == {"version": 1, "image_get": 1, "image_add": 1}
        assert (await scanner.info()).api == api


async def test_many_who_want_to_know_at_once_ask_once() -> None:
    async with FakeAnchore(api="v2") as anchore, asked(anchore) as scanner:
        await asyncio.gather(*(scanner.analysis(APP, MINE) for _ in range(30)))
        assert anchore.store.calls["version"] == 1


async def test_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    async with FakeAnchore(api="v2") as anchore, asked(anchore) as scanner:
        anchore.store.fault("version", "500", times=1)
        impatient = asyncio.create_task(scanner.analysis(APP, MINE))
        patient = asyncio.create_task(scanner.analysis(APP, MINE))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).state is Analysis.UNKNOWN
        with pytest.raises(asyncio.CancelledError):
            await impatient


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_an_image_that_is_not_known_is_no_reason_to_ask_again(api: str) -> None:
    async with FakeAnchore(api=api) as anchore, asked(anchore) as scanner:
        for _ in range(5):
            assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
        assert anchore.store.calls["version"] == 1


@pytest.mark.parametrize(("before", "after"), [("v1", "v2"), ("v2", "v1")])
async def test_a_server_that_was_exchanged_for_one_of_the_other_api_is_asked_in_it(
    before: str, after: str
) -> None:
    async with FakeAnchore(api=before) as anchore, asked(anchore) as scanner:
        await scanner.submit(APP, MINE)
        await anchore.upgrade(after)
        assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
        assert (await scanner.info()).api == after
        assert anchore.store.calls["version"] == 2


@pytest.mark.parametrize(("before", "after"), [("v1", "v2"), ("v2", "v1")])
async def test_a_probe_notices_an_exchange_too(before: str, after: str) -> None:
    async with FakeAnchore(api=before) as anchore, asked(anchore) as scanner:
        await scanner.info()
        await anchore.upgrade(after)
        assert (await scanner.info()).api == after


async def test_a_path_that_is_missing_without_an_exchange_is_a_failure_that_says_so() -> None:
    async with FakeAnchore(api="v2") as anchore, asked(anchore) as scanner:
        anchore.store.fault("image_get", "404-path")
        with pytest.raises(TransientFailure, match="See whether ANCHORE_URL and ANCHORE_API"):
            await scanner.analysis(APP, MINE)
        assert anchore.store.calls == {"version": 2, "image_get": 1}


async def test_what_was_said_by_hand_is_never_asked() -> None:
    async with FakeAnchore(api="v1") as anchore, asked(anchore, known=Api.V2) as scanner:
        for call in (scanner.analysis, scanner.submit, scanner.evaluate):
            with pytest.raises(TransientFailure, match="no Anchore API of this version"):
                await call(APP, MINE)
        assert anchore.store.calls == {"unknown": 3}


async def test_an_ingress_that_hands_on_v2_alone_tells_the_version_there() -> None:
    async with (
        FakeAnchore(api="v2", version_path="/v2/version") as anchore,
        asked(anchore) as scanner,
    ):
        assert (await scanner.info()).version == "5.21.0"


async def test_a_page_where_the_version_should_be_is_no_answer() -> None:
    async with FakeAnchore(api="v2") as anchore, asked(anchore) as scanner:
        anchore.store.fault("version", "html", times=QUICK.attempts)
        assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN


@pytest.mark.parametrize("kind", ["html", "404-path", "401"])
async def test_a_server_that_does_not_tell_is_a_failure_with_a_way_out(kind: str) -> None:
    async with FakeAnchore(api="v2") as anchore, asked(anchore) as scanner:
        anchore.store.fault("version", kind)
        with pytest.raises(TransientFailure, match="or set ANCHORE_API to v1 or v2"):
            await scanner.analysis(APP, MINE)


async def test_an_api_that_we_do_not_speak_is_named() -> None:
    async with FakeAnchore(api="v2") as anchore, asked(anchore) as scanner:
        anchore.store.fault("version", "json", value=VERSION_3)
        with pytest.raises(PermanentFailure, match="speaks version 3 of its API") as failure:
            await scanner.analysis(APP, MINE)
        assert failure.value.kind is ErrorKind.MISCONFIGURED


async def test_a_server_that_is_down_at_first_is_asked_again_later() -> None:
    async with FakeAnchore(api="v2") as anchore:
        await anchore.stop()
        async with asked(anchore) as scanner:
            with pytest.raises(TransientFailure, match="cannot be asked"):
                await scanner.info()
            await anchore.start()
            assert (await scanner.info()).api == "v2"


async def test_what_asks_for_the_version_is_spared_by_the_breaker_but_for_people() -> None:
    breaker = Breaker(what="Anchore", clock=FakeClock())
    async with FakeAnchore(api="v2") as anchore, asked(anchore, breaker=breaker) as scanner:
        await anchore.stop()
        for _ in range(2):
            with pytest.raises(TransientFailure):
                await scanner.analysis(APP, MINE)
        assert breaker.state is BreakerState.OPEN
        await anchore.start()
        with pytest.raises(TakenForDown):
            await scanner.analysis(APP, MINE)
        assert (await scanner.info()).api == "v2"
