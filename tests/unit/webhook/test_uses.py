"""What is used is noted beside the answer and written behind it, whatever befalls the store."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

import msgspec
import pytest

from services.webhook.catalogue import Image
from services.webhook.uses import UseOutcome, Uses
from shared.adapters.memory.usage import MemoryUsage
from shared.domain.decision import Judgement, State
from shared.domain.errors import ErrorKind, StoreMisconfigured, StoreUnreachable
from shared.domain.reference import parse_reference
from shared.domain.verdict import Question, Subject, error_verdict
from shared.ports.usage import Use, Used
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.virtual_time

SUBJECT = Subject("docker.io/library/app", "sha256:" + "a" * 64, "1")


class Usage(MemoryUsage):
    """A store that may be away, or hang."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.failure: Exception | None = None
        self.hangs = False

    async def record(self, uses: Mapping[Use, int]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        await super().record(uses)


class Rig:
    def __init__(self, *, max_noted: int = 100, write_limit: float = 5.0) -> None:
        self.clock = FakeClock()
        self.usage = Usage(self.clock)
        self.outcomes: Counter[UseOutcome] = Counter()
        self.uses = Uses(
            usage=self.usage,
            clock=self.clock,
            on_use=self._count,
            max_noted=max_noted,
            write_every=0.01,
            write_limit=write_limit,
        )

    def _count(self, outcome: UseOutcome, uses: int) -> None:
        self.outcomes[outcome] += uses

    def note(self, written: str = "app:1", state: State = State.PASS, policy: str = "") -> None:
        image = Image(written, parse_reference(written), True, Question(policy=policy))
        self.uses.note(image, Judgement(written, state))

    async def recorded(self) -> list[Used]:
        return await self.usage.recent(limit=1_000)

    async def names(self) -> list[str]:
        return sorted(one.use.reference for one in await self.recorded())


async def test_what_was_looked_up_is_written_as_it_is_called_with_its_question_and_time() -> None:
    rig = Rig()
    rig.note(policy="strict")
    at = rig.clock.now()
    rig.clock.advance(5_000)
    await rig.uses.flush()
    use = Use("docker.io/library/app:1", Question(policy="strict"))
    assert await rig.recorded() == [Used(use, at)]
    assert rig.outcomes == {UseOutcome.WRITTEN: 1}


async def test_of_many_uses_of_one_image_the_last_is_written_once() -> None:
    rig = Rig()
    for _ in range(10):
        rig.clock.advance(1_000)
        rig.note()
    at = rig.clock.now()
    await rig.uses.flush()
    await rig.uses.flush()
    assert [one.at for one in await rig.recorded()] == [at]
    assert rig.outcomes == {UseOutcome.WRITTEN: 1}


@pytest.mark.parametrize("state", [state for state in State if state.value not in ("pass", "fail")])
async def test_what_nobody_has_judged_is_not_in_use(state: State) -> None:
    """Whoever writes a pod can name images without end."""
    rig = Rig()
    rig.note(state=state)
    await rig.uses.flush()
    assert await rig.recorded() == []


@pytest.mark.parametrize("beside", [False, True])
async def test_an_error_is_a_use_only_where_the_image_had_been_judged_before(
    beside: bool,
) -> None:
    rig = Rig()
    error = error_verdict(SUBJECT, Question(), kind=ErrorKind.NOT_FOUND, message="", now=1)
    error = msgspec.structs.replace(error, beside=beside)
    image = Image("app:1", parse_reference("app:1"), True, Question())
    rig.uses.note(image, Judgement("app:1", State.ERROR, verdicts=(error,)))
    await rig.uses.flush()
    assert bool(await rig.recorded()) == beside


async def test_while_the_store_is_away_uses_are_kept_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    rig.usage.failure = StoreUnreachable("Redis at 127.0.0.1:1 refused the connection")
    rig.note("a:1")
    at = rig.clock.now()
    await rig.uses.flush()
    rig.clock.advance(1_000)
    rig.note("b:1")
    await rig.uses.flush()
    rig.usage.failure = None
    await rig.uses.flush()
    assert await rig.names() == ["docker.io/library/a:1", "docker.io/library/b:1"]
    assert (await rig.recorded())[-1].at == at
    assert [(line.levelno, line.message[:14]) for line in caplog.records] == [
        (logging.WARNING, "what is in use"),
        (logging.INFO, "what is in use"),
    ]


async def test_what_was_kept_never_replaces_a_later_use() -> None:
    rig = Rig()
    rig.usage.failure = StoreUnreachable("away")
    rig.note()
    await rig.uses.flush()
    rig.clock.advance(1_000)
    rig.note()
    at = rig.clock.now()
    rig.usage.failure = None
    await rig.uses.flush()
    assert [one.at for one in await rig.recorded()] == [at]


async def test_a_store_that_hangs_is_left_alone_and_its_batch_kept() -> None:
    rig = Rig(write_limit=0.02)
    rig.usage.hangs = True
    rig.note()
    await rig.uses.flush()
    rig.usage.hangs = False
    await rig.uses.flush()
    assert len(await rig.recorded()) == 1


async def test_what_there_is_no_room_for_is_left_out_and_counted() -> None:
    rig = Rig(max_noted=3)
    for number in range(5):
        rig.note(f"a{number}:1")
    rig.note("a0:1")  # has its place already
    await rig.uses.flush()
    assert len(await rig.recorded()) == 3
    assert rig.outcomes == {UseOutcome.WRITTEN: 3, UseOutcome.LEFT_OUT: 2}


async def test_what_is_kept_is_bounded_too() -> None:
    rig = Rig(max_noted=3)
    rig.usage.failure = StoreUnreachable("away")
    for batch in range(4):
        for number in range(3):
            rig.note(f"a{batch}{number}:1")
        await rig.uses.flush()
    rig.usage.failure = None
    await rig.uses.flush()
    await rig.uses.flush()
    assert len(await rig.recorded()) == 3
    assert rig.outcomes[UseOutcome.LEFT_OUT] == 9


async def test_a_mistake_of_ours_or_a_wrong_password_is_an_error_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for failure in (StoreMisconfigured("check the password"), ValueError("a mistake")):
        rig = Rig()
        rig.usage.failure = failure
        rig.note()
        task = asyncio.create_task(rig.uses.run())
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [line.levelno for line in caplog.records] == [logging.ERROR] * 2
