"""What people are told of an emergency: by the store's record, and by what webhooks say."""

from typing import Any

import pytest

from services.console.emergency_report import (
    MOST_TOLD,
    EmergencyReport,
    EmergencyState,
    is_emergency,
    report_of,
)
from services.console.exception_rows import ExceptionState
from shared.domain.emergency import LONGEST, Emergency, emergency_id, emergency_key, ending
from shared.domain.signing import Kind
from shared.ports.presence import Beat
from tests.fakes.exceptions import HOUR, emergency
from tests.fakes.sealing import PlainSealer
from tests.unit.console.world import World

pytestmark = pytest.mark.virtual_time


async def said(world: World, one: Emergency, *, sealer: PlainSealer | None = None) -> None:
    ends = one.made_at + LONGEST
    sealed = (sealer or PlainSealer()).seal(
        one,
        kind=Kind.EMERGENCY,
        key=emergency_key(one.cluster),
        order=one.made_at,
        ends=ends,
    )
    await world.exceptions.put(sealed, exception_id=emergency_id(one.cluster), ends=ends)


async def heard(world: World, *until: int, cluster: str = "prod", signed: int = 0) -> None:
    """Webhooks that say so of themselves."""
    for number, each in enumerate(until):
        name = f"webhook@h:{number}:{cluster or 'x'}"
        told: dict[str, Any] = {"emergency": each, "emergency_signed": signed, "cluster": cluster}
        await world.presence.beat(Beat(name, "webhook", "1", 7, **told))


async def facts(world: World) -> dict[str, str]:
    """Of emergencies."""
    told = (await world.ops().status()).facts
    return {name: fact for name, fact in told.items() if name.startswith("emergency")}


async def fact(world: World) -> str:
    return (await facts(world)).get("emergency of prod", "")


async def report(world: World, cluster: str = "prod") -> EmergencyReport:
    return report_of(cluster, await world.ops().emergencies())


async def test_where_there_is_none_nothing_is_told(world: World) -> None:
    await heard(world, 0, 0)
    assert await fact(world) == ""
    assert (await report(world)).state is EmergencyState.NONE


async def test_one_is_told_first_with_owner_reason_end_and_where_it_counts(world: World) -> None:
    one = emergency(now=world.clock.now(), namespaces=("team-*",))
    await said(world, one)
    await heard(world, one.until, one.until, 0, signed=one.made_at)
    assert await fact(world) == (
        "for 60 min yet nothing is refused in namespaces team-*: Redis is broken (ada); counts in "
        "2 of 3 webhooks"
    )
    assert next(iter((await world.ops().status()).facts)) == "emergency of prod"
    assert await world.ops().exceptions() == (), "it is no exception"


async def test_a_webhook_that_goes_by_another_one_is_told(world: World) -> None:
    before = emergency(now=world.clock.now())
    world.clock.advance(1)
    one = emergency(now=world.clock.now(), until=before.until, namespaces=("team-*",))
    await said(world, one)
    await heard(world, one.until, one.until, one.until, signed=before.made_at)
    assert (await fact(world)).endswith("; counts in 0 of 3 webhooks, another one in 3")
    assert len((await report(world)).strayed) == 3
    await heard(world, one.until, one.until, signed=one.made_at)
    assert (await fact(world)).endswith("; counts in 2 of 3 webhooks, another one in 1")


async def test_one_that_is_over_is_told_only_while_a_webhook_goes_on(world: World) -> None:
    one = emergency(now=world.clock.now())
    await said(world, one)
    world.clock.advance(1)
    over = ending(one, now=world.clock.now(), reason="mended", owner="bo", cluster="prod")
    await said(world, over)
    await heard(world, one.until, 0)
    assert await fact(world) == "the store knows of none; counts in 1 of 2 webhooks"
    await heard(world, 0, 0)
    assert await fact(world) == ""
    told = await report(world)
    assert (told.state, told.owner, told.left) == (EmergencyState.ENDED, "bo", 0.0)


async def test_one_that_ended_by_its_time_is_told_no_longer(world: World) -> None:
    one = emergency(now=world.clock.now())
    await said(world, one)
    world.clock.advance(HOUR)
    await heard(world, one.until)
    assert await fact(world) == ""


async def test_a_record_that_nobody_signed_is_told(world: World) -> None:
    await said(world, emergency(now=world.clock.now()), sealer=PlainSealer(b"thief"))
    await heard(world, 0)
    assert (await fact(world)).startswith("the store's record is not believed: ")
    assert (await report(world)).owner == ""


async def test_while_the_store_is_away_the_rest_is_told(world: World) -> None:
    world.store_away("no redis")
    assert await facts(world) == {}
    assert not (await world.ops().status()).ok


async def test_each_clusters_is_told_with_its_name_and_its_own_webhooks(world: World) -> None:
    now = world.clock.now()
    ended = emergency(now=now, cluster="calm")
    for cluster in ("", "prod", "calm"):
        await said(world, emergency(now=now, cluster=cluster))
    world.clock.advance(1)
    over = ending(ended, now=now + 1, reason="mended", owner="bo", cluster="calm")
    await said(world, over)
    await heard(world, now + HOUR, 0, signed=now)
    await heard(world, 0, 0, 0, cluster="calm")
    await heard(world, now + HOUR, cluster="lost")
    told = await facts(world)
    assert list(told) == ["emergency", "emergency of lost", "emergency of prod"]
    assert told["emergency"].endswith("; counts in 0 of 0 webhooks")
    assert told["emergency of prod"].endswith("; counts in 1 of 2 webhooks")
    assert told["emergency of lost"] == "the store knows of none; counts in 1 of 1 webhooks"
    assert (await report(world, "calm")).webhooks == tuple(f"webhook@h:{n}:calm" for n in range(3))
    assert (await report(world, "calm")).state is EmergencyState.ENDED
    assert (await report(world, "unknown")).state is EmergencyState.NONE
    assert await world.ops().exceptions() == ()


async def test_one_under_another_clusters_key_is_not_believed(world: World) -> None:
    ends = world.clock.now() + LONGEST
    for key in (emergency_key("prod"), emergency_key("test")):
        sealed = PlainSealer().seal(
            emergency(now=world.clock.now(), cluster="prod"),
            kind=Kind.EMERGENCY,
            key=key,
            order=world.clock.now(),
            ends=ends,
        )
        await world.exceptions.put(sealed, exception_id=emergency_id("test"), ends=ends)
        assert (await report(world, "test")).state is EmergencyState.NOT_BELIEVED
        world.clock.advance(1)


async def test_what_stands_under_a_name_that_no_cluster_can_have_is_no_emergency(
    world: World,
) -> None:
    one = emergency(now=world.clock.now())
    ends = one.made_at + LONGEST
    sealed = PlainSealer().seal(
        one, kind=Kind.EMERGENCY, key=emergency_key("prod"), order=one.made_at, ends=ends
    )
    await world.exceptions.put(sealed, exception_id="emergency@A B", ends=ends)
    assert await facts(world) == {}
    (row,) = await world.ops().exceptions()
    assert row.state is ExceptionState.NOT_BELIEVED


async def test_a_store_full_of_them_does_not_fill_the_page(world: World) -> None:
    for number in range(MOST_TOLD + 3):
        await said(world, emergency(now=world.clock.now(), cluster=f"c{number}"))
    told = await facts(world)
    assert len(told) == MOST_TOLD + 1
    assert list(told.values())[-1] == "3 clusters are not shown"
    assert all(is_emergency(name) for name in told)
