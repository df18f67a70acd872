"""A registry that does not answer is left alone: what opens its breaker, and whom that concerns."""

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web

from shared.adapters.breaker import FAILURES, LONGEST
from shared.adapters.registry.breakers import RegistryBreakers
from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.failures import NoAnswer
from shared.adapters.registry.limits import MAX_CONNECTIONS_PER_HOST, Timeouts
from shared.domain.errors import PermanentFailure, StepFailure, TakenForDown, TransientFailure
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.clock import FakeClock
from tests.fakes.images import index_of, tiny_image
from tests.fakes.registry import FakeRegistry, Fault, Login, answer, hang
from tests.functional.registry.conftest import PATIENT, rules_naming
from tests.waiting import eventually

HASTY = Timeouts(connect=0.5, head=0.3, manifest=0.3, index=1, token=0.3, idle=0.3, blob=1)
MOST = 4
"""Hosts that are remembered."""
CONTENT = tiny_image()


class Rig:
    """A client with breakers, and the registry that its rules name."""

    def __init__(
        self,
        registry: FakeRegistry,
        clock: FakeClock,
        rules: Rules,
        *,
        timeouts: Timeouts = PATIENT,
    ) -> None:
        self.registry, self.clock = registry, clock
        self.breakers = RegistryBreakers(rules=lambda: rules, clock=clock, max_hosts=MOST)
        self.client = RegistryClient(
            rules=lambda: rules, clock=clock, timeouts=timeouts, breakers=self.breakers
        )
        self.reference = registry.put(CONTENT, "team/app:1")

    async def asks(self, times: int = 1, *, reference: ImageReference | None = None) -> StepFailure:
        """Ask that often, each time in vain; the last failure."""
        failure: StepFailure | None = None
        for _ in range(times):
            with pytest.raises(StepFailure) as caught:
                await self.client.resolve(reference or self.reference)
            failure = caught.value
        assert failure is not None
        return failure


@pytest.fixture
async def rig(registry: FakeRegistry, clock: FakeClock) -> AsyncIterator[Rig]:
    rig = Rig(registry, clock, rules_naming(registry))
    async with rig.client:
        yield rig


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("fault", [answer(500), answer(503), hang, hangs_up])
async def test_a_registry_that_fails_or_is_silent_is_not_asked_any_more(
    registry: FakeRegistry, clock: FakeClock, fault: Fault
) -> None:
    timeouts = HASTY if fault is hang else PATIENT
    rig = Rig(registry, clock, rules_naming(registry), timeouts=timeouts)
    registry.fault("manifests", fault)
    async with rig.client:
        assert not isinstance(await rig.asks(FAILURES - 1), TakenForDown)
        assert isinstance(await rig.asks(), TakenForDown)
        asked = len(registry.requests)
        assert isinstance(await rig.asks(20), TakenForDown)
    assert len(registry.requests) == asked
    assert rig.breakers.down() == {True: 1, False: 0}


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429])
async def test_one_that_answers_is_not_down_whatever_it_says(rig: Rig, status: int) -> None:
    rig.registry.fault("manifests", answer(status))
    await rig.asks(3 * FAILURES)
    assert len(rig.registry.requests) >= 3 * FAILURES
    assert rig.breakers.down() == {True: 0, False: 0}


async def test_who_is_refused_reads_which_registry_since_when_and_why(rig: Rig) -> None:
    rig.registry.fault("manifests", answer(503))
    await rig.asks(FAILURES)
    refused = await rig.asks()
    assert isinstance(refused, TakenForDown)
    assert refused.retry_after == 1.0
    text = str(refused)
    assert text.startswith(f"the registry {rig.registry.host} is taken for down since 2025-")
    assert f"{rig.registry.host} answered 503" in text


async def test_after_its_time_one_question_is_let_through_and_its_answer_opens_the_way(
    rig: Rig,
) -> None:
    rig.registry.fault("manifests", answer(503))
    await rig.asks(FAILURES)
    rig.clock.advance(1_000)
    asked = len(rig.registry.requests)
    assert isinstance(await rig.asks(3), TakenForDown)
    assert len(rig.registry.requests) == asked + 1
    rig.registry.heal()
    rig.clock.advance(round(1000 * LONGEST))
    assert (await rig.client.resolve(rig.reference)).digest == CONTENT.digest
    assert rig.breakers.down() == {True: 0, False: 0}


async def test_a_registry_that_comes_back_with_a_404_or_a_429_is_back(rig: Rig) -> None:
    for status in (404, 429):
        rig.registry.fault("manifests", answer(503))
        await rig.asks(FAILURES)
        rig.registry.fault("manifests", answer(status))
        rig.clock.advance(round(1000 * LONGEST))
        await rig.asks()
        assert rig.breakers.down() == {True: 0, False: 0}


async def test_another_registry_is_asked_as_ever(rig: Rig, clock: FakeClock) -> None:
    async with FakeRegistry() as other:
        both = Rig(other, clock, rules_naming(rig.registry, other))
        both.registry.fault("manifests", answer(503))
        good = rig.registry.put(CONTENT, "team/app:1")
        async with both.client:
            await both.asks(FAILURES)
            assert isinstance(await both.asks(), TakenForDown)
            assert (await both.client.resolve(good)).digest == CONTENT.digest


