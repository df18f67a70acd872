"""Since when it is known what a tag names: what /validate tells a pod by that nobody pinned."""

from shared.domain.pointer import POINTER_MAX_AGE
from tests.fakes.images import tiny_image
from tests.unit.worker.rig import CONTENT, Rig
from tests.unit.worker.test_previous import resolved

NEWER = tiny_image(config={"User": "newer"})


async def test_it_is_known_since_the_registry_was_first_asked(rig: Rig) -> None:
    pointer = await resolved(rig)
    assert pointer.known_since == pointer.asked_at == rig.clock.now()


async def test_renewals_and_moves_change_nothing_of_it(rig: Rig) -> None:
    since = (await resolved(rig)).known_since
    assert (await resolved(rig)).known_since == since
    rig.registry.put(NEWER, "team/app:1")
    pointer = await resolved(rig)
    assert (pointer.digest, pointer.known_since) == (NEWER.digest, since)


async def test_a_tag_that_was_gone_is_known_since_it_is_there_again(rig: Rig) -> None:
    await resolved(rig)
    rig.registry.remove(rig.reference)
    assert (await resolved(rig)).known_since == 0
    rig.registry.put(CONTENT, "team/app:1")
    assert (await resolved(rig)).known_since == rig.clock.now()


async def test_a_pointer_that_ended_is_no_beginning(rig: Rig) -> None:
    await resolved(rig)
    assert (await resolved(rig, after=POINTER_MAX_AGE + 1)).known_since == rig.clock.now()
