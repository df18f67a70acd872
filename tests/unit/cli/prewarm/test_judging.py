"""When images are asked for, again or not at all, and what is told of those that are not judged."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pytest

from services.cli.prewarm.flights import AGAIN, REFUSED, TRIES
from services.cli.prewarm.found import Found
from services.cli.prewarm.judging import LOOKS_AT_ONCE, Judging, Progress
from services.cli.prewarm.known import Look, Reader
from services.cli.prewarm.rows import MAX_TEXT, Outcome, Row, rows_of
from services.cli.prewarm.wanted import Setting, WantedImages
from services.webhook.catalogue import Image, Known, Missing, Need
from services.webhook.requests import Asked
from services.webhook.terms import Terms
from shared.domain.decision import Judgement, State
from shared.domain.errors import StoreUnreachable
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.scope import RuleBook
from shared.domain.verdict import Subject
from shared.domain.why import Why
from tests.fakes.clock import START, FakeClock

TICK = 1.0
"""Seconds of the clock from one look to the next."""

UNKNOWN = Look(Missing(Need.REQUEST, ()))
RESTING = Look(Missing(Need.REQUEST, (), resting=True), "the registry said 500")
PASS = Look(Known(Judgement("", State.PASS)))
OLD_TAG = Look(Known(Judgement("", State.PASS), refresh=Need.RESOLVE))
AWAY = msgspec.structs.replace(OLD_TAG, note="the registry is away", asked_at=START)
STALE = Look(Known(Judgement("", State.PASS), refresh=Need.REQUEST))


class Site(Reader):
    """What is known of each image, who was asked for what and when, and how far it was then."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock()
        self.known = dict.fromkeys(names, UNKNOWN)
        self.answers: list[Asked] = []
        """What those who are asked say; then that it is asked for."""
        self.asked: list[tuple[str, float]] = []
        self.why: Counter[Why] = Counter()
        self.away = False
        self.judged_by_asking = True
        self.stays: set[str] = set()
        """Of which asking brings nothing."""
        self.subjects: tuple[Subject, ...] = ()
        """With which the last was asked for."""
        self.told: list[tuple[int, str]] = []
        self.done = (0, 0)
        """How many of how many."""
        self.happens: dict[int, Callable[[], object]] = {}
        """What happens at which tick."""
        self._began = self.clock.monotonic()

    async def look(self, image: Image) -> Look:
        if self.away:
            raise StoreUnreachable("Redis is away")
        return self.known[image.reference.path]

    async def ask(self, image: Image, subjects: Sequence[Subject], *, why: Why) -> Asked:
        name = image.reference.path
        self.asked.append((name, self.clock.monotonic() - self._began))
        self.why[why] += 1
        self.subjects = tuple(subjects)
        answer = self.answers.pop(0) if self.answers else Asked.FIRST
        if self.judged_by_asking and answer is Asked.FIRST and name not in self.stays:
            self.known[name] = PASS
        return answer

    def tell(self, progress: Progress) -> None:
        self.told.append((progress.under_way, progress.trouble))
        self.done = (progress.done.total(), progress.images)
        self.clock.advance(round(TICK * 1000))
        self.happens.get(len(self.told), lambda: None)()

    async def rows(
        self, *, at_once: int = 10, timeout: float = 300.0, mode: Mode = Mode.ENFORCE
    ) -> list[Row]:
        terms = Terms()
        setting = Setting("", lambda namespace: {}, lambda namespace: False)
        book = RuleBook(Rules(default=Rule(mode=mode)))
        wanted = WantedImages(book=book, terms=terms, setting=setting, now=self.clock.now())
        for weight, name in enumerate(reversed(self.known)):
            for _ in range(weight + 1):
                wanted.add(Found("shop", (f"registry.corp/{name}:1",), "Pod", runs=True))
        judging = Judging(
            wanted.all,
            reader=self,
            asks=self,
            terms=terms,
            clock=self.clock,
            at_once=at_once,
            poll=0.0,
            tell=self.tell,
        )
        await judging.run(timeout=timeout, stop=asyncio.Event())
        return rows_of(judging.parts.items())


async def test_what_most_stands_on_is_asked_for_first() -> None:
    site = Site("most", "some", "least")
    await site.rows(at_once=1)
    assert [name for name, _ in site.asked] == ["most", "some", "least"]


@pytest.mark.parametrize(
    ("known", "why"), [(UNKNOWN, Why.OPERATOR), (STALE, Why.OPERATOR), (OLD_TAG, Why.PREWARM)]
)
async def test_of_an_old_tag_what_is_good_is_left_as_it_is(known: Look, why: Why) -> None:
    site = Site("app")
    site.known["app"] = known
    await site.rows()
    assert site.why == {why: 1}