async def test_manifests_and_indexes_are_asked_for_through_it_too(rig: Rig) -> None:
    index = index_of((CONTENT, "linux/amd64"))
    reference = rig.registry.put(index, "team/app:2")
    rig.registry.fault("manifests", answer(503))
    for _ in range(FAILURES):
        with pytest.raises(TransientFailure):
            await rig.client.manifest(reference, CONTENT.digest)
    with pytest.raises(TakenForDown):
        await rig.client.index(reference, index.digest, asked_at=0)
    assert isinstance(await rig.asks(), TakenForDown)


async def test_a_token_service_that_is_down_makes_its_registry_down(rig: Rig) -> None:
    rig.registry.login = Login()
    rig.registry.fault("token", answer(503))
    await rig.asks(FAILURES)
    assert isinstance(await rig.asks(), TakenForDown)


async def test_failures_between_answers_open_nothing(rig: Rig) -> None:
    for _ in range(3):
        rig.registry.fault("manifests", answer(503))
        await rig.asks(FAILURES - 1)
        rig.registry.heal()
        await rig.client.resolve(rig.reference)
    assert rig.breakers.down() == {True: 0, False: 0}


async def test_an_outage_is_one_line_in_the_log_and_its_end_another(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rig.registry.fault("manifests", answer(503))
    await rig.asks(10 * FAILURES)
    rig.registry.heal()
    rig.clock.advance(1_000)
    await rig.client.resolve(rig.reference)
    said = [each.getMessage() for each in caplog.records if "registry" in each.getMessage()]
    assert [f"the registry {rig.registry.host} " in line for line in said] == [True, True]


async def test_what_we_refuse_to_ask_says_nothing_of_it(rig: Rig) -> None:
    """A link-local address is never asked, whatever the rules name."""
    strange = parse_reference("169.254.169.254:80/team/app:1")
    for _ in range(2 * FAILURES):
        assert isinstance(await rig.asks(reference=strange), PermanentFailure)
    assert rig.breakers.down() == {True: 0, False: 0}


async def test_of_many_hosts_the_ones_that_the_rules_name_are_forgotten_last(
    registry: FakeRegistry, clock: FakeClock
) -> None:
    rules = Rules(registries=(RegistryRule(host=registry.host, insecure=True),))
    rig = Rig(registry, clock, rules)
    registry.fault("manifests", answer(503))
    async with rig.client:
        await rig.asks(FAILURES)
        for number in range(10 * MOST):
            with pytest.raises(TransientFailure), rig.breakers.asking(f"{number}.example"):
                raise TransientFailure("not reached")
        assert isinstance(await rig.asks(), TakenForDown)
    assert rig.breakers.down() == {True: 1, False: 0}


async def test_hosts_that_nobody_named_are_counted_apart(
    registry: FakeRegistry, clock: FakeClock
) -> None:
    rig = Rig(registry, clock, Rules())
    for _ in range(FAILURES):
        with pytest.raises(TransientFailure), rig.breakers.asking("gone.example"):
            raise NoAnswer("no connection")
    assert rig.breakers.down() == {True: 0, False: 1}


async def test_to_wait_for_one_of_our_own_connections_is_not_the_registrys_silence(
    registry: FakeRegistry, clock: FakeClock
) -> None:
    """All of them are taken by what is slow and answers in the end."""
    slow, rules = asyncio.Event(), rules_naming(registry)
    reference = registry.put(CONTENT, "team/app:1")

    async def takes_its_time(_request: web.Request) -> web.StreamResponse:
        await slow.wait()
        return web.Response(body=CONTENT.manifest, headers={"Content-Type": CONTENT.media_type})

    registry.fault(CONTENT.digest, takes_its_time)
    breakers = RegistryBreakers(rules=lambda: rules, clock=clock)
    timeouts = msgspec.structs.replace(PATIENT, head=HASTY.head, manifest=60.0)
    async with RegistryClient(
        rules=lambda: rules, clock=clock, timeouts=timeouts, breakers=breakers
    ) as client:
        reading = [
            asyncio.create_task(client.manifest(reference, CONTENT.digest))
            for _ in range(MAX_CONNECTIONS_PER_HOST)
        ]
        await eventually(lambda: len(registry.requests) == MAX_CONNECTIONS_PER_HOST)
        for _ in range(FAILURES):
            with pytest.raises(TransientFailure, match="none of our 32 connections") as caught:
                await client.resolve(reference)
            assert not isinstance(caught.value, TakenForDown)
        slow.set()
        assert len(await asyncio.gather(*reading)) == MAX_CONNECTIONS_PER_HOST

        async def is_resolved() -> bool:
            try:
                return (await client.resolve(reference)).digest == CONTENT.digest
            except NoAnswer:  # not within the short time of a HEAD
                return False

        await eventually(is_resolved)
