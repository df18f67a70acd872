"""What people are told of an emergency: by the store's record, and by what webhooks say."""

from services.console.emergency_report import EmergencyState
from shared.domain.emergency import EMERGENCY_ID, EMERGENCY_KEY, LONGEST, Emergency, ending
from shared.domain.signing import Kind
from shared.ports.presence import Beat
from tests.fakes.exceptions import HOUR, emergency
from tests.fakes.sealing import PlainSealer
from tests.unit.console.world import World


async def said(world: World, one: Emergency, *, sealer: PlainSealer | None = None) -> None:
    ends = one.made_at + LONGEST
    sealed = (sealer or PlainSealer()).seal(
        one, kind=Kind.EMERGENCY, key=EMERGENCY_KEY, order=one.made_at, ends=ends
    )
    await world.exceptions.put(sealed, exception_id=EMERGENCY_ID, ends=ends)


async def heard(world: World, *until: int) -> None:
    """Webhooks that say so of themselves."""
    for number, each in enumerate(until):
        beat = Beat(f"webhook@h:{number}:x", "webhook", "1", 7, emergency=each)
        await world.presence.beat(beat)


async def fact(world: World) -> str:
    return (await world.ops().status()).facts.get("emergency", "")


async def test_where_there_is_none_nothing_is_told(world: World) -> None:
    await heard(world, 0, 0)
    assert await fact(world) == ""
    assert (await world.ops().emergency()).state is EmergencyState.NONE


async def test_one_is_told_first_with_owner_reason_end_and_where_it_counts(world: World) -> None:
    one = emergency(now=world.clock.now(), namespaces=("team-*",))
    await said(world, one)
    await heard(world, one.until, one.until, 0)
    assert await fact(world) == (
        "for 60 min yet nothing is refused in namespaces team-*: Redis is broken (ada); counts in "
        "2 of 3 webhooks"
    )
    facts = (await world.ops().status()).facts
    assert next(iter(facts)) == "emergency"
    assert await world.ops().exceptions() == (), "it is no exception"


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
    report = await world.ops().emergency()
    assert (report.state, report.owner, report.left) == (EmergencyState.ENDED, "bo", 0.0)


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
    assert (await world.ops().emergency()).owner == ""


async def test_while_the_store_is_away_the_rest_is_told(world: World) -> None:
    world.store_away("no redis")
    report = await world.ops().status()
    assert "emergency" not in report.facts
    assert not report.ok
