"""Indexes: every manifest that a runtime could choose is scanned, and the signed record of what an
index names stands in for its registry."""

import pytest

from services.worker.pointing import RENEW_INDEX
from shared.domain.pointer import Index, Manifest, index_key
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.signing import Kind
from shared.domain.verdict import Subject
from shared.domain.why import Why
from tests.fakes.images import Content, index_of, tiny_image
from tests.fakes.registry import answer
from tests.fakes.sealing import PlainSealer
from tests.unit.worker.rig import CONTENT, QUESTION, Rig

HIDDEN = tiny_image(config={"User": "hidden"})
ATTESTATION = {
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": CONTENT.digest,
}
AMD64 = (CONTENT, "linux/amd64")


def put(rig: Rig, index: Content) -> ImageReference:
    return rig.registry.put(index, "team/many:1")


async def scanned(rig: Rig, reference: ImageReference) -> set[str]:
    """What is handed to the scanner of it."""
    await rig.scan.request(rig.step(reference=reference))
    return set(rig.anchore.store.submits)


async def test_an_entry_that_hides_behind_an_attestation_s_annotation_is_scanned(rig: Rig) -> None:
    index = index_of(AMD64, (HIDDEN, "linux/amd64"), annotations=ATTESTATION)
    assert await scanned(rig, put(rig, index)) == {CONTENT.digest, HIDDEN.digest}


async def test_an_entry_of_an_unknown_platform_is_chosen_by_no_runtime(rig: Rig) -> None:
    index = index_of(AMD64, (HIDDEN, "unknown/unknown"), annotations=ATTESTATION)
    assert await scanned(rig, put(rig, index)) == {CONTENT.digest}


@pytest.mark.parametrize("variant", ["v2", "v3", "made-up"])
async def test_an_entry_of_any_variant_is_scanned(rig: Rig, variant: str) -> None:
    index = index_of(AMD64, (HIDDEN, f"linux/amd64/{variant}"))
    assert await scanned(rig, put(rig, index)) == {CONTENT.digest, HIDDEN.digest}


async def test_an_entry_without_a_platform_is_scanned(rig: Rig) -> None:
    assert await scanned(rig, put(rig, index_of(AMD64, (HIDDEN, None)))) == {
        CONTENT.digest,
        HIDDEN.digest,
    }


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/s390x", "unknown/unknown", None])
async def test_what_stands_in_a_nested_index_is_scanned_whatever_the_outer_one_says_of_it(
    rig: Rig, platform: str | None
) -> None:
    nested = index_of((HIDDEN, "linux/amd64"))
    index = index_of(AMD64, (nested, platform))
    assert await scanned(rig, put(rig, index)) == {CONTENT.digest, HIDDEN.digest}


async def test_an_entry_of_another_platform_is_not_scanned(rig: Rig) -> None:
    index = index_of(AMD64, (HIDDEN, "linux/s390x"), (HIDDEN, "windows/amd64"))
    assert await scanned(rig, put(rig, index)) == {CONTENT.digest}


async def test_a_signed_record_says_what_the_index_names(rig: Rig) -> None:
    index = index_of(AMD64, (HIDDEN, "linux/arm64"))
    reference = put(rig, index)
    await rig.scan.resolve(rig.step(reference=reference))
    record = await rig.ledger.index(index.digest)
    assert record == Index(
        index.digest,
        (
            Manifest(CONTENT.digest, "linux", "amd64", exact=True),
            Manifest(HIDDEN.digest, "linux", "arm64", exact=True),
        ),
        rig.clock.now(),
    )
    (sealed,) = await rig.store.read([index_key(index.digest)])
    assert sealed is not None
    opened, _ = PlainSealer().unseal(sealed, Index, kind=Kind.INDEX, key=index_key(index.digest))
    assert opened == record


@pytest.mark.parametrize("pin", ["{repository}:1@{digest}", "{repository}@{digest}"])
@pytest.mark.parametrize("later", [60_000, RENEW_INDEX])
async def test_a_pinned_index_is_judged_again_while_its_registry_is_away(
    rig: Rig, pin: str, later: int
) -> None:
    index = index_of(AMD64)
    reference = put(rig, index)
    pinned = parse_reference(pin.format(repository=reference.repository, digest=index.digest))
    await scanned(rig, pinned)
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(rig.next_check())
    subject = Subject(reference.repository, CONTENT.digest, pinned.tag)
    before = await rig.ledger.verdict(subject, QUESTION)
    rig.registry.fault("manifests", answer(503))
    rig.clock.advance(later)
    checks = rig.anchore.store.calls["image_check"]
    await rig.scan.request(rig.step(reference=pinned, why=Why.OPERATOR))
    assert rig.anchore.store.calls["image_check"] == checks + 1
    assert before is not None


async def test_the_record_of_an_index_in_use_is_renewed_before_it_ends(rig: Rig) -> None:
    index = index_of(AMD64)
    reference = put(rig, index)
    pinned = parse_reference(f"{reference.repository}@{index.digest}")
    await scanned(rig, pinned)
    rig.clock.advance(RENEW_INDEX)
    await scanned(rig, pinned)
    record = await rig.ledger.index(index.digest)
    assert record is not None
    assert record.asked_at == rig.clock.now()


async def test_a_record_that_nobody_signed_hides_no_entry(rig: Rig) -> None:
    index = index_of(AMD64, (HIDDEN, "linux/amd64/v2"))
    reference = put(rig, index)
    key, now = index_key(index.digest), rig.clock.now()
    lie = Index(index.digest, (Manifest(CONTENT.digest, "linux", "amd64"),), now)
    ends = now + RENEW_INDEX
    sealed = PlainSealer(b"stolen").seal(lie, kind=Kind.INDEX, key=key, order=now, ends=ends)
    await rig.store.put(sealed, key=key, ends=ends)
    assert await scanned(rig, reference) == {CONTENT.digest, HIDDEN.digest}
