"""The invariants of docs/design/protocol.md under random interleavings and kills.

The world and its dice: tests/functional/histories.
"""

import random
from collections import Counter

import pytest

from services.webhook.requests import CLAIM_LIFE
from services.worker.budget import Poll
from shared.domain.decision import State
from shared.domain.step import Lane, StepKind
from tests.functional.histories.world import KILLS, MOVES, PLACES, TENANTS, Fault, World

SEEDS = range(60)

KNOWN_WITHIN = 60_000
"""Milliseconds after the last fault: what nobody began is published again after 15 s, and what
waits for its follow-up's confirm is delivered again."""

MESSAGES = 6
"""In flight for one image with one fault (protocol.md, S3)."""

BAD = "sha256:" + "b" * 64
"""What a tag moves to, and the policy stops."""

LONG = 600_000
"""Milliseconds: a pointer is believed for a minute, and each webhook's look renews it."""

CROWD = 5
"""Images that are pushed at once."""


def faults_of(seed: int) -> list[Fault]:
    """None, one, two or three, whichever."""
    return random.Random(seed).choices(list(Fault), k=seed % 4)


@pytest.mark.parametrize("seed", SEEDS)
async def test_whoever_asks_gets_the_newest_verdict_and_few_submits(seed: int) -> None:
    world = World(seed, faults=faults_of(seed))
    await world.live(MOVES)
    elapsed = 0
    while await world.verdict() is None:
        assert elapsed <= KNOWN_WITHIN, "L1: it stays pending while somebody asks"
        await world.pass_time(5_000, asking=True)
        elapsed += 5_000
    await world.pass_time(10_000, asking=True)
    world.answers.clear()
    await world.pass_time(20_000, asking=True)
    assert set(world.answers) == {State.PASS}
    twice = sum(fault not in KILLS for fault in world.faults)
    assert 1 <= world.anchore.submits.total() <= 1 + twice, "L3"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_runs_that_was_not_found_good_wherever_its_tag_moves(seed: int) -> None:
    world = World(seed, faults=faults_of(seed), images=2)
    good, other = world.images
    world.anchore.refuses.add(BAD)
    await world.live(MOVES)
    world.registry.move(good, to=BAD)
    world.registry.move(other, to=good.digest)
    await world.live(MOVES)
    elapsed = 0
    while State.FAIL not in world.answers:
        assert elapsed <= LONG, "L1: what it names now is never judged"
        await world.pass_time(10_000, asking=True)
        elapsed += 10_000
    await world.pass_time(70_000, asking=True)
    assert State.PASS in world.answers
    assert world.unjudged == [], "S1"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_was_asked_for_once_is_judged_though_nobody_asks_again(seed: int) -> None:
    faults = [fault for fault in faults_of(seed) if fault is not Fault.WEBHOOK_KILLED]
    if Fault.PUBLISH_LOST in faults:
        faults = [fault for fault in faults if fault is not Fault.EMPTIED]
    world = World(seed, faults=faults)
    await world.live(MOVES, once=True)
    await world.pass_time(KNOWN_WITHIN, asking=False)
    assert world.orders[world.images[0]], "L1: it was never judged"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_older_evaluation_never_overwrites_a_newer_one(seed: int) -> None:
    world = World(seed, faults=[Fault.RECONNECTED] * 8, analysis=0)
    for _ in range(4):
        world.operator()
    world.ask()
    await world.live(MOVES)
    await world.finish_standing()
    (orders,) = world.orders.values()
    assert orders == sorted(orders), "S2"
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_one_chain_of_checks_survives_and_messages_stay_few(seed: int) -> None:
    world = World(seed, faults=faults_of(seed), analysis=3_600_000)
    await world.live(MOVES)
    await world.pass_time(90_000, asking=True)
    checks = world.in_flight(StepKind.CHECK)
    assert len({step.chain for step in checks}) == 1, "S3"
    assert len(world.queue.messages) <= MESSAGES * max(len(world.faults), 1)
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_scan_that_people_want_goes_on_in_their_lane_whoever_began_it(seed: int) -> None:
    world = World(seed, faults=faults_of(seed), analysis=3_600_000)
    world.push(world.images[0])
    await world.live(MOVES, once=True)
    await world.pass_time(30_000, asking=True, lane=Lane.ADMISSION)
    await world.pass_time(40_000, asking=False)
    checks = world.in_flight(StepKind.CHECK)
    assert {step.lane for step in checks} == {Lane.CHECK}
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_few_analyses_are_outstanding_for_what_nobody_waits_for_and_all_are_made(
    seed: int,
) -> None:
    emptied = Fault.EMPTIED in faults_of(seed)
    world = World(seed, faults=faults_of(seed), images=CROWD)
    for image in world.images:
        world.push(image)
    await world.live(MOVES, once=True)
    await world.pass_time(5 * KNOWN_WITHIN, asking=False)
    # Who loses the store loses count of what is outstanding then, once.
    assert world.most_outstanding <= PLACES * (1 + emptied)
    assert all(world.orders.values()), "L1: some were never judged"
    assert await world.redis.leases.room(most=1)
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_counts_for_a_namespace_once_its_images_are_judged(seed: int) -> None:
    world = World(seed, faults=faults_of(seed), images=3)
    await world.live(MOVES)
    while not all([await world.verdict(number) for number in range(3)]):
        await world.pass_time(5_000, asking=True)
    await world.pass_time(CLAIM_LIFE + 1_000, asking=False)
    counted = world.redis.leases.counted
    assert [counted.number(tenant, but="") for tenant in TENANTS] == [0, 0]
    assert await world.redis.leases.room(most=1)
    await world.end()


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_analysis_that_hangs_is_freed_once_and_the_image_judged(seed: int) -> None:
    world = World(seed, faults=faults_of(seed), dies=1)
    await world.live(MOVES)
    await world.pass_time(5 * KNOWN_WITHIN, asking=True, lane=Lane.ADMISSION)
    assert world.orders[world.images[0]], "L1: it was never judged"
    assert 1 <= world.anchore.forced <= 1 + len(world.faults)
    await world.end()


async def test_the_histories_hold_quick_looks_refused_ones_and_wakes() -> None:
    polls: Counter[Poll] = Counter()
    refused = woken = 0
    for seed in range(10):
        world = World(seed, faults=[Fault.ANCHORE_AWAY])
        await world.live(MOVES)
        await world.pass_time(30_000, asking=True)
        polls += world.polls
        refused += world.anchore.refused
        woken += world.woken
        await world.end()
    assert polls[Poll.QUICK] > 10
    assert refused > 10
    assert woken > 0