async def test_what_a_worker_tries_again_by_itself_is_not_asked_for_and_given_up_late() -> None:
    site = Site("app")
    site.known["app"] = RESTING
    (row,) = await site.rows()
    assert site.asked == []
    assert row.outcome is Outcome.ERROR
    assert row.says == "the registry said 500; it is tried again by itself"
    assert len(site.told) * TICK > TRIES


async def test_a_registry_that_is_away_holds_up_no_image_of_another_for_long() -> None:
    site = Site("first", "second", "other")
    site.known |= {"first": AWAY, "second": AWAY}
    site.stays = {"first", "second"}
    rows = {row.image: row for row in await site.rows(at_once=2, timeout=3_600.0)}
    assert TRIES < len(site.told) * TICK < TRIES + AGAIN
    assert rows["registry.corp/other:1"].outcome is Outcome.PASS
    assert rows["registry.corp/first:1"].outcome is Outcome.UNFINISHED


@pytest.mark.parametrize(
    ("state", "outcome", "allowed"),
    [
        (State.PASS, Outcome.UNFINISHED, True),
        (State.FAIL, Outcome.FAIL, False),
        (State.ERROR, Outcome.ERROR, False),
    ],
)
@pytest.mark.parametrize("timeout", [3_600.0, 5.0], ids=["given up", "the time is over"])
async def test_by_a_tag_that_could_not_be_asked_about_nothing_is_sure_to_pass(
    state: State, outcome: Outcome, timeout: float, *, allowed: bool
) -> None:
    site = Site("app")
    known = Known(Judgement("", state), refresh=Need.RESOLVE)
    site.known["app"] = msgspec.structs.replace(AWAY, answer=known)
    site.stays = {"app"}
    forgotten = msgspec.structs.replace(site.known["app"], note="")
    site.happens = {round(TRIES / TICK) - 5: lambda: site.known.update(app=forgotten)}
    (row,) = await site.rows(timeout=timeout)
    assert (row.outcome, row.state, row.allowed) == (outcome, state, allowed)
    assert row.not_renewed == (
        "it is known by what its tag named at 2025-06-15 15:06 UTC, and nothing newer is: "
        "the registry is away"
    )


async def test_a_tag_that_is_asked_about_in_time_counts_as_it_is_then() -> None:
    site = Site("app")
    site.known["app"] = AWAY
    site.stays = {"app"}
    site.happens = {round(TRIES / TICK) - 5: lambda: site.known.update(app=PASS)}
    (row,) = await site.rows()
    assert (row.outcome, row.not_renewed) == (Outcome.PASS, "")


async def test_a_tag_is_not_given_up_before_anybody_took_the_request() -> None:
    site = Site("app")
    site.known["app"] = AWAY
    site.stays = {"app"}
    down = round((TRIES + AGAIN) / REFUSED)
    site.answers = [Asked.QUEUE_DOWN] * down
    await site.rows(timeout=3_600.0)
    taken = next(at for place, (_, at) in enumerate(site.asked) if place == down)
    assert len(site.told) * TICK > taken + TRIES


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.WARN, Mode.AUDIT])
@pytest.mark.parametrize("known", [UNKNOWN, RESTING], ids=["no verdict", "its scan fails"])
async def test_what_could_not_be_judged_would_run_where_nothing_is_enforced(
    known: Look, mode: Mode
) -> None:
    site = Site("app")
    site.known["app"] = known
    site.judged_by_asking = False
    (row,) = await site.rows(mode=mode)
    assert (row.allowed, row.mode) == (mode is not Mode.ENFORCE, str(mode))
    assert row.outcome is (Outcome.ERROR if known is RESTING else Outcome.UNFINISHED)


async def test_what_a_registry_says_at_length_is_cut() -> None:
    site = Site("late", "failing")
    long = Look(Missing(Need.REQUEST, (), resting=True), "x" * 1_000)
    site.known["failing"] = long
    site.known["late"] = Look(Missing(Need.REQUEST, ()), "x" * 1_000)
    site.judged_by_asking = False
    assert [len(row.says) for row in await site.rows()] == [MAX_TEXT, MAX_TEXT]


async def test_a_failing_image_whose_next_try_passes_in_time_passes() -> None:
    site = Site("app")
    site.known["app"] = RESTING
    site.happens = {round(TRIES / TICK) - 5: lambda: site.known.update(app=PASS)}
    (row,) = await site.rows()
    assert row.outcome is Outcome.PASS


