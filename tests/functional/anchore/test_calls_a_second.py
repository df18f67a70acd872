"""The transport behind a bucket of calls: whose turn counts, who passes by, what is said."""

import asyncio
import time

import msgspec
import pytest

from shared.adapters.anchore.calls import Call, Limits
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.breaker import Breaker, BreakerState
from shared.domain.errors import TakenForDown, TransientFailure
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import QUICK, Calls

LIST = Call(operation="policies", method="GET", path="/v1/policies")
PROBE = msgspec.structs.replace(LIST, past_breaker=True)


def transport(
    anchore: FakeAnchore,
    calls: Calls,
    *,
    rate: float,
    limits: Limits = QUICK,
    breaker: Breaker | None = None,
) -> AnchoreTransport:
    return AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=msgspec.structs.replace(limits, calls=rate),
        breaker=breaker,
        on_call=lambda operation, outcome, _: calls.append((operation, outcome)),
    )


async def test_no_more_calls_are_made_in_a_second_than_the_limit_says(
    anchore: FakeAnchore, calls: Calls
) -> None:
    async with transport(anchore, calls, rate=20) as opened:
        started = time.monotonic()
        await asyncio.gather(*(opened.call(LIST) for _ in range(40)))
        took = time.monotonic() - started
    assert anchore.store.calls["policies"] == 40
    assert took >= 0.99


async def test_the_retries_of_a_call_take_their_turns_too(
    anchore: FakeAnchore, calls: Calls
) -> None:
    anchore.store.fault("policies", "500")
    async with transport(anchore, calls, rate=2, limits=QUICK) as opened:
        started = time.monotonic()
        with pytest.raises(TransientFailure):
            await opened.call(LIST)
    assert calls == [("policies", "500")] * 3
    assert time.monotonic() - started >= 0.49


async def test_who_has_no_turn_in_time_reads_which_setting_it_is_and_nothing_was_asked(
    anchore: FakeAnchore, calls: Calls
) -> None:
    short = msgspec.structs.replace(QUICK, total=0.2, attempt=0.2)
    async with transport(anchore, calls, rate=0.1) as opened:
        await opened.call(LIST)
    async with transport(anchore, calls, rate=0.1, limits=short) as opened:
        await opened._turn(LIST, time.monotonic() + 1)
        with pytest.raises(TransientFailure, match="raise IMAGEGATE_ANCHORE_CALLS"):
            await opened.call(LIST)
    assert calls == [("policies", "200"), ("policies", "throttled")]
    assert anchore.store.calls["policies"] == 1


async def test_people_and_probes_pass_by(anchore: FakeAnchore, calls: Calls) -> None:
    async with transport(anchore, calls, rate=0.01) as opened:
        await opened.call(LIST)
        for _ in range(5):
            await opened.call(PROBE)
    assert calls == [("policies", "200")] * 6


async def test_who_is_refused_by_the_breaker_takes_no_turn(
    anchore: FakeAnchore, calls: Calls, clock: FakeClock
) -> None:
    breaker = Breaker(what="Anchore", clock=clock, failures=1)
    once = msgspec.structs.replace(LIST, repeatable=False)
    anchore.store.fault("policies", "500")
    async with transport(anchore, calls, rate=2, breaker=breaker) as opened:
        with pytest.raises(TakenForDown):
            await opened.call(once)
        assert breaker.state is BreakerState.OPEN
        for _ in range(100):
            with pytest.raises(TakenForDown):
                await opened.call(once)
    assert anchore.store.calls["policies"] == 1
