"""`imagegate explain` of an image by tag and digest: what its tag names meanwhile."""

from shared.domain.pointer import MINUTE
from shared.domain.verdict import Outcome, Subject
from tests.functional.cli.explain.rig import DIGEST, PINNED, REPOSITORY, STOP, Rig

OTHER = "sha256:" + "c" * 64
UNTAGGED = Subject(REPOSITORY, DIGEST)


async def test_where_its_tag_has_moved_on_it_is_told_that_the_last_verdict_counts(rig: Rig) -> None:
    await rig.point(OTHER)
    await rig.judge(Outcome.PASS)
    await rig.judge(Outcome.FAIL, STOP, subject=UNTAGGED, evaluated_at=rig.now - MINUTE)
    way = await rig.way(PINNED)
    assert (way["state"], way["allowed"]) == ("fail", False)
    (told,) = (line for line in way["way"] if line.startswith("pointer "))
    assert told.endswith("it is judged anew without the tag, and what was judged last counts)")
    assert OTHER in told


async def test_where_its_tag_names_it_or_did_just_before_it_is_told_that_this_holds(
    rig: Rig,
) -> None:
    await rig.judge(Outcome.PASS)
    await rig.judge(Outcome.FAIL, STOP, subject=UNTAGGED, evaluated_at=rig.now - MINUTE)

    async def is_told() -> None:
        way = await rig.way(PINNED)
        assert (way["state"], way["allowed"]) == ("pass", True)
        (told,) = (line for line in way["way"] if line.startswith("pointer "))
        assert told.endswith("it is judged by that tag)")

    await rig.point()
    await is_told()
    await rig.point(OTHER, age=4 * MINUTE, previous=DIGEST)
    await is_told()