async def test_what_may_have_been_lost_is_asked_for_again_after_a_while() -> None:
    site = Site("app")
    site.judged_by_asking = False
    (row,) = await site.rows(timeout=3 * AGAIN)
    first, second, *_ = [at for _, at in site.asked]
    assert AGAIN < second - first <= AGAIN + 2 * TICK
    assert row.outcome is Outcome.UNFINISHED


@pytest.mark.parametrize(
    ("refusal", "what"),
    [(Asked.QUEUE_DOWN, "the queue"), (Asked.STORE_DOWN, "the verdict store")],
)
async def test_where_nothing_is_taken_no_other_image_is_begun_until_the_first_is(
    refusal: Asked, what: str
) -> None:
    site = Site("first", "second")
    site.answers = [refusal, refusal]
    rows = await site.rows(at_once=1)
    names = [name for name, _ in site.asked]
    assert names == ["first", "first", "first", "second"]
    assert REFUSED < site.asked[1][1] - site.asked[0][1] <= REFUSED + 2 * TICK
    assert f"{what} takes no request, it is tried again" in [said for _, said in site.told]
    assert {row.outcome for row in rows} == {Outcome.PASS}


async def test_with_room_for_more_nothing_is_begun_while_nothing_is_taken() -> None:
    site = Site("first", "second", "third")
    site.answers = [Asked.FIRST, Asked.QUEUE_DOWN, Asked.QUEUE_DOWN]
    await site.rows(at_once=2)
    assert [name for name, _ in site.asked] == ["first", *["second"] * 3, "third"]


async def test_a_store_that_goes_away_on_the_way_is_waited_for() -> None:
    site = Site("app")
    site.judged_by_asking = False
    site.happens = {
        2: lambda: setattr(site, "away", True),
        9: lambda: setattr(site, "away", False),
        12: lambda: site.known.update(app=PASS),
    }
    (row,) = await site.rows()
    assert "Redis is away" in [said for _, said in site.told]
    assert site.told[-1] == (0, "")
    assert row.outcome is Outcome.PASS


async def test_with_a_store_that_stays_away_it_ends_when_the_time_is_over() -> None:
    site = Site("app", "other")
    site.judged_by_asking = False
    site.happens = {2: lambda: setattr(site, "away", True)}
    rows = await site.rows(at_once=1, timeout=20.0)
    assert {row.outcome for row in rows} == {Outcome.UNFINISHED}
    assert {row.says for row in rows} == {"its scan is under way", "it was not asked for yet"}


async def test_what_was_known_before_counts_where_nothing_newer_came_in_time() -> None:
    site = Site("app")
    site.known["app"] = STALE
    site.judged_by_asking = False
    (row,) = await site.rows(timeout=20.0)
    assert (len(site.asked), row.outcome) == (1, Outcome.PASS)


async def test_what_was_known_before_does_not_count_beside_what_is_newer() -> None:
    site = Site("app")
    site.known["app"] = Look(Known(Judgement("", State.FAIL), refresh=Need.REQUEST))
    site.judged_by_asking = False
    site.happens = {3: lambda: site.known.update(app=PASS)}
    (row,) = await site.rows()
    assert row.outcome is Outcome.PASS


async def test_what_an_image_is_known_to_stand_for_goes_with_the_request() -> None:
    """Of what somebody asked for by another tag nothing is asked again."""
    subject = Subject("registry.corp/app", "sha256:" + "a" * 64, "1")
    site = Site("app")
    site.known["app"] = Look(Missing(Need.REQUEST, (), (subject,)))
    await site.rows()
    assert site.subjects == (subject,)


async def test_more_than_are_looked_at_at_once_are_all_told() -> None:
    count = LOOKS_AT_ONCE + 1
    site = Site(*(f"app{at}" for at in range(count)))
    site.known = dict.fromkeys(site.known, PASS)
    assert len(await site.rows()) == count
    assert (site.asked, site.done) == ([], (count, count))
    site.known = dict.fromkeys(site.known, UNKNOWN)
    rows = await site.rows(timeout=0.0)
    assert Counter(row.outcome for row in rows) == {Outcome.UNFINISHED: count}
    assert {row.says for row in rows} == {"it was not asked for yet"}


async def test_no_more_are_under_way_than_may_be() -> None:
    site = Site(*"abcdef")
    site.judged_by_asking = False
    await site.rows(at_once=4, timeout=10.0)
    assert len(site.asked) == 4
    assert max(under_way for under_way, _ in site.told) == 4
