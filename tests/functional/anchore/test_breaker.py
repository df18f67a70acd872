"""The transport behind a circuit breaker: what opens it, who is refused, who asks past it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import msgspec
import pytest

from shared.adapters.anchore.calls import Call, Limits
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.breaker import Breaker, BreakerState
from shared.domain.errors import TakenForDown, TransientFailure
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import HASTY, QUICK, Calls

LIST = Call(operation="policies", method="GET", path="/v1/policies")
ONCE = msgspec.structs.replace(LIST, repeatable=False)
FAILURES = 5


@pytest.fixture
def breaker(anchore: FakeAnchore, clock: FakeClock) -> Breaker:
    return Breaker(what=f"Anchore at {anchore.url}", clock=clock, failures=FAILURES)


@pytest.fixture
async def transport(
    anchore: FakeAnchore, calls: Calls, breaker: Breaker
) -> AsyncIterator[AnchoreTransport]:
    async with AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=QUICK,
        breaker=breaker,
        on_call=lambda operation, outcome, _: calls.append((operation, outcome)),
    ) as opened:
        yield opened


async def fails(transport: AnchoreTransport, call: Call, times: int) -> None:
    for _ in range(times):
        with pytest.raises(TransientFailure):
            await transport.call(call)


@pytest.mark.parametrize("kind", ["500", "500-problem", "close", "broken"])
async def test_a_server_that_fails_is_left_alone_after_a_few_attempts(
    anchore: FakeAnchore, transport: AnchoreTransport, breaker: Breaker, kind: str
) -> None:
    anchore.store.fault("policies", kind)
    await fails(transport, ONCE, FAILURES)
    assert breaker.state is BreakerState.OPEN
    asked = anchore.store.calls["policies"]
    await fails(transport, ONCE, 20)
    assert anchore.store.calls["policies"] == asked


@pytest.mark.parametrize("kind", ["401", "403", "404-path", "429", "redirect"])
async def test_whoever_answers_is_not_down_whatever_the_answer_is(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls, kind: str
) -> None:
    anchore.store.fault("policies", kind)
    for _ in range(2 * FAILURES):
        with suppress(TransientFailure):
            await transport.call(ONCE)
    assert len(calls) == 2 * FAILURES
    assert "refused" not in {outcome for _, outcome in calls}


async def test_a_server_that_hangs_is_down_too(anchore: FakeAnchore, breaker: Breaker) -> None:
    anchore.store.fault("policies", "hang")
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=HASTY, breaker=breaker
    ) as transport:
        await fails(transport, LIST, FAILURES)
    assert breaker.state is BreakerState.OPEN


async def test_the_retries_of_one_call_end_when_it_opens_and_the_call_says_so(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "500")
    await fails(transport, LIST, 1)
    with pytest.raises(TakenForDown, match=r"5 attempts failed, .* answered 500 to policies"):
        await transport.call(LIST)
    assert calls == [("policies", "500")] * 5 + [("policies", "refused")]


async def test_the_call_that_opens_it_is_told_of_the_outage_even_if_it_may_not_be_repeated(
    anchore: FakeAnchore, transport: AnchoreTransport
) -> None:
    anchore.store.fault("policies", "500")
    await fails(transport, ONCE, FAILURES - 1)
    with pytest.raises(TakenForDown):
        await transport.call(ONCE)


async def test_it_closes_when_the_server_is_back_and_its_time_is_over(
    anchore: FakeAnchore, transport: AnchoreTransport, breaker: Breaker, clock: FakeClock
) -> None:
    await anchore.stop()
    await fails(transport, LIST, 2)
    await anchore.start()
    with pytest.raises(TakenForDown) as refused:
        await transport.call(LIST)
    assert refused.value.retry_after
    clock.advance(1_000)
    assert (await transport.call(LIST)).status == 200
    assert breaker.state is BreakerState.CLOSED


async def test_probes_and_people_ask_past_it_and_hear_what_the_server_says_now(
    anchore: FakeAnchore, transport: AnchoreTransport, breaker: Breaker, clock: FakeClock
) -> None:
    scanner = AnchoreV1(transport=transport, clock=clock)
    anchore.store.fault("policies", "500")
    await fails(transport, ONCE, FAILURES)
    with pytest.raises(TransientFailure, match="answered 500") as failure:
        await scanner.info()
    assert not isinstance(failure.value, TakenForDown)
    anchore.store.heal()
    assert (await scanner.info()).api == "v1"
    assert breaker.state is BreakerState.OPEN


async def test_of_each_worker_one_call_finds_out_whether_the_server_is_back(
    anchore: FakeAnchore, clock: FakeClock
) -> None:
    """Each has a breaker of its own: a server that is down gets as many calls as there are workers,
    and not as many as there are steps."""
    anchore.store.fault("policies", "500")
    async with AsyncExitStack() as stack:
        workers = []
        for number in range(3):
            breaker = Breaker(what=f"Anchore {number}", clock=clock, failures=FAILURES)
            opened = AnchoreTransport(
                url=anchore.url, user="admin", password="foobar", limits=QUICK, breaker=breaker
            )
            workers.append(await stack.enter_async_context(opened))
        for worker in workers:
            await fails(worker, ONCE, FAILURES)
        for pause in (1, 2, 4, 8, 10, 10):
            asked = anchore.store.calls["policies"]
            clock.advance(1_000 * pause)
            calls = [worker.call(ONCE) for worker in workers for _ in range(20)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(end) for end in ends} == {TakenForDown}
            assert anchore.store.calls["policies"] == asked + len(workers)
        anchore.store.heal()
        clock.advance(10_000)
        for worker in workers:
            assert (await worker.call(ONCE)).status == 200


async def test_probes_that_fail_open_nothing(
    anchore: FakeAnchore, transport: AnchoreTransport, breaker: Breaker, clock: FakeClock
) -> None:
    scanner = AnchoreV1(transport=transport, clock=clock)
    anchore.store.fault("policies", "500")
    for _ in range(FAILURES):
        with pytest.raises(TransientFailure):
            await scanner.info()
    assert breaker.state is BreakerState.CLOSED


async def test_calls_that_wait_for_a_connection_of_ours_are_no_silence_of_the_servers(
    anchore: FakeAnchore, breaker: Breaker, calls: Calls
) -> None:
    anchore.store.fault("policies", "hang")
    async with AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=Limits(attempts=1, attempt=2.0, total=2.0, connections=1),
        breaker=breaker,
        on_call=lambda operation, outcome, _: calls.append((operation, outcome)),
    ) as transport:
        ends = await asyncio.gather(
            *(transport.call(ONCE) for _ in range(2 * FAILURES)), return_exceptions=True
        )
        anchore.store.heal()
        assert (await transport.call(ONCE)).status == 200
    said = [str(end) for end in ends[1:]]
    assert all("none of our 1 connections to Anchore was free for policies" in end for end in said)
    outcomes = [outcome for _, outcome in calls]
    assert outcomes == ["busy"] * (2 * FAILURES - 1) + ["timeout", "200"]
