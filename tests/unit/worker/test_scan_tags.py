"""What a scan writes of a tag: the digest that it names, and only what somebody saw it name."""

import contextlib

import msgspec
import pytest

from shared.domain.errors import ErrorKind, InvalidReference
from shared.domain.pointer import Pointer
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import (
    Subject,
)
from tests.fakes.images import index_of, tiny_image
from tests.unit.worker.rig import CONTENT, QUESTION, Rig


async def test_a_tag_that_moved_to_an_index_nobody_can_read_no_longer_names_the_old_digest(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    rig.clock.advance(1_000)
    index = index_of((CONTENT, "linux/amd64"))
    rig.registry.put(index, "team/app:1")
    rig.registry.replace_body(index.digest, b'{"manifests": 1}')
    await rig.scan.request(rig.step())
    pointer = await rig.ledger.pointer(rig.reference)
    assert pointer is not None
    assert (pointer.digest, pointer.error, pointer.previous) == (
        None,
        ErrorKind.UNTRUSTED,
        CONTENT.digest,
    )


async def test_a_pointer_is_ordered_by_the_time_the_registry_was_asked(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    pointer = await rig.ledger.pointer(rig.reference)
    assert pointer is not None
    older = Pointer(pointer.reference, pointer.asked_at - 1, "sha256:" + "f" * 64)
    await rig.ledger.write_pointer(older)
    assert await rig.ledger.pointer(rig.reference) == pointer


async def test_no_message_makes_a_verdict_under_a_tag_that_nobody_saw_name_the_digest(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    lie = Subject(rig.reference.repository, CONTENT.digest, "exempt")
    forged = msgspec.structs.replace(rig.next_check(), subject=lie, chain="forged")
    await rig.scan.check(forged)
    assert await rig.ledger.verdict(lie, QUESTION) is None
    (request, delay) = rig.followed[-1]
    assert (request.kind, request.lane, request.subject) == (StepKind.REQUEST, Lane.ADMISSION, None)
    assert delay == 0
    await rig.scan.request(request)
    await rig.scan.check(rig.followed[0][0])
    assert await rig.verdict() is not None
    assert await rig.ledger.verdict(lie, QUESTION) is None


@pytest.mark.parametrize("tag", ["", "a b", "1@sha256:" + "a" * 64])
async def test_a_message_with_a_tag_that_is_none_makes_no_verdict(rig: Rig, tag: str) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    lie = Subject(rig.reference.repository, CONTENT.digest, tag)
    forged = msgspec.structs.replace(rig.next_check(), subject=lie, chain="forged")
    with contextlib.suppress(InvalidReference):
        await rig.scan.check(forged)
    assert await rig.ledger.verdict(lie, QUESTION) is None


@pytest.mark.parametrize("moves", [1, 2])
async def test_a_check_whose_tag_moved_meanwhile_goes_on_as_long_as_that_is_remembered(
    rig: Rig, moves: int
) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    check = rig.next_check()
    for number in range(moves):
        rig.registry.put(tiny_image(config={"User": str(number)}), "team/app:1")
        rig.clock.advance(1000)
        await rig.scan.resolve(rig.step())
    await rig.scan.check(check)
    assert (await rig.verdict() is not None) == (moves == 1)
    assert (rig.next_check().kind is StepKind.REQUEST) == (moves == 2)


async def test_a_check_of_an_index_s_manifest_is_known_by_its_tag(rig: Rig) -> None:
    reference = rig.registry.put(index_of((CONTENT, "linux/amd64")), "team/many:1")
    await rig.scan.request(rig.step(reference=reference))
    rig.anchore.store.finish(CONTENT.digest)
    check = rig.next_check()
    assert check.subject == Subject(reference.repository, CONTENT.digest, "1")
    await rig.scan.check(check)
    assert await rig.ledger.verdict(check.subject, QUESTION) is not None
