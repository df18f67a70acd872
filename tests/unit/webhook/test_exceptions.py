"""Signed exceptions in a webhook: what counts, what never does, and when they are read."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from services.webhook.believed import Source
from services.webhook.book import CurrentBook
from services.webhook.exceptions import Pace, SignedExceptions, Uncounted
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import StoreError, StoreMisconfigured, StoreUnreachable
from shared.domain.exceptions import ImageException, exception_key, exempts
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.signed_exceptions import MAX_LIFE, revocation
from shared.domain.signing import Body, Kind, Record
from shared.ports.exceptions import MAX_EXCEPTIONS, Folder
from shared.ports.verdicts import MAX_AHEAD, Put
from tests.fakes.clock import FakeClock
from tests.fakes.exceptions import HOUR, OPERATOR, RING, WORKER, exception, forge, seal
from tests.house import eventually

SOON = Pace(least=0.02, retry=0.05, usual=0.1)
SELDOM = Pace(least=0.02, retry=60.0, usual=60.0)


class Store(MemoryExceptionStore):
    """Counts its reads, fails while there is `trouble`, and may hold what a `thief` put there."""

    def __init__(self, clock: FakeClock, announce: Callable[[str], None]) -> None:
        super().__init__(clock=clock, announce=announce)
        self.trouble: StoreError | None = None
        self.thief: Mapping[str, bytes] | None = None
        self.reads = 0
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def all(self) -> Mapping[str, bytes]:
        self.reads += 1
        self.asked.set()
        if self.trouble is not None:
            raise self.trouble
        found = await super().all() if self.thief is None else self.thief
        await self.answers.wait()
        return found


class Files:
    """A folder that a test fills; `changed` tells of it."""

    def __init__(self) -> None:
        self.sealed: dict[str, bytes] = {}
        self.unread: dict[str, str] = {}
        self.changed = asyncio.Event()

    async def read(self) -> Folder:
        return Folder(dict(self.sealed), dict(self.unread))

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self.changed.wait()
            self.changed.clear()
            yield


class CountingRing:
    """Counts what is verified."""

    def __init__(self) -> None:
        self.verified = 0

    def unseal(
        self, sealed: bytes, record_type: type[Record], *, kind: Kind, key: str
    ) -> tuple[Record, Body]:
        self.verified += 1
        return RING.unseal(sealed, record_type, kind=kind, key=key)


class Rig:
    """The exceptions of one webhook, over a store and a folder."""

    def __init__(self, *, pace: Pace = SOON) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.verdicts = MemoryVerdictStore(clock=self.clock, leases=leases)
        self.store = Store(self.clock, self.verdicts.announce)
        self.files = Files()
        self.ring = CountingRing()
        self.book = CurrentBook(Rules())
        self.left_out: Counter[tuple[Source, Uncounted]] = Counter()
        self.signed = SignedExceptions(
            store=self.store,
            files=self.files,
            unsealer=self.ring,
            clock=self.clock,
            on_change=self.book.exceptions_changed,
            on_left_out=self._left_out,
            pace=pace,
        )

    def _left_out(self, source: Source, why: Uncounted) -> None:
        self.left_out[source, why] += 1

    # A `Listener` of the store, as the webhook's near cache passes words on.

    def changed(self, key: str) -> None:
        self.signed.heard(key)

    def gap(self) -> None:
        self.signed.heard(None)

    @property
    def counting(self) -> list[str]:
        """The ids of those that the book has."""
        return [one.id for one in self.book().exceptions]

    def exception(self, name: str, **changes: object) -> ImageException:
        return exception(name, now=self.clock.now(), **changes)

    async def put(self, one: ImageException) -> None:
        put = await self.store.put(seal(one), exception_id=one.id, ends=one.expires)
        assert put is Put.WRITTEN

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.signed.first()
        tasks = [
            asyncio.create_task(self.signed.run()),
            asyncio.create_task(self.verdicts.listen(self)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_what_stands_in_store_and_folder_counts_from_the_start() -> None:
    rig = Rig()
    await rig.put(rig.exception("stored"))
    rig.files.sealed["x.exception"] = seal(rig.exception("mounted"))
    await rig.signed.first()
    assert rig.counting == ["mounted", "stored"]
    assert rig.signed.numbers() == {Source.STORE: 1, Source.FOLDER: 1}


async def test_what_is_put_counts_once_it_is_announced() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        one = rig.exception("a")
        await rig.put(one)
        await eventually(lambda: rig.counting == ["a"], within=5)
        await rig.put(revocation(one, now=rig.clock.now()))
        await eventually(lambda: rig.counting == [], within=5)


async def test_a_lost_announcement_is_made_up_for_by_the_next_look() -> None:
    rig = Rig()
    async with rig.running():
        rig.store.thief = {"a": seal(rig.exception("a"))}
        await eventually(lambda: rig.counting == ["a"], within=5)


async def test_a_gap_has_everything_read_again() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        await eventually(lambda: rig.store.reads == 2, within=5)  # the listener's own first gap
        rig.store.thief = {"a": seal(rig.exception("a"))}
        rig.gap()
        await eventually(lambda: rig.counting == ["a"], within=5)


async def test_words_about_images_have_nothing_read() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        await eventually(lambda: rig.store.reads == 2, within=5)
        for number in range(100):
            rig.verdicts.announce(f"verdict:{number}")
        await asyncio.sleep(0.1)
        assert rig.store.reads == 2


async def test_a_storm_of_announcements_costs_a_few_reads() -> None:
    rig = Rig(pace=Pace(least=0.1, usual=60.0))
    async with rig.running():
        for _ in range(20):
            for number in range(500):
                rig.verdicts.announce(exception_key(str(number)))
            await asyncio.sleep(0.01)
        await rig.put(rig.exception("last"))
        await eventually(lambda: rig.counting == ["last"], within=5)
        assert rig.store.reads < 20


async def test_what_is_announced_while_it_is_being_read_is_read_again() -> None:
    rig = Rig(pace=SELDOM)
    async with rig.running():
        await eventually(lambda: rig.store.reads == 2, within=5)
        rig.store.asked.clear()
        rig.store.answers.clear()
        rig.signed.heard(None)
        await rig.store.asked.wait()
        await rig.put(rig.exception("a"))  # the read under way does not have it
        rig.store.answers.set()
        await eventually(lambda: rig.counting == ["a"], within=5)


async def test_the_same_bytes_are_verified_once() -> None:
    rig = Rig()
    for number in range(20):
        await rig.put(rig.exception(str(number)))
    rig.files.sealed["a.exception"] = b"no sealed record"
    rig.files.sealed["b.exception"] = seal(rig.exception("b"))
    for _ in range(5):
        await rig.signed.first()
    assert rig.ring.verified == 21
    assert rig.left_out == {(Source.FOLDER, Uncounted.SIGNATURE): 5}


async def test_two_thousand_are_verified_without_keeping_reviews_from_their_turn() -> None:
    rig = Rig()
    for number in range(MAX_EXCEPTIONS):
        await rig.put(rig.exception(f"e{number}"))
    turns = 0

    async def reviews() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(reviews())
    await rig.signed.first()
    task.cancel()
    assert len(rig.counting) == MAX_EXCEPTIONS
    assert turns >= MAX_EXCEPTIONS / 10
    rig.clock.advance(HOUR)
    await rig.signed.read_store()
    assert rig.counting == []


async def test_an_exception_ends_on_time_though_no_store_can_be_asked() -> None:
    rig = Rig()
    one = rig.exception("app")
    await rig.put(one)
    await rig.signed.first()
    rig.store.trouble = StoreUnreachable("no redis")
    reference = parse_reference(one.image)

    def lets_run() -> ImageException | None:
        exceptions = rig.book().exceptions
        return exempts(reference, exceptions, now=rig.clock.now())

    rig.clock.advance(HOUR - 1)
    await rig.signed.read_store()
    assert lets_run() == one
    rig.clock.advance(1)
    assert lets_run() is None  # also before anybody looks
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.signed.numbers() == {Source.STORE: 0, Source.FOLDER: 0}


async def test_while_the_store_is_away_one_is_revoked_through_the_folder() -> None:
    rig = Rig(pace=SELDOM)
    one = rig.exception("a")
    await rig.put(one)
    async with rig.running():
        rig.store.trouble = StoreUnreachable("no redis")
        rig.clock.advance(1_000)
        rig.files.sealed["a.exception"] = seal(revocation(one, now=rig.clock.now()))
        rig.files.changed.set()
        await eventually(lambda: rig.counting == [], within=5)
        rig.store.trouble = None
        rig.gap()
        await eventually(lambda: rig.store.reads >= 3, within=5)
        await asyncio.sleep(0.05)
        assert rig.counting == []


@pytest.mark.parametrize("through", list(Source))
async def test_an_older_one_that_comes_back_undoes_no_revocation(through: Source) -> None:
    rig = Rig()
    one = rig.exception("a")
    old, new = seal(one), seal(revocation(one, now=rig.clock.now()))
    rig.store.thief = {"a": old}
    await rig.signed.first()
    assert rig.counting == ["a"]
    rig.store.thief = {"a": new}
    await rig.signed.first()
    assert rig.counting == []
    rig.store.thief = {}
    if through is Source.STORE:
        rig.store.thief = {"a": old}
    else:
        rig.files.sealed["old.exception"] = old
    await rig.signed.first()
    assert rig.counting == []
    assert not rig.left_out


async def test_nothing_is_revoked_by_deletion() -> None:
    rig = Rig()
    rig.store.thief = {"a": seal(rig.exception("a"))}
    rig.files.sealed["b.exception"] = seal(rig.exception("b"))
    await rig.signed.first()
    rig.store.thief = {}
    rig.files.sealed.clear()
    await rig.signed.first()
    assert rig.counting == ["a", "b"]


async def test_a_store_that_is_away_takes_nothing_and_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    await rig.put(rig.exception("a"))
    await rig.signed.first()
    caplog.clear()
    rig.store.trouble = StoreUnreachable("no redis")
    for _ in range(5):
        await rig.signed.first()
    assert rig.counting == ["a"]
    assert rig.left_out == {(Source.STORE, Uncounted.UNREAD): 5}
    assert [record.getMessage() for record in caplog.records] == [
        "signed exceptions cannot be read"
    ]
    rig.store.trouble = None
    await rig.signed.first()
    assert caplog.records[-1].getMessage() == "signed exceptions are read from the store again"


async def test_a_right_that_is_missing_is_an_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.store.trouble = StoreMisconfigured("check the user, password and ACL of REDIS_URL")
    await rig.signed.first()
    (record,) = caplog.records
    assert (record.levelname, vars(record)["why"]) == ("ERROR", str(rig.store.trouble))


async def test_while_it_is_away_it_is_asked_each_moment_and_not_only_now_and_then() -> None:
    rig = Rig(pace=Pace(least=0.01, retry=0.02, usual=60.0))
    rig.store.trouble = StoreUnreachable("no redis")
    async with rig.running():
        await eventually(lambda: rig.store.reads > 5, within=5)
        await rig.put(rig.exception("a"))
        rig.store.trouble = None
        await eventually(lambda: rig.counting == ["a"], within=5)


def moved(one: ImageException) -> bytes:
    return seal(one, key=exception_key("another"))


def altered(one: ImageException) -> bytes:
    return seal(one).replace(b'"team"', b'"prod"')


def by_a_worker(one: ImageException) -> bytes:
    return forge(one, WORKER)


def by_a_worker_as_a_verdict(one: ImageException) -> bytes:
    return forge(one, WORKER, kind=Kind.VERDICT)


def without_a_signature(one: ImageException) -> bytes:
    head, _, rest = seal(one).rpartition(b" ")
    return b" ".join([*head.split(b" ")[:3], b"", rest])


@pytest.mark.parametrize(
    "make",
    [moved, altered, by_a_worker, by_a_worker_as_a_verdict, without_a_signature],
)
async def test_what_no_operator_signed_for_this_id_is_not_believed(
    make: Callable[[ImageException], bytes],
) -> None:
    rig = Rig()
    rig.store.thief = {"a": make(rig.exception("a")), "good": seal(rig.exception("good"))}
    await rig.signed.read_store()
    assert rig.counting == ["good"]
    assert rig.left_out == {(Source.STORE, Uncounted.SIGNATURE): 1}


async def test_a_good_record_under_another_id_is_not_believed() -> None:
    rig = Rig()
    rig.store.thief = {"another": seal(rig.exception("a"))}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.SIGNATURE): 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"order": 1},
        {"ends": 10**14},
        {"key": exception_key("another")},
    ],
)
async def test_what_the_record_around_it_says_otherwise_does_not_count(
    changes: dict[str, object],
) -> None:
    rig = Rig()
    key = str(changes.get("key", exception_key("a")))
    rig.store.thief = {key.partition(":")[2]: forge(rig.exception("a"), OPERATOR, **changes)}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.INVALID): 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"findings": ()},
        {"namespaces": ()},
        {"namespaces": ("Not-a-namespace",)},
        {"image": "registry.test/team/a:1"},
        {"image": "registry.test/team/a"},
        {"reason": ""},
        {"owner": "a\nb"},
    ],
)
async def test_what_no_exception_may_say_does_not_count_whoever_signed_it(
    changes: dict[str, object],
) -> None:
    rig = Rig()
    rig.store.thief = {"a": seal(rig.exception("a", **changes))}
    await rig.signed.read_store()
    assert rig.counting == []
    assert rig.left_out == {(Source.STORE, Uncounted.INVALID): 1}


async def test_none_lasts_longer_than_may_be() -> None:
    rig = Rig()
    now = rig.clock.now()
    rig.store.thief = {
        "long": seal(rig.exception("long", expires=now + MAX_LIFE)),
        "longer": seal(rig.exception("longer", expires=now + MAX_LIFE + 1)),
    }
    await rig.signed.read_store()
    assert rig.counting == ["long"]


async def test_one_that_was_made_in_the_future_counts_once_that_has_come() -> None:
    """It would outlive `MAX_LIFE`, which bounds how long a revocation can be withheld."""
    rig = Rig()
    made_at = rig.clock.now() + MAX_AHEAD + 1
    ahead = rig.exception("ahead", made_at=made_at, expires=made_at + MAX_LIFE)
    rig.files.sealed["a.exception"] = seal(ahead)
    await rig.signed.read_folder()
    assert rig.counting == []
    assert rig.left_out == {(Source.FOLDER, Uncounted.AHEAD): 1}
    rig.clock.advance(1)
    await rig.signed.read_folder()
    assert rig.counting == ["ahead"]


async def test_a_revocation_holds_whatever_clock_made_it() -> None:
    rig = Rig()
    one = rig.exception("a")
    rig.files.sealed["a.exception"] = seal(one)
    await rig.signed.read_folder()
    rig.files.sealed["a.exception"] = seal(revocation(one, now=one.expires - 1))
    await rig.signed.read_folder()
    assert (rig.counting, rig.left_out) == ([], {})


async def test_one_without_an_id_cannot_be_revoked_and_does_not_count() -> None:
    rig = Rig()
    rig.files.sealed["a.exception"] = seal(rig.exception(""))
    await rig.signed.read_folder()
    assert rig.left_out == {(Source.FOLDER, Uncounted.INVALID): 1}


@pytest.mark.parametrize("junk", [b"", b"\xff" * 500, b"0" * 16 + b" 1 k s {}", b"[" * 8_000])
async def test_junk_is_counted_and_never_fatal(junk: bytes) -> None:
    rig = Rig()
    rig.store.thief = {"a": junk}
    rig.files.sealed["a.exception"] = junk
    await rig.signed.first()
    assert rig.left_out == {(source, Uncounted.SIGNATURE): 1 for source in Source}


async def test_a_verdict_in_the_folder_is_no_exception() -> None:
    rig = Rig()
    sealed = forge(rig.exception("a"), WORKER, kind=Kind.VERDICT, key="verdict:a@sha256:1")
    rig.files.sealed["a.exception"] = sealed
    await rig.signed.read_folder()
    assert rig.left_out == {(Source.FOLDER, Uncounted.SIGNATURE): 1}


async def test_a_bad_file_is_named_once_and_counted_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.files.sealed["bad.exception"] = b"bad"
    rig.files.unread["large.exception"] = "is larger than 8192 bytes"
    for _ in range(3):
        await rig.signed.read_folder()
    said = [(record.getMessage(), vars(record)) for record in caplog.records]
    assert [(event, fields.get("file") or fields["id"]) for event, fields in said] == [
        ("exception file is not read", "large.exception"),
        ("exception does not count", "bad.exception"),
    ]
    assert rig.left_out == {
        (Source.FOLDER, Uncounted.UNREAD): 3,
        (Source.FOLDER, Uncounted.SIGNATURE): 3,
    }
    rig.files.sealed["bad.exception"] = b"otherwise bad"
    await rig.signed.read_folder()
    assert len(caplog.records) == 3


async def test_what_strangers_write_into_the_store_cannot_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.store.thief = {str(number): b"bad" for number in range(1_000)}
    await rig.signed.read_store()
    assert len(caplog.records) == 11
    assert vars(caplog.records[-1])["number"] == 990


async def test_what_comes_to_count_and_what_is_revoked_is_in_the_log_with_who_signed_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rig = Rig()
    one = rig.exception("a", owner="ada", reason="site down")
    await rig.put(one)
    await rig.signed.first()
    await rig.put(revocation(one, now=rig.clock.now(), reason="fixed"))
    await rig.signed.first()
    lines = [(record.getMessage(), vars(record)) for record in caplog.records]
    assert [event for event, _ in lines] == ["exception counts", "exception was revoked"]
    for name, value in msgspec.structs.asdict(one).items():
        if name in ("id", "image", "owner", "reason", "expires"):
            assert lines[0][1][name] == value
    assert lines[1][1]["reason"] == "fixed"
    assert {fields["key"] for _, fields in lines} == {seal(one).split(b" ")[2].decode()}
