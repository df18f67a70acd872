"""A moved tag's previous digest: known as long as the registry has it, and no longer."""

import pytest

from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.pointer import DAY, POINTER_MAX_AGE, YOUNG, Pointer
from tests.fakes.images import OCI_MANIFEST, tiny_image
from tests.fakes.registry import answer, say
from tests.unit.worker.rig import CONTENT, Rig

NEWER = tiny_image(config={"User": "newer"})


async def resolved(rig: Rig, *, after: int = 1_000) -> Pointer:
    """The pointer as it is once the registry was asked, `after` milliseconds later."""
    rig.clock.advance(after)
    await rig.scan.resolve(rig.step())
    pointer = await rig.ledger.pointer(rig.reference)
    assert pointer is not None
    return pointer


async def moved(rig: Rig) -> Pointer:
    """The tag named CONTENT, and names NEWER now."""
    await resolved(rig)
    rig.registry.put(NEWER, "team/app:1")
    return await resolved(rig)


def heads(rig: Rig) -> int:
    """How often the registry was asked about the digest before."""
    return len(rig.registry.asked(CONTENT.digest))


async def test_a_tag_that_moved_keeps_the_digest_before_that_the_registry_has_still(
    rig: Rig,
) -> None:
    pointer = await moved(rig)
    assert (pointer.digest, pointer.previous) == (NEWER.digest, CONTENT.digest)
    assert pointer.previous_seen_at == rig.clock.now()
    assert [seen.method for seen in rig.registry.asked(CONTENT.digest)] == ["HEAD"]


async def test_a_tag_that_moved_forgets_a_digest_that_the_registry_dropped_with_it(
    rig: Rig,
) -> None:
    await resolved(rig)
    rig.registry.put(NEWER, "team/app:1")
    rig.registry.drop(CONTENT)
    pointer = await resolved(rig)
    assert (pointer.digest, pointer.previous, pointer.previous_seen_at) == (NEWER.digest, None, 0)


async def test_a_digest_that_is_dropped_later_is_forgotten_at_the_next_renewal_that_may_ask(
    rig: Rig,
) -> None:
    await moved(rig)
    rig.registry.drop(CONTENT)
    assert (await resolved(rig, after=YOUNG - 1)).previous == CONTENT.digest
    assert (await resolved(rig, after=1)).previous is None
    asked = heads(rig)
    assert (await resolved(rig, after=YOUNG)).previous is None
    assert heads(rig) == asked


async def test_however_often_a_pointer_is_renewed_it_costs_one_more_question_in_a_minute(
    rig: Rig,
) -> None:
    await moved(rig)
    asked = heads(rig)
    for _ in range(12):
        pointer = await resolved(rig, after=YOUNG // 6)
        assert pointer.previous == CONTENT.digest
        assert rig.clock.now() - pointer.previous_seen_at < YOUNG
    assert heads(rig) == asked + 2


@pytest.mark.parametrize("status", [401, 503])
async def test_a_registry_that_does_not_say_changes_nothing_for_seven_days(
    rig: Rig, status: int
) -> None:
    seen_at = (await moved(rig)).previous_seen_at
    rig.registry.fault(CONTENT.digest, answer(status))
    while rig.clock.now() + DAY < seen_at + POINTER_MAX_AGE:
        pointer = await resolved(rig, after=DAY)
        assert (pointer.previous, pointer.previous_seen_at) == (CONTENT.digest, seen_at)
    assert (await resolved(rig, after=DAY)).previous is None


async def test_a_registry_that_serves_something_else_under_the_digest_has_it_no_more(
    rig: Rig,
) -> None:
    await moved(rig)
    rig.registry.fault(CONTENT.digest, say(b"{}", content_type=OCI_MANIFEST))
    assert (await resolved(rig, after=YOUNG)).previous is None


async def test_a_tag_that_is_gone_keeps_the_digest_it_had_as_long_as_that_is_there(
    rig: Rig,
) -> None:
    await resolved(rig)
    rig.registry.remove(rig.reference)
    for _ in range(3):
        pointer = await resolved(rig)
        assert (pointer.digest, pointer.error) == (None, ErrorKind.NOT_FOUND)
        assert pointer.previous == CONTENT.digest


async def test_a_tag_that_names_its_digest_again_names_none_before_it(rig: Rig) -> None:
    await resolved(rig)
    rig.registry.remove(rig.reference)
    await resolved(rig)
    rig.registry.put(CONTENT, "team/app:1")
    pointer = await resolved(rig)
    assert (pointer.digest, pointer.previous) == (CONTENT.digest, None)


async def test_a_registry_that_is_away_moves_nothing_of_a_moved_tag(rig: Rig) -> None:
    before = await moved(rig)
    rig.registry.fault("manifests", answer(503))
    with pytest.raises(TransientFailure):
        await resolved(rig, after=YOUNG)
    assert await rig.ledger.pointer(rig.reference) == before
