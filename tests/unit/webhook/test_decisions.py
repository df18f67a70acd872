"""Decisions are recorded beside the answer: bounded, merged, and lost rather than waited for."""

import asyncio
import json
import logging
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.decisions import MAX_PASSED, MAX_TOLD, LeftOut, Recorder
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.domain.decision import Decision, State
from shared.domain.errors import StoreError, StoreMisconfigured, StoreUnreachable
from shared.domain.review import AdmissionRequest, decode_review
from shared.ports.decisions import MAX_TEXT, DecisionRecord, StoredDecision
from tests.fakes.clock import START, FakeClock
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import pod, review_of
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

PASS = Decision(True, State.PASS, images=("app:1",), warnings=("not pinned",))
FAIL = Decision(
    False,
    State.FAIL,
    code=403,
    message="image app:1: refused\n  stop: x",
    reason="image app:1: refused",
    images=("app:1",),
    rule="payments",
)
WARNED = Decision(True, State.FAIL, reason="image app:1: refused", images=("app:1",))


class BrokenLog:
    """A `DecisionLog` that raises `error`, or never answers, until it is mended."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls = 0
        self.written: list[DecisionRecord] = []
        self._error = error
        self._broken = True

    def mend(self) -> None:
        self._broken = False

    async def write(self, decisions: Sequence[DecisionRecord]) -> None:
        self.calls += 1
        if self._broken and self._error is None:
            await asyncio.Event().wait()
        if self._broken and self._error is not None:
            raise self._error
        self.written += decisions

    async def recent(self, *, limit: int, after: str = "") -> list[StoredDecision]:
        return []


class Rig:
    def __init__(self, log: BrokenLog | None = None, *, write_limit: float = 2.0) -> None:
        self.clock = FakeClock()
        self.log = MemoryDecisionLog(clock=self.clock)
        self.left_out: Counter[LeftOut] = Counter()
        self.recorder = Recorder(
            decisions=log or self.log,
            clock=self.clock,
            webhook="webhook@host:1:abc",
            on_left_out=self._count,
            write_every=0.01,
            write_limit=write_limit,
        )

    def _count(self, why: LeftOut, decisions: int) -> None:
        self.left_out[why] += decisions

    async def written(self) -> list[DecisionRecord]:
        """What the log holds after a flush, the oldest first."""
        await self.recorder.flush()
        found = await self.log.recent(limit=1_000)
        return [stored.decision for stored in reversed(found)]


def request(*images: str, metadata: dict[str, Any] | None = None, **more: Any) -> AdmissionRequest:
    content = pod(*(images or ("app:1",)))
    content["metadata"] = {"name": "p"} if metadata is None else metadata
    return decode_review(json.dumps(review_of(content, **more)).encode())


async def test_a_decision_is_written_with_who_what_and_why() -> None:
    rig = Rig()
    rig.recorder.record(request(user="ada"), FAIL, 0.0123)
    assert await rig.written() == [
        DecisionRecord(
            at=START,
            allowed=False,
            state="fail",
            code=403,
            kind="Pod",
            namespace="team",
            name="p",
            user="ada",
            operation="CREATE",
            images=("app:1",),
            reason="image app:1: refused",
            rule="payments",
            took=12.3,
            webhook="webhook@host:1:abc",
        )
    ]
    assert await rig.written() == await rig.written()


async def test_what_was_allowed_all_the_same_keeps_its_reason() -> None:
    rig = Rig()
    rig.recorder.record(request(), WARNED, 0.0)
    rig.recorder.record(request(), PASS, 0.0)
    assert [(one.state, one.reason) for one in await rig.written()] == [
        ("fail", "image app:1: refused"),
        ("pass", ""),
    ]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"name": "web-1", "generateName": "web-"}, "web-1"),
        ({"generateName": "web-"}, "web-*"),
        ({}, ""),
    ],
)
async def test_an_object_without_a_name_is_called_by_what_its_name_begins_with(
    metadata: dict[str, Any], name: str
) -> None:
    rig = Rig()
    rig.recorder.record(request(metadata=metadata), PASS, 0.0)
    assert (await rig.written())[0].name == name


async def test_a_workload_and_an_object_that_cannot_be_read_have_names_too() -> None:
    rig = Rig()
    deployment = workload(DEPLOYMENT, {}, name="api")
    for content in (deployment, {"metadata": {"name": "odd"}, "spec": 7}, {"metadata": 7}, None):
        review = review_of_workload(DEPLOYMENT, content, name="")
        rig.recorder.record(decode_review(json.dumps(review).encode()), FAIL, 0.0)
    assert [(one.kind, one.name) for one in await rig.written()] == [
        ("Deployment", "api"),
        ("Deployment", "odd"),
        ("Deployment", ""),
    ]


async def test_decisions_that_are_alike_within_a_moment_are_one_line() -> None:
    rig = Rig()
    for _ in range(10):
        rig.recorder.record(request(), FAIL, 0.001)
        rig.clock.advance(5)
    rig.recorder.record(request(), FAIL, 0.007)
    (line,) = await rig.written()
    assert (line.times, line.took, line.at) == (11, 7.0, START + 50)
    rig.recorder.record(request(), FAIL, 0.0)
    assert [one.times for one in await rig.written()] == [11, 1]


@pytest.mark.parametrize(
    ("other", "decision"),
    [
        ({"user": "eve"}, FAIL),
        ({"dry_run": True}, FAIL),
        ({"operation": "UPDATE"}, FAIL),
        ({"metadata": {"name": "q"}}, FAIL),
        ({}, Decision(False, State.FAIL, code=403, images=("app:2",))),
        ({}, Decision(False, State.PENDING, code=429, images=("app:1",))),
        ({}, Decision(True, State.FAIL, images=("app:1",))),
    ],
)
async def test_decisions_that_differ_are_lines_of_their_own(
    other: dict[str, Any], decision: Decision
) -> None:
    rig = Rig()
    rig.recorder.record(request(), FAIL, 0.0)
    rig.recorder.record(request(**other), decision, 0.0)
    assert [one.times for one in await rig.written()] == [1, 1]


async def test_a_dry_run_is_written_as_one() -> None:
    rig = Rig()
    rig.recorder.record(request(dry_run=True), PASS, 0.0)
    assert [one.dry_run for one in await rig.written()] == [True]


async def test_what_passed_without_any_image_is_no_decision_about_images() -> None:
    rig = Rig()
    rig.recorder.record(request(operation="DELETE"), Decision(True, State.PASS), 0.0)
    assert await rig.written() == []
    assert not rig.left_out


async def test_a_batch_has_room_for_denials_whatever_was_allowed_and_the_rest_is_counted() -> None:
    rig = Rig()
    for number in range(500):
        rig.recorder.record(request(metadata={"name": f"a{number}"}), PASS, 0.0)
    for number in range(500):
        rig.recorder.record(request(metadata={"name": f"d{number}"}), FAIL, 0.0)
    written = await rig.written()
    kept = Counter(one.allowed for one in written)
    assert kept == {True: MAX_PASSED, False: MAX_TOLD}
    assert rig.left_out == {LeftOut.FULL: 1_000 - MAX_PASSED - MAX_TOLD}
    rig.recorder.record(request(), PASS, 0.0)
    assert len(await rig.written()) == len(written) + 1


async def test_what_was_allowed_all_the_same_is_not_crowded_out_by_what_passed() -> None:
    rig = Rig()
    for number in range(MAX_PASSED + 5):
        rig.recorder.record(request(metadata={"name": f"a{number}"}), PASS, 0.0)
    for number in range(MAX_PASSED + 5):
        rig.recorder.record(request(metadata={"name": f"w{number}"}), WARNED, 0.0)
    kept = Counter(one.state for one in await rig.written())
    assert kept == {State.PASS: MAX_PASSED, State.FAIL: MAX_PASSED + 5}
    assert rig.left_out == {LeftOut.FULL: 5}


async def test_a_full_batch_still_counts_what_is_like_something_in_it() -> None:
    rig = Rig()
    for number in range(MAX_TOLD):
        rig.recorder.record(request(metadata={"name": f"d{number}"}), FAIL, 0.0)
    rig.recorder.record(request(metadata={"name": "d0"}), FAIL, 0.0)
    assert max(one.times for one in await rig.written()) == 2
    assert not rig.left_out


@given(st.text(), st.text(max_size=40), st.booleans())
async def test_whatever_a_request_holds_can_be_recorded_and_written(
    text: str, name: str, allowed: bool
) -> None:
    rig = Rig()
    review = review_of(pod(text), user=name, operation=text, dry_run=allowed)
    review["request"]["kind"]["kind"] = name
    review["request"]["namespace"] = text
    asked_for = decode_review(json.dumps(review).encode())
    decision = Decision(allowed, State.ERROR, reason=text, rule=text, images=(text[:MAX_TEXT],))
    rig.recorder.record(asked_for, decision, 0.0)
    assert len(await rig.written()) == 1


async def test_texts_without_end_are_cut_when_they_are_recorded() -> None:
    rig = Rig()
    endless = "x" * 100_000
    tracemalloc.start()
    try:
        for number in range(MAX_TOLD):
            metadata = {"name": f"{number}{endless}"}
            asked_for = request(metadata=metadata, user=endless, operation=endless)
            rig.recorder.record(asked_for, FAIL, 0.0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < MAX_TOLD * 10_000
    assert all(len(one.name) <= MAX_TEXT for one in await rig.written())


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (StoreUnreachable("Redis does not answer"), "WARNING"),
        (StoreMisconfigured("NOPERM"), "ERROR"),
        (RuntimeError("a bug"), "ERROR"),
        (None, "WARNING"),
    ],
)
async def test_a_store_that_is_dead_or_hangs_loses_decisions_and_is_named_once(
    error: Exception | None, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broken = BrokenLog(error)
    rig = Rig(broken, write_limit=0.01)
    for batch in range(3):
        for _ in range(5):
            rig.recorder.record(request(metadata={"name": f"{batch}"}), FAIL, 0.0)
        await rig.recorder.flush()
    assert rig.left_out == {LeftOut.STORE: 15}
    assert broken.calls == 3
    (said,) = caplog.records
    assert said.levelname == level
    assert "reviews are answered all the same" in said.message


async def test_nothing_is_written_where_nothing_was_recorded() -> None:
    broken = BrokenLog(StoreError("x"))
    await Rig(broken).recorder.flush()
    assert broken.calls == 0


async def test_while_a_write_hangs_no_more_is_held_than_one_batch() -> None:
    broken = BrokenLog()
    rig = Rig(broken, write_limit=30.0)
    rig.recorder.record(request(), FAIL, 0.0)
    writing = asyncio.create_task(rig.recorder.run())
    await asyncio.sleep(0.05)
    for number in range(1_000):
        rig.recorder.record(request(metadata={"name": f"{number}"}), FAIL, 0.0)
    await asyncio.sleep(0.05)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    broken.mend()
    await rig.recorder.flush()
    assert len(broken.written) == MAX_TOLD
    assert rig.left_out == {LeftOut.FULL: 1_000 - MAX_TOLD}


async def test_it_goes_on_when_the_store_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    broken = BrokenLog(StoreUnreachable("away"))
    rig = Rig(broken)
    rig.recorder.record(request(), FAIL, 0.0)
    await rig.recorder.flush()
    broken.mend()
    writing = asyncio.create_task(rig.recorder.run())
    rig.recorder.record(request(), PASS, 0.0)
    await eventually(lambda: [one.allowed for one in broken.written] == [True])
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert [record.message for record in caplog.records][-1] == "decisions are written down again"
