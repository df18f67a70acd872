"""Images for several platforms through the whole of it: whatever a runtime could choose is judged,
however it hides in the index (docs/design/behaviour.md 2)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.images import Content, index_of, tiny_image
from tests.fakes.registry import answer as registry_answers
from tests.house import House, house, pod, review_of

GOOD, BAD = (tiny_image(config={"Labels": {"which": which}}) for which in ("good", "bad"))
ATTESTATION = {
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": GOOD.digest,
}
AMD64 = (GOOD, "linux/amd64")
HIDING = {
    "behind an attestation's annotation": index_of(
        AMD64, (BAD, "linux/amd64"), annotations=ATTESTATION
    ),
    "behind a variant": index_of(AMD64, (BAD, "linux/amd64/v9")),
    "without a platform": index_of(AMD64, (BAD, None)),
    "in a nested index": index_of(AMD64, (index_of((BAD, "linux/amd64")), "linux/s390x")),
    "in a nested index that nobody would run": index_of(
        AMD64, (index_of((BAD, "linux/amd64")), "unknown/unknown")
    ),
    "as the lesser architecture": index_of((GOOD, "linux/amd64/v9"), (BAD, "linux/386")),
}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        running.anchore.store.decide(BAD.digest, "stop")
        yield running


@pytest.mark.parametrize("index", HIDING.values(), ids=HIDING)
async def test_a_bad_manifest_is_found_by_tag_and_by_digest(home: House, index: Content) -> None:
    tag = str(home.registry.put(index, "team/many:1"))
    for image in (tag, f"{tag.rpartition(':')[0]}@{index.digest}", f"{tag}@{index.digest}"):
        answer = await home.settled(image)
        assert (answer.code, answer.message.startswith(f"image {image}: refused by")) == (403, True)


async def test_what_no_runtime_takes_is_not_judged(home: House) -> None:
    index = index_of(AMD64, (BAD, "unknown/unknown"), annotations=ATTESTATION)
    assert (await home.settled(str(home.registry.put(index, "team/many:1")))).allowed
    assert set(home.anchore.store.submits) == {GOOD.digest}


async def test_a_pinned_index_that_was_judged_starts_while_its_registry_is_away(
    home: House,
) -> None:
    index = index_of(AMD64, (BAD, "linux/arm64"))
    tag = str(home.registry.put(index, "team/many:1"))
    pinned = f"{tag}@{index.digest}"
    assert (await home.settled(pinned)).allowed
    home.registry.fault("manifests", registry_answers(503))
    asked = len(home.registry.requests)
    for policy in ("Always", "IfNotPresent"):
        assert (await home.ask(review_of(pod(pinned, policy=policy)))).allowed
    assert len(home.registry.requests) == asked
