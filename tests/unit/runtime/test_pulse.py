import asyncio
import contextlib
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from shared.adapters.memory.presence import MemoryPresence
from shared.domain.errors import StoreError, StoreMisconfigured, StoreUnreachable
from shared.domain.reference import parse_reference
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.ports.carried import Carried
from shared.ports.presence import Alive, Beat
from shared.runtime.health import Check
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import MAX_HOST, Pulse, new_name, own_version, pulse_of
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.virtual_time

SOON = 0.01
"""Seconds between two beats, and two looks."""


class Store:
    """A presence that may be away or hang, and what it was told."""

    def __init__(self) -> None:
        self.present = MemoryPresence(clock=FakeClock())
        self.trouble: Exception | None = None
        self.hangs = False
        self.tries = 0
        self.heard: list[Beat] = []
        self.news = asyncio.Event()

    async def beat(self, beat: Beat) -> None:
        await self._answer()
        await self.present.beat(beat)
        self.heard.append(beat)

    async def goodbye(self, name: str) -> None:
        await self._answer()
        await self.present.goodbye(name)

    async def alive(self) -> list[Alive]:
        return await self.present.alive()

    async def names(self) -> list[str]:
        return [one.beat.name for one in await self.alive()]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`; it is asked after each try to tell something."""
        async with asyncio.timeout(5):
            while not holds():
                self.news.clear()
                await self.news.wait()

    async def tries_more(self, number: int = 3) -> None:
        wanted = self.tries + number
        await self.until(lambda: self.tries >= wanted)

    async def _answer(self) -> None:
        self.tries += 1
        self.news.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None:
            raise self.trouble


async def well() -> None:
    pass


async def hangs() -> None:
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def beating(
    store: Store, checks: Mapping[str, Check] | None = None, *, metrics: Metrics | None = None
) -> AsyncIterator[Pulse]:
    """A pulse that is running."""
    pulse = Pulse(
        presence=store,
        beat=lambda: Beat(name="a", service="worker", version="1", started=1),
        checks=checks or {},
        metrics=metrics or Metrics(),
        beat_every=SOON,
        look_every=SOON,
    )
    task = asyncio.create_task(pulse.run())
    try:
        yield pulse
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait({task})


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in caplog.records]


# Beats


async def test_a_process_beats_at_once_and_again_and_again() -> None:
    store = Store()
    async with beating(store):
        await store.until(lambda: len(store.heard) >= 3)
    assert await store.names() == ["a"]


async def test_trouble_with_the_store_is_said_once_an_outage_and_so_is_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store = Store()
    async with beating(store):
        for _ in range(2):
            store.trouble = StoreUnreachable("Redis is down")
            await store.tries_more()
            store.trouble = None
            await store.tries_more()
    outage = [
        (logging.WARNING, "nobody hears that this process is alive; it works all the same"),
        (logging.INFO, "our presence is heard again"),
    ]
    assert said(caplog) == outage * 2
    assert vars(caplog.records[0])["why"] == "Redis is down"


@pytest.mark.parametrize(
    "trouble", [StoreMisconfigured("check the ACL"), ValueError("a beat of 9999 bytes"), KeyError()]
)
async def test_what_a_person_must_correct_is_an_error_and_the_process_goes_on(
    caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    store = Store()
    store.trouble = trouble
    async with beating(store):
        await store.tries_more()
        store.trouble = None
        await store.until(lambda: bool(store.heard))
    assert [level for level, _ in said(caplog)] == [logging.ERROR]


async def test_a_beat_that_cannot_be_made_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Beat:
        raise ZeroDivisionError

    store = Store()
    looked = asyncio.Event()

    async def look() -> None:
        looked.set()

    pulse = Pulse(
        presence=store,
        beat=broken,
        checks={"store": look},
        metrics=Metrics(),
        beat_every=SOON,
        look_every=SOON,
    )
    task = asyncio.create_task(pulse.run())
    await asyncio.sleep(5 * SOON)
    await looked.wait()
    assert not task.done()
    await pulse.goodbye()
    task.cancel()
    assert "ZeroDivisionError" in caplog.text


# Looks


async def test_what_does_not_answer_is_told_with_each_beat_until_it_is_back() -> None:
    store, up = Store(), {"anchore": False}

    async def anchore() -> None:
        if not up["anchore"]:
            raise StoreError("no")

    async with beating(store, {"store": well, "anchore": anchore}):
        await store.until(lambda: bool(store.heard) and store.heard[-1].away == ("anchore",))
        up["anchore"] = True
        await store.until(lambda: store.heard[-1].away == ())


async def test_a_check_that_hangs_stops_no_beat() -> None:
    store = Store()
    async with beating(store, {"queue": hangs}):
        await store.until(lambda: len(store.heard) >= 10)


async def test_a_store_that_hangs_stops_no_look() -> None:
    store, looks = Store(), []
    store.hangs = True

    async def look() -> None:
        looks.append(1)
        store.news.set()

    async with beating(store, {"anchore": look}):
        await store.until(lambda: len(looks) >= 10)
    assert store.tries == 1


async def test_a_gauge_says_of_each_dependency_whether_it_answers() -> None:
    store, metrics, trouble = Store(), Metrics(), dict[str, Exception]()

    async def queue() -> None:
        if "queue" in trouble:
            raise trouble["queue"]

    def shown(value: str, name: str) -> bool:
        line = f'imagegate_dependency_up{{dependency="{name}"}} {value}'
        return line in metrics.render().decode()

    async with beating(store, {"store": well, "queue": queue}, metrics=metrics):
        await store.until(lambda: shown("1.0", "store") and shown("1.0", "queue"))
        trouble["queue"] = ConnectionResetError("of some library")
        await store.until(lambda: shown("1.0", "store") and shown("0.0", "queue"))
        trouble.clear()
        await store.until(lambda: shown("1.0", "queue"))


async def test_before_the_first_look_nothing_is_known() -> None:
    metrics = Metrics()
    async with beating(Store(), {"queue": hangs}, metrics=metrics):
        await asyncio.sleep(5 * SOON)
    assert "imagegate_dependency_up{" not in metrics.render().decode()


async def test_that_something_is_away_is_said_once_with_its_reason_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    store, up = Store(), asyncio.Event()

    async def anchore() -> None:
        if not up.is_set():
            raise StoreError("connection refused\nby anchore:8228")

    async with beating(store, {"store": well, "anchore": anchore}):
        await store.tries_more(10)
        up.set()
        await store.tries_more(10)
    assert said(caplog) == [
        (logging.WARNING, "anchore is away"),
        (logging.INFO, "anchore answers again"),
    ]
    assert vars(caplog.records[0])["why"] == r"connection refused\nby anchore:8228"


# The goodbye


async def test_after_a_goodbye_a_process_is_gone_and_beats_no_more() -> None:
    store = Store()
    async with beating(store) as pulse:
        await store.until(lambda: len(store.heard) >= 2)
        await pulse.goodbye()
        assert await store.names() == []
        tries = store.tries
        await asyncio.sleep(5 * SOON)
        assert store.tries == tries


@pytest.mark.parametrize("trouble", [StoreUnreachable("down"), KeyError("anything")])
async def test_a_goodbye_that_is_not_heard_is_no_error(
    caplog: pytest.LogCaptureFixture, trouble: Exception
) -> None:
    caplog.set_level(logging.INFO)
    store = Store()
    async with beating(store) as pulse:
        await store.until(lambda: bool(store.heard))
        store.trouble = trouble
        await pulse.goodbye()
    assert said(caplog)[-1] == (logging.INFO, "our goodbye was not heard")


async def test_a_goodbye_to_a_store_that_hangs_takes_half_a_second_at_most() -> None:
    store = Store()
    async with beating(store) as pulse:
        await store.until(lambda: bool(store.heard))
        store.hangs = True
        await store.tries_more(1)  # a beat is under way, and never ends
        async with asyncio.timeout(0.5 + SOON):
            await pulse.goodbye()
    assert await store.names() == ["a"]


# A whole process


async def test_a_process_says_who_it_is_and_what_it_has_in_hand() -> None:
    store, life, carried, clock = Store(), Lifecycle(), Carried(), FakeClock()
    step = Step(
        id="1",
        kind=StepKind.CHECK,
        lane=Lane.CHECK,
        reference=str(parse_reference("registry.test/app:1")),
        question=Question(),
        first_seen=1,
    )
    carried.taken(Lane.CHECK)
    carried.delivered(step)
    async with pulse_of(
        service="worker",
        presence=store,
        checks={"store": well},
        metrics=Metrics(),
        life=life,
        carried=carried,
        clock=clock,
    ):
        await store.until(lambda: bool(store.heard))
        await life.cancel_tasks()
    told = store.heard[0]
    assert (told.service, told.started, told.stopping) == ("worker", clock.now(), False)
    assert told.version == own_version() != "unknown"
    assert told.delivered == dict.fromkeys(Lane, 0) | {Lane.CHECK: 1}
    assert told.in_hand == dict.fromkeys(Lane, 0) | {Lane.CHECK: 1}
    assert await store.names() == []


async def test_a_process_that_handles_no_steps_tells_none() -> None:
    store, life = Store(), Lifecycle()
    async with pulse_of(service="console", presence=store, checks={}, metrics=Metrics(), life=life):
        await store.until(lambda: bool(store.heard))
        await life.cancel_tasks()
    assert (store.heard[0].delivered, store.heard[0].in_hand) == ({}, {})


async def test_while_it_drains_a_process_beats_as_one_that_stops_and_its_end_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, life = Store(), Lifecycle()

    async def drain(_: float) -> None:
        async with asyncio.timeout(5):
            await store.until(lambda: store.heard[-1].stopping)

    async with pulse_of(service="worker", presence=store, checks={}, metrics=Metrics(), life=life):
        await store.until(lambda: bool(store.heard))
        life.stop("test")
        assert await life.until_stopped(drain=drain) == 0
        assert len(await store.names()) == 1
    assert await store.names() == []
    assert caplog.text == ""


async def test_a_context_that_ends_with_an_error_says_goodbye_and_only_the_error_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, life = Store(), Lifecycle()

    async def serve() -> None:
        async with pulse_of(
            service="worker", presence=store, checks={}, metrics=Metrics(), life=life
        ):
            await store.until(lambda: bool(store.heard))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await serve()
    assert await store.names() == []
    assert (life.failure, caplog.text) == ("", "")
    await life.cancel_tasks()


# Names


def test_a_name_says_service_host_and_process_and_is_never_given_twice() -> None:
    names = {new_name("worker") for _ in range(100)}
    assert len(names) == 100
    shape = rf"worker@[A-Za-z0-9._-]{{1,{MAX_HOST}}}:{os.getpid()}:[0-9a-f]{{8}}"
    assert all(re.fullmatch(shape, name) for name in names)


def test_whatever_a_host_is_called_its_name_is_short_and_plain() -> None:
    assert new_name("worker", host="node-1.local").startswith("worker@node-1.local:")
    assert new_name("worker", host="a b\n\x1b[31m<script>@:ü").startswith(
        "worker@a-b---31m-script----:"
    )
    assert new_name("worker", host="").startswith("worker@-:")
    assert len(new_name("worker", host="x" * 10_000)) < 150
